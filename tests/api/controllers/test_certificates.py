"""CertificateSigningRequests: approved by permission, signed by policy."""

import base64
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from api import meta, resources
from api.types import Object
from tests.api.controllers.world import World, condition, status

KUBELET = "kubernetes.io/kube-apiserver-client-kubelet"
CLIENT = "kubernetes.io/kube-apiserver-client"


def request(name: str, signer: str, common_name: str, organization: str, **spec: object) -> Object:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    pem = base64.b64encode(csr.public_bytes(serialization.Encoding.PEM)).decode()
    usages = ["digital signature", "client auth"]
    return {"metadata": {"name": name}, "spec": {"request": pem, "signerName": signer, "usages": usages, **spec}}


async def approve(world: World, csr: Object) -> None:
    now = {"type": "Approved", "status": "True", "reason": "Test", "message": "because"}
    body = {**csr, "status": {"conditions": [now]}}
    await world.client.update(resources.CERTIFICATESIGNINGREQUESTS, body, subresource="approval")


def certificate(csr: Object) -> x509.Certificate:
    return x509.load_pem_x509_certificate(base64.b64decode(status(csr)["certificate"]))


async def test_a_kubelet_gets_its_client_certificate(world: World) -> None:
    name = f"{world.namespace}-node"
    await world.create(resources.CERTIFICATESIGNINGREQUESTS, request(name, KUBELET, "system:node:n9", "system:nodes"))
    signed = await world.until(resources.CERTIFICATESIGNINGREQUESTS, name, lambda c: status(c).get("certificate"))
    assert condition(signed, "Approved") == "True/AutoApproved"
    assert certificate(signed).subject.rfc4514_string() == "CN=system:node:n9,O=system:nodes"


async def test_an_approved_client_certificate_is_signed_for_the_time_asked(world: World) -> None:
    name = f"{world.namespace}-client"
    body = request(name, CLIENT, "jane", "dev", expirationSeconds=3600)
    made = await world.create(resources.CERTIFICATESIGNINGREQUESTS, body)
    assert not states(made)
    await approve(world, made)
    signed = await world.until(resources.CERTIFICATESIGNINGREQUESTS, name, lambda c: status(c).get("certificate"))
    assert certificate(signed).not_valid_after_utc - datetime.now(UTC) < timedelta(hours=1, minutes=1)


def states(csr: Object) -> list[str]:
    return [c["type"] for c in status(csr).get("conditions") or ()]


async def test_what_breaks_the_signers_rules_fails(world: World) -> None:
    name = f"{world.namespace}-bad"
    made = await world.create(
        resources.CERTIFICATESIGNINGREQUESTS, request(name, CLIENT, "jane", "dev", usages=["server auth"])
    )
    await approve(world, made)
    failed = await world.until(resources.CERTIFICATESIGNINGREQUESTS, name, lambda c: condition(c, "Failed"))
    assert condition(failed, "Failed") == "True/SignerValidationFailure"
    assert not status(failed).get("certificate")
    assert meta.name(failed) == name
