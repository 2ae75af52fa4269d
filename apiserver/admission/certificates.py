"""Certificate plugins: who may approve and sign for a signer, and which subjects a client certificate may not name."""

import base64
import binascii

from cryptography import x509
from cryptography.x509.oid import NameOID

from api import errors
from api.resources import CERTIFICATESIGNINGREQUESTS as REQUESTS
from api.types import Object
from apiserver.auth.attributes import Attributes, Authorizer
from apiserver.auth.user import MASTERS
from apiserver.plugins import AdmissionRequest

GROUP = "certificates.k8s.io"
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"


def _may(authorizer: Authorizer, request: AdmissionRequest, verb: str, signer: str) -> bool:
    """Ask for the verb on the signer, or on all signers of its domain."""
    domain = signer.partition("/")[0]
    asked = (Attributes(request.user, verb, GROUP, "*", "signers", name=name) for name in (signer, f"{domain}/*"))
    return any(authorizer.authorize(question).allowed for question in asked)


def _changed(request: AdmissionRequest, *path: str) -> bool:
    new: object = request.object
    old: object = request.old
    for part in path:
        new = new.get(part) if isinstance(new, dict) else None
        old = old.get(part) if isinstance(old, dict) else None
    return (new or None) != (old or None)


class CertificateApproval:
    """Only who may `approve` the signer approves or denies a request."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def __call__(self, request: AdmissionRequest) -> None:
        """Check an update of the subresource approval."""
        if request.resource is not REQUESTS or request.subresource != "approval" or request.operation != "UPDATE":
            return
        signer = (request.old or {}).get("spec", {}).get("signerName", "")
        if not _may(self._authorizer, request, "approve", signer):
            why = f'user not permitted to approve requests with signerName "{signer}"'
            raise errors.forbidden(REQUESTS, request.name, why)


class CertificateSigning:
    """Only who may `sign` for the signer puts a certificate (or a failure) into the status."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def __call__(self, request: AdmissionRequest) -> None:
        """Check an update of the subresource status."""
        if request.resource is not REQUESTS or request.subresource != "status" or request.operation != "UPDATE":
            return
        if not (_changed(request, "status", "certificate") or _failed(request.object) != _failed(request.old)):
            return
        signer = (request.old or {}).get("spec", {}).get("signerName", "")
        if not _may(self._authorizer, request, "sign", signer):
            raise errors.forbidden(
                REQUESTS, request.name, f'user not permitted to sign requests with signerName "{signer}"'
            )


def _failed(obj: Object | None) -> bool:
    conditions = ((obj or {}).get("status") or {}).get("conditions") or ()
    return any(condition.get("type") == "Failed" for condition in conditions)


async def certificate_requester(request: AdmissionRequest) -> None:
    """Write down who asks: a request carries its author's name, uid, groups and extra, whatever the author wrote there."""
    if request.resource is not REQUESTS or request.operation != "CREATE" or request.object is None:
        return
    spec = request.object.setdefault("spec", {})
    for field in ("username", "uid", "groups", "extra"):
        spec.pop(field, None)
    spec |= request.user.as_object()


async def certificate_subject_restriction(request: AdmissionRequest) -> None:
    """CertificateSubjectRestriction: nobody asks for a client certificate of the group system:masters."""
    obj = request.object
    if request.resource is not REQUESTS or request.operation != "CREATE" or request.subresource or obj is None:
        return
    if obj["spec"].get("signerName") != CLIENT_SIGNER:
        return
    try:
        parsed = x509.load_pem_x509_csr(base64.b64decode(obj["spec"].get("request", ""), validate=True))
    except (binascii.Error, ValueError):
        return  # validation names the bad field
    groups = [attribute.value for attribute in parsed.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    if MASTERS in groups:
        why = f"use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed"
        raise errors.forbidden(REQUESTS, request.name, why)
