"""A cluster's CA in memory, and an API that knows CertificateSigningRequests alone."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from api.types import Object, Resource
from controllers.certificates import policy
from controllers.certificates.authority import Authority
from kubelet.certificates.pair import Pair, parse
from kubelet.certificates.signing import Wanted, signing_request


def authority(name: str = "kubernetes", days: int = 1000) -> tuple[bytes, bytes]:
    """Certificate and key of a new CA, both PEM."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), _pem(key)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def issue(
    ca: Authority, wanted: Wanted, seconds: float = 3600.0, now: datetime | None = None, key_of: bytes = b""
) -> bytes:
    """A certificate with its key as PEM; with `key_of`, that key stands where the right one should."""
    key = ec.generate_private_key(ec.SECP256R1())
    spec = {"usages": list(wanted.usages), "username": wanted.common_name}
    request = policy.parse(spec, signing_request(wanted, key))
    return ca.sign(request, timedelta(seconds=seconds), now or datetime.now(UTC)) + (key_of or _pem(key))


def pair(ca: Authority, wanted: Wanted, seconds: float, now: float) -> Pair:
    """A pair that is signed at a moment (seconds since 1970) for so many seconds."""
    return parse(issue(ca, wanted, seconds, datetime.fromtimestamp(now, UTC)))


class SigningApi:
    """Holds the requests; `decide` makes of each what a controller would."""

    def __init__(self, decide: Callable[[Object], Object | None]) -> None:
        """`decide` gives the request's new status; None leaves it undecided."""
        self.requests: list[Object] = []
        self._decide = decide

    async def create(self, _resource: Resource, obj: Object) -> Object:
        name = f"{obj['metadata']['generateName']}{len(self.requests)}"
        self.requests.append({**obj, "metadata": {"name": name, "resourceVersion": "1"}})
        return self.requests[-1]

    async def list(self, *_: Any, field_selector: str, **__: Any) -> Object:
        found = [r for r in self.requests if field_selector == f"metadata.name={r['metadata']['name']}"]
        return {"metadata": {"resourceVersion": "1"}, "items": [dict(r) for r in found]}

    async def watch(self, *_: Any, field_selector: str, **__: Any) -> AsyncIterator[Object]:
        (found,) = (r for r in self.requests if field_selector == f"metadata.name={r['metadata']['name']}")
        decided = self._decide(found)
        if decided is None:
            yield {"type": "DELETED", "object": found}
        else:
            yield {"type": "MODIFIED", "object": {**found, "status": decided}}
        await asyncio.Event().wait()


def signer(ca: Authority, seconds: float = 3600.0) -> Callable[[Object], Object]:
    """Signs whatever it is asked for."""

    def decide(csr: Object) -> Object:
        request = policy.parse(csr["spec"], base64.b64decode(csr["spec"]["request"]))
        pem = ca.sign(request, timedelta(seconds=seconds), datetime.now(UTC))
        return {"conditions": [{"type": "Approved", "status": "True"}], "certificate": base64.b64encode(pem).decode()}

    return decide
