"""A certificate and its key in one PEM file, replaced in one step, readable by its owner alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from kubelet import atomic


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its key. `begin` and `end` are seconds since 1970; `names` are its DNS names and addresses."""

    pem: bytes
    common_name: str
    names: frozenset[str]
    begin: float
    end: float

    def moment(self, share: float) -> float:
        """When this share of its life is over, in seconds since 1970."""
        return self.begin + (self.end - self.begin) * share


def parse(pem: bytes) -> Pair:
    """The pair in a PEM text. Raises ValueError when one half is missing or the two do not belong together."""
    certificate = x509.load_pem_x509_certificates(pem)[0]
    key = serialization.load_pem_private_key(pem, None)
    if key.public_key() != certificate.public_key():
        raise ValueError("the key is not the certificate's")
    common_names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Pair(
        pem,
        str(common_names[0].value) if common_names else "",
        _names(certificate),
        certificate.not_valid_before_utc.timestamp(),
        certificate.not_valid_after_utc.timestamp(),
    )


def _names(certificate: x509.Certificate) -> frozenset[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    addresses = found.get_values_for_type(x509.IPAddress)
    return frozenset(found.get_values_for_type(x509.DNSName)) | {str(address) for address in addresses}


def is_issued_by(held: Pair, bundle: bytes) -> bool:
    """Whether the first authority of a CA bundle, which is the one that signs, has signed it. Raises ValueError for no bundle."""
    certificate, authority = x509.load_pem_x509_certificate(held.pem), x509.load_pem_x509_certificate(bundle)
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def read(path: Path) -> Pair | None:
    """The pair in a file; None for a file that is not there or is of no use, for then a new one is wanted. Blocking."""
    try:
        return parse(path.read_bytes())
    except (OSError, ValueError):
        return None


def write(path: Path, pem: bytes) -> None:
    """Replace the file in one step; mode 0600. Blocking. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.replace(path, pem)
