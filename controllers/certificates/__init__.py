"""CertificateSigningRequests: `policy` says what is accepted, `authority` signs, `controller` approves, signs, tidies up."""
