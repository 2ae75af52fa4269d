"""Asks the cluster to sign: a key made here, a CertificateSigningRequest, and a watch until somebody has decided.

Source: Kubernetes, "TLS bootstrapping" and "Certificates and Certificate Signing Requests".
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from api import meta, resources
from api.types import Object
from client.reflector import Reflector
from client.rest import ApiClient
from kubelet.certificates.pair import Pair, parse

DECISION_SECONDS = 900.0
"""How long to wait for a decision before asking anew: an operator may have to make it."""


class NotSigned(Exception):
    """There will be no certificate for this request; the text says why and what helps."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to ask for. `names` are DNS names and addresses, for a serving certificate."""

    common_name: str
    signer: str
    usages: tuple[str, ...]
    names: frozenset[str] = frozenset()


def client_certificate(node: str) -> Wanted:
    """By which the node's kubelet and proxy show themselves to the API server."""
    return Wanted(
        f"system:node:{node}", "kubernetes.io/kube-apiserver-client-kubelet", ("digital signature", "client auth")
    )


def serving_certificate(node: str, addresses: tuple[str, ...]) -> Wanted:
    """By which the API server knows the node."""
    usages = ("digital signature", "server auth")
    return Wanted(f"system:node:{node}", "kubernetes.io/kubelet-serving", usages, frozenset((node, *addresses)))


def signing_request(wanted: Wanted, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The PKCS #10 request as PEM."""
    subject = [(NameOID.ORGANIZATION_NAME, "system:nodes"), (NameOID.COMMON_NAME, wanted.common_name)]
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(oid, value) for oid, value in subject])
    )
    if wanted.names:
        names = [_name(text) for text in sorted(wanted.names)]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


class _Decision:
    """Where the watch of the one request puts what it sees."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.made: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def replace(self, objects: list[Object]) -> None:
        self.apply("MODIFIED" if objects else "DELETED", objects[0] if objects else {})

    def apply(self, kind: str, csr: Object) -> None:
        if self.made.done():
            return
        if kind == "DELETED":
            self.made.set_exception(NotSigned(f"request {self._name} was deleted before it was signed"))
            return
        status = csr.get("status") or {}
        refused = [c for c in status.get("conditions") or () if c["type"] in ("Denied", "Failed")]
        if refused:
            why = refused[0].get("message") or refused[0].get("reason") or ""
            self.made.set_exception(NotSigned(f"request {self._name} is {refused[0]['type'].lower()}: {why}"))
        elif status.get("certificate"):
            self.made.set_result(base64.b64decode(status["certificate"]))


async def signed(client: ApiClient, wanted: Wanted, seconds: float = DECISION_SECONDS) -> Pair:
    """A fresh certificate with a fresh key. Raises ApiError, NotSigned; the latter also when nobody decides in time."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = base64.b64encode(signing_request(wanted, key)).decode()
    spec = {"request": request, "signerName": wanted.signer, "usages": list(wanted.usages)}
    made = await client.create(
        resources.CERTIFICATESIGNINGREQUESTS, {"metadata": {"generateName": "csr-"}, "spec": spec}
    )
    certificate = await _decided(client, meta.name(made), seconds)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        return parse(certificate.rstrip() + b"\n" + private)
    except ValueError as error:
        raise NotSigned(f"request {meta.name(made)} was answered with a certificate of no use: {error}") from error


async def _decided(client: ApiClient, name: str, seconds: float) -> bytes:
    decision = _Decision(name)
    reflector = Reflector(
        client, resources.CERTIFICATESIGNINGREQUESTS, decision, field_selector=f"metadata.name={name}"
    )
    watch = asyncio.create_task(reflector.run(), name=f"signing request {name}")
    try:
        async with asyncio.timeout(seconds):
            return await decision.made
    except TimeoutError:
        raise NotSigned(
            f"nobody decided on request {name} within {seconds:g} s: is the controller manager running? "
            f"If it does not approve by itself: kubectl certificate approve {name}"
        ) from None
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
