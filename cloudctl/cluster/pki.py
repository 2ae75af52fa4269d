"""The cluster's certificates, with the names, identities and places kubeadm gives them.

Source: "PKI certificates and requirements" of the Kubernetes documentation. Keys are ECDSA P-256, but the ServiceAccount
key is RSA because its tokens are RS256. Everything is written once and made anew only when it is due for renewal or when
its names have changed; private files have mode 0600, and a file that is replaced keeps its owner.
"""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cloudctl.cluster.pairs import PUBLIC, Pair, read_pair, replace, write_pair
from cloudctl.cluster.state import ClusterError

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


class Authority:
    """A certificate authority on disk: `NAME.key`, and `NAME.crt` with its certificate.

    While a CA is being replaced, `NAME.crt` holds those of the old and of the new; the one that signs is that of the key.
    """

    def __init__(self, folder: Path, name: str, bundle: bytes, key: bytes) -> None:
        """Raises ClusterError for a key that is none of the certificates'."""
        self._folder, self._where, self.bundle = folder, folder / name, bundle
        self._cert, self._key = _signer(bundle, key, self._where)

    @classmethod
    def load(cls, folder: Path, name: str) -> Authority:
        """An authority that is there. Raises ClusterError when it is not, or is of no use."""
        certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
        try:
            return cls(folder, name, certificate.read_bytes(), key.read_bytes())
        except OSError as error:
            raise ClusterError(
                f"the certificate authority is not complete: {error.filename}: {error.strerror}"
            ) from error

    @classmethod
    def have(cls, folder: Path, name: str, common_name: str) -> Authority:
        """An authority, made if neither of its files is there: half of one is not overwritten. Raises ClusterError."""
        paths = folder / f"{name}.crt", folder / f"{name}.key"
        if not any(path.exists() for path in paths):
            write_pair(*paths, new_authority(common_name))
        return cls.load(folder, name)

    @property
    def certificate(self) -> x509.Certificate:
        """That of the key which signs."""
        return self._cert

    def issued(self, cert: x509.Certificate, leaf: Leaf, now: datetime.datetime) -> bool:
        """Whether a certificate is ours, says what `leaf` says and is not due for renewal."""
        if is_due(cert, now) or cert.subject != _subject(leaf) or not is_issued_by(cert, self._cert):
            return False
        return set(served_names(cert)) == set(_alternative_names(leaf.names))

    def issue(self, leaf: Leaf, seconds: int | None = None, now: datetime.datetime | None = None) -> Pair:
        """A new key and its certificate, which lives for `seconds`, a year by default; it ends with the CA at the latest.

        Raises ClusterError when the CA has ended itself.
        """
        begin, latest = now or datetime.datetime.now(datetime.UTC), self._cert.not_valid_after_utc
        if latest <= begin:
            raise ClusterError(
                f"the CA {self._where} has expired at {latest:%F %T} UTC: see `cloudctl certs revive --help`"
            )
        key = ec.generate_private_key(ec.SECP256R1())
        lifetime = datetime.timedelta(days=LEAF_DAYS) if seconds is None else datetime.timedelta(seconds=seconds)
        builder = (
            _builder(_subject(leaf), self._cert.subject, key, begin, min(begin + lifetime, latest))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_LEAF_USE, critical=True)
            .add_extension(x509.ExtendedKeyUsage(leaf.usages), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if leaf.names:
            builder = builder.add_extension(x509.SubjectAlternativeName(_alternative_names(leaf.names)), critical=False)
        cert = builder.sign(self._key, hashes.SHA256())
        return Pair(cert.public_bytes(serialization.Encoding.PEM), _key_pem(key))

    def prolong(self, now: datetime.datetime) -> bool:
        """Have a certificate for the same key that is not due, beside what is still good; True when it was made anew.

        What the authority has issued stays good, and so does the hash of its key; who trusts it must get the new file.
        """
        if not is_due(self._cert, now):
            return False
        fresh = _self_signed(self._cert.subject, self._key, now)
        good = [cert for cert in x509.load_pem_x509_certificates(self.bundle) if cert.not_valid_after_utc > now]
        self._cert, self.bundle = fresh, to_bundle([fresh, *good])
        replace({self._where.with_name(f"{self._where.name}.crt"): (self.bundle, PUBLIC)})
        return True

    def ensure(self, name: str, leaf: Leaf, seconds: int | None = None) -> bool:
        """Have `NAME.crt` and `NAME.key` in the folder; True when they were made anew, with a life of `seconds`."""
        paths = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        held = read_pair(*paths)
        if held is not None and self.issued(held, leaf, datetime.datetime.now(datetime.UTC)):
            return False
        write_pair(*paths, self.issue(leaf, seconds))
        return True


def _signer(bundle: bytes, key: bytes, where: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    try:
        private, certificates = serialization.load_pem_private_key(key, None), x509.load_pem_x509_certificates(bundle)
    except ValueError as error:
        raise ClusterError(f"{where}.crt or {where}.key is damaged: {error}") from error
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise ClusterError(f"{where}.key is not an elliptic curve key")
    found = [cert for cert in certificates if cert.public_key() == private.public_key()]
    if not found:
        raise ClusterError(f"{where}.crt and {where}.key do not belong together")
    return found[0], private


def new_authority(common_name: str, now: datetime.datetime | None = None) -> Pair:
    """A new certificate authority, which has signed itself, for ten years."""
    key, begin = ec.generate_private_key(ec.SECP256R1()), now or datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    return Pair(_self_signed(name, key, begin).public_bytes(serialization.Encoding.PEM), _key_pem(key))


def to_bundle(certificates: Iterable[x509.Certificate]) -> bytes:
    """Certificates as one PEM text, each once."""
    return b"".join(dict.fromkeys(cert.public_bytes(serialization.Encoding.PEM) for cert in certificates))


def renewal(cert: x509.Certificate) -> datetime.datetime:
    """When a certificate is due: `RENEW_DAYS` before its end, or with a third of its life left if that is less."""
    end = cert.not_valid_after_utc
    return end - min(datetime.timedelta(days=RENEW_DAYS), (end - cert.not_valid_before_utc - BACKDATE) / 3)


def is_due(cert: x509.Certificate, now: datetime.datetime) -> bool:
    """Whether it is to be renewed: its time is nearly over, or has not come because the clock was set back."""
    return now >= renewal(cert) or now < cert.not_valid_before_utc


def is_issued_by(cert: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether this very authority has signed it; another one of the same name has not."""
    try:
        cert.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def served_names(cert: x509.Certificate) -> list[x509.GeneralName]:
    """The names and addresses that it is good for as a server's."""
    try:
        return list(cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []


def keeping_names(leaf: Leaf, cert: x509.Certificate) -> Leaf:
    """The leaf, with the names that a present certificate has and the leaf has not. Pure."""
    present = [str(name.value) for name in served_names(cert) if isinstance(name, x509.DNSName | x509.IPAddress)]
    return dataclasses.replace(leaf, names=tuple(dict.fromkeys((*leaf.names, *present))))


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
    replace({folder / "sa.key": (_key_pem(key), 0o600), folder / "sa.pub": (public, 0o644)})


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
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
    end: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _self_signed(name: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime.datetime) -> x509.Certificate:
    return (
        _builder(name, name, key, now, now + datetime.timedelta(days=CA_DAYS))
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
