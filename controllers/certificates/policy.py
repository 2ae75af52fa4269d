"""What the built-in signers sign. Pure.

Source: the Kubernetes documentation, "Certificates and Certificate Signing Requests: Kubernetes signers".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
LEGACY = "kubernetes.io/legacy-unknown"
SIGNERS = (CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY)

NODES, _NODE, _MASTERS = "system:nodes", "system:node:", "system:masters"
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
    def names(self) -> list[str]:
        """The DNS names and addresses among the alternative names, as text."""
        return [str(n.value) for n in self.alternative_names if isinstance(n, x509.DNSName | x509.IPAddress)]

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
    if request.organizations != [NODES]:
        return f"the organization must be exactly {NODES}"
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


def serving_mismatch(request: Request, nodes: Iterable[Mapping[str, Any]]) -> str | None:
    """Why a node's serving certificate must not be approved, None if it may: each name is its own and nobody else's.

    Its own are the node's name and what its status gives as internal and external addresses. A node states its addresses
    itself, so those that another node has too, and the machine's own loopback, are not taken on its word.
    """
    known = {node["metadata"]["name"]: _addresses(node) for node in nodes}
    name = request.common_name.removeprefix(_NODE)
    if name not in known:
        return f"there is no node {name}"
    own = {name, *known.pop(name)}
    others = {text for each, addresses in known.items() for text in (each, *addresses)}
    for asked in request.names:
        if asked not in own:
            return f"{asked} is no address of node {name}"
        if asked in others or _is_loopback(asked):
            return f"{asked} is not node {name}'s alone"
    return None


def _addresses(node: Mapping[str, Any]) -> set[str]:
    stated = (node.get("status") or {}).get("addresses") or ()
    return {str(entry["address"]) for entry in stated if entry["type"] in ("InternalIP", "ExternalIP")}


def _is_loopback(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_loopback
    except ValueError:
        return text == "localhost"


def is_own_client(request: Request) -> bool:
    """Whether a node asks for its own client certificate (a renewal)."""
    return request.username == request.common_name
