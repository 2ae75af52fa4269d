"""The cluster's certificates, with the names, identities and places kubeadm gives them.

Source: "PKI certificates and requirements" of the Kubernetes documentation. Keys are ECDSA P-256, but the ServiceAccount
key is RSA because its tokens are RS256. Everything is written once and made anew only when it is about to expire or when
its names have changed; private files have mode 0600.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_DAYS = 3650
LEAF_DAYS = 365
RENEW_DAYS = 30
BACKDATE = datetime.timedelta(minutes=5)
"""How long before its making a certificate is valid: grace for machines whose clocks differ."""
_CLIENT, _SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
_SIGNING = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
_LEAF_USE = x509.KeyUsage(True, False, True, False, False, False, False, False, False)


@dataclass(frozen=True)
class Leaf:
    """One certificate to issue: its subject, what it is for and the addresses it serves."""

    common_name: str
    organizations: tuple[str, ...] = ()
    usages: tuple[x509.ObjectIdentifier, ...] = (_CLIENT,)
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pair:
    """A certificate and its key as PEM."""

    cert: bytes
    key: bytes


class Authority:
    """A certificate authority on disk: `NAME.crt` and `NAME.key` in a folder, made if they are not there."""

    def __init__(self, folder: Path, name: str, common_name: str) -> None:
        self._folder = folder
        cert_path, key_path = folder / f"{name}.crt", folder / f"{name}.key"
        if cert_path.exists() and key_path.exists():
            self._cert = x509.load_pem_x509_certificate(cert_path.read_bytes())
            key = serialization.load_pem_private_key(key_path.read_bytes(), None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise ValueError(f"{key_path} is not an elliptic curve key")
            self._key = key
        else:
            self._key = ec.generate_private_key(ec.SECP256R1())
            self._cert = _self_signed(common_name, self._key)
            write_private(key_path, _key_pem(self._key))
            _write_public(cert_path, self.pem)

    @property
    def pem(self) -> bytes:
        """The authority's certificate."""
        return self._cert.public_bytes(serialization.Encoding.PEM)

    def issued(self, cert_pem: bytes, leaf: Leaf, now: datetime.datetime) -> bool:
        """Whether a certificate is ours, says what `leaf` says and is not due for renewal."""
        cert = x509.load_pem_x509_certificate(cert_pem)
        if now >= renewal(cert):
            return False
        if cert.subject != _subject(leaf) or cert.issuer != self._cert.subject:
            return False
        try:
            cert.verify_directly_issued_by(self._cert)
            served = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return not leaf.names
        except (InvalidSignature, ValueError, TypeError):
            return False
        return set(served) == set(_alternative_names(leaf.names))

    def issue(self, leaf: Leaf, seconds: int | None = None) -> Pair:
        """A new key and its certificate, which lives for `seconds`, a year by default."""
        key = ec.generate_private_key(ec.SECP256R1())
        lifetime = datetime.timedelta(days=LEAF_DAYS) if seconds is None else datetime.timedelta(seconds=seconds)
        builder = (
            _builder(_subject(leaf), self._cert.subject, key, lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_LEAF_USE, critical=True)
            .add_extension(x509.ExtendedKeyUsage(leaf.usages), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if leaf.names:
            builder = builder.add_extension(x509.SubjectAlternativeName(_alternative_names(leaf.names)), critical=False)
        cert = builder.sign(self._key, hashes.SHA256())
        return Pair(cert.public_bytes(serialization.Encoding.PEM), _key_pem(key))

    def ensure(self, name: str, leaf: Leaf, seconds: int | None = None) -> bool:
        """Have `NAME.crt` and `NAME.key` in the folder; True when they were made anew, with a life of `seconds`."""
        cert_path, key_path = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        now = datetime.datetime.now(datetime.UTC)
        if cert_path.exists() and key_path.exists() and self.issued(cert_path.read_bytes(), leaf, now):
            return False
        pair = self.issue(leaf, seconds)
        write_private(key_path, pair.key)
        _write_public(cert_path, pair.cert)
        return True


def renewal(cert: x509.Certificate) -> datetime.datetime:
    """When a certificate is due: `RENEW_DAYS` before its end, or with a third of its life left if that is less."""
    end = cert.not_valid_after_utc
    return end - min(datetime.timedelta(days=RENEW_DAYS), (end - cert.not_valid_before_utc - BACKDATE) / 3)


def server_leaf(common_name: str, names: Sequence[str], organizations: tuple[str, ...] = ()) -> Leaf:
    """A certificate to serve under these DNS names and addresses."""
    return Leaf(common_name, organizations, (_SERVER,), tuple(names))


def peer_leaf(common_name: str, names: Sequence[str]) -> Leaf:
    """A certificate for both ends of a connection, as etcd's members need."""
    return Leaf(common_name, (), (_SERVER, _CLIENT), tuple(names))


def ensure_service_account_key(folder: Path) -> None:
    """Have `sa.key` and `sa.pub`, the pair that signs and checks ServiceAccount tokens."""
    if (folder / "sa.key").exists() and (folder / "sa.pub").exists():
        return
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    write_private(folder / "sa.key", _key_pem(key))
    _write_public(folder / "sa.pub", public)


def _subject(leaf: Leaf) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in leaf.organizations]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, leaf.common_name)])


def _alternative_names(names: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, lifetime: datetime.timedelta
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _self_signed(common_name: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    return (
        _builder(name, name, key, datetime.timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_SIGNING, critical=True)
        .sign(key, hashes.SHA256())
    )


def _key_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8
        if isinstance(key, ec.EllipticCurvePrivateKey)
        else serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def write_private(path: Path, data: bytes) -> None:
    """Write a file that its owner alone may read, in one step."""
    _write(path, data, 0o600)


def _write_public(path: Path, data: bytes) -> None:
    _write(path, data, 0o644)


def _write(path: Path, data: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(path.name + ".tmp")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)
    partial.replace(path)
