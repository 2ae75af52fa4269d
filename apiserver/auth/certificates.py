"""Callers by client certificate: the subject's common name is the user, its organizations are the groups.

TLS has verified the chain before a certificate gets here (ssl.CERT_OPTIONAL with the client CA).
"""

import hashlib
import time
from collections.abc import Callable

from cryptography import x509
from cryptography.x509.oid import NameOID

from apiserver.auth.user import CREDENTIAL_ID, User, with_authenticated

UID_OID = x509.ObjectIdentifier("1.3.6.1.4.1.57683.2")
CACHE_MAX = 1024


class CertificateAuthenticator:
    """Turns a client certificate (DER) into a user, once per certificate."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._known: dict[bytes, tuple[User | None, float]] = {}

    def authenticate(self, der: bytes) -> User | None:
        """Return the certificate's user; None when it names none, cannot be read, or has expired on an open connection."""
        known = self._known.get(der)
        if known is None:
            if len(self._known) >= CACHE_MAX:
                self._known.clear()
            known = self._known[der] = parse(der)
        user, expires = known
        return user if expires > self._now() else None


def parse(der: bytes) -> tuple[User | None, float]:
    """Return (user or None, Unix time of expiry) of a certificate in DER form."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        subject = certificate.subject
    except ValueError:
        return None, 0.0
    expires = certificate.not_valid_after_utc.timestamp()
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not names or not names[0].value:
        return None, expires
    groups = [str(attribute.value) for attribute in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    uids = subject.get_attributes_for_oid(UID_OID)
    extra = {CREDENTIAL_ID: (f"X509SHA256={hashlib.sha256(der).hexdigest()}",)}
    user = User(str(names[0].value), str(uids[0].value) if uids else "", with_authenticated(groups), extra)
    return user, expires
