"""Signs with the cluster's CA."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from controllers.certificates.policy import Request

_BACKDATE = timedelta(minutes=5)
_EXTENDED: dict[str, ObjectIdentifier] = {
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
}


class Authority:
    """A CA certificate and its key, both PEM; of several certificates (a CA that is being replaced) the one of the key."""

    def __init__(self, certificates: bytes, key: bytes) -> None:
        """Raises ValueError for a key that cannot sign certificates, or that is none of the certificates'."""
        loaded = serialization.load_pem_private_key(key, None)
        if not isinstance(loaded, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
            raise ValueError("the CA's key must be RSA, EC or Ed25519")
        self.key = loaded
        public = loaded.public_key()
        found = [c for c in x509.load_pem_x509_certificates(certificates) if c.public_key() == public]
        if not found:
            raise ValueError("the CA's certificate and key do not belong together")
        self.certificate = found[0]

    @classmethod
    def from_files(cls, certificates: Path, key: Path) -> Self:
        """Raises OSError, and ValueError as above: also for a moment while one of the files has been replaced."""
        return cls(certificates.read_bytes(), key.read_bytes())

    def sign(self, request: Request, lifetime: timedelta, now: datetime) -> bytes:
        """The certificate as PEM; it ends with the CA at the latest."""
        # For clocks that go slow; but no longer than half of a short life, or its holder would renew it without end.
        begin = now - min(_BACKDATE, lifetime / 2)
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.csr.subject)
            .issuer_name(self.certificate.subject)
            .public_key(request.csr.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(min(now + lifetime, self.certificate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(request.usages), critical=True)
        )
        extended = [_EXTENDED[usage] for usage in sorted(request.usages) if usage in _EXTENDED]
        if extended:
            builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
        if names := request.alternative_names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        issuer = self.certificate.public_key()
        if isinstance(issuer, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
            identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer)
            builder = builder.add_extension(identifier, critical=False)
        algorithm = None if isinstance(self.key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        return builder.sign(self.key, algorithm).public_bytes(serialization.Encoding.PEM)


def _key_usage(usages: frozenset[str]) -> x509.KeyUsage:
    agreement = "key agreement" in usages
    return x509.KeyUsage(
        digital_signature=bool(usages & {"signing", "digital signature"}),
        content_commitment="content commitment" in usages,
        key_encipherment="key encipherment" in usages,
        data_encipherment="data encipherment" in usages,
        key_agreement=agreement,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=agreement and "encipher only" in usages,
        decipher_only=agreement and "decipher only" in usages,
    )
