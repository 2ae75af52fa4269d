"""What the built-in signers sign. Pure.

Source: the Kubernetes documentation, "Certificates and Certificate Signing Requests: Kubernetes signers".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
LEGACY = "kubernetes.io/legacy-unknown"
SIGNERS = (CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY)

_NODES, _NODE, _MASTERS = "system:nodes", "system:node:", "system:masters"
_EITHER = {"key encipherment", "digital signature"}


@dataclass(frozen=True, slots=True)
class Request:
    """A parsed request: its subject, its alternative names, the usages asked for, and who asked."""

    csr: x509.CertificateSigningRequest
    usages: frozenset[str]
    username: str

    @property
    def common_name(self) -> str:
        names = self.csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(names[0].value) if names else ""

    @property
    def organizations(self) -> list[str]:
        return [str(a.value) for a in self.csr.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]

    @property
    def alternative_names(self) -> list[x509.GeneralName]:
        try:
            return list(self.csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        except x509.ExtensionNotFound:
            return []


def parse(spec: Mapping[str, object], pem: bytes) -> Request:
    """The request in a CSR's spec. Raises ValueError when the PEM is none or its signature does not hold."""
    csr = x509.load_pem_x509_csr(pem)
    if not csr.is_signature_valid:
        raise ValueError("the request is not signed with its own key")
    usages = spec.get("usages")
    return Request(csr, frozenset(usages if isinstance(usages, list) else ()), str(spec.get("username") or ""))


def refusal(signer: str, request: Request) -> str | None:
    """Why the signer must not sign the request, None if it may."""
    if signer == KUBELET_CLIENT:
        return _kubelet(request, "client auth", client=True)
    if signer == KUBELET_SERVING:
        return _kubelet(request, "server auth", client=False) or _serving(request)
    if signer == CLIENT:
        if "client auth" not in request.usages or request.usages - _EITHER - {"client auth"}:
            return "usages must include 'client auth' and may add 'digital signature' and 'key encipherment' only"
        return f"the organization {_MASTERS} is not allowed" if _MASTERS in request.organizations else None
    return None if signer == LEGACY else f"{signer} is no signer of this controller"


def _kubelet(request: Request, usage: str, *, client: bool) -> str | None:
    if request.organizations != [_NODES]:
        return f"the organization must be exactly {_NODES}"
    if not request.common_name.startswith(_NODE):
        return f"the common name must start with {_NODE}"
    if client and request.alternative_names:
        return "alternative names are not allowed"
    if usage not in request.usages or request.usages - _EITHER - {usage}:
        return f"usages must be {usage!r}, 'digital signature' and, if need be, 'key encipherment'"
    return None


def _serving(request: Request) -> str | None:
    if request.username and request.username != request.common_name:
        return "the common name must be that of the node that asks"
    names = request.alternative_names
    if not names or not all(isinstance(n, x509.DNSName | x509.IPAddress) for n in names):
        return "at least one DNS name or IP address and nothing else must be an alternative name"
    return None


def is_own_client(request: Request) -> bool:
    """Whether a node asks for its own client certificate (a renewal)."""
    return request.username == request.common_name
