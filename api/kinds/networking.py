"""The models of networking."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from api.kinds.base import ATOMIC, IMMUTABLE, LISTED, REQUIRED, Int32, IntOrString, MergeKey, Model, OneOf
from api.kinds.core.references import TypedLocalObjectReference
from api.kinds.meta import Condition, Kind, LabelSelector


class ServiceBackendPort(Model):
    """Service Backend Port."""

    ATOMIC = True

    name: str | None = None
    number: Int32 | None = None


class IngressServiceBackend(Model):
    """Ingress Service Backend."""

    name: Annotated[str | None, REQUIRED] = None
    port: ServiceBackendPort | None = None


class IngressBackend(Model):
    """Ingress Backend."""

    resource: TypedLocalObjectReference | None = None
    service: IngressServiceBackend | None = None


class HTTPIngressPath(Model):
    """HTTP Ingress Path."""

    backend: Annotated[IngressBackend | None, REQUIRED] = None
    path: str | None = None
    pathType: Annotated[str | None, REQUIRED, OneOf("Exact", "ImplementationSpecific", "Prefix")] = None


class HTTPIngressRuleValue(Model):
    """HTTP Ingress Rule Value."""

    paths: Annotated[list[HTTPIngressPath] | None, ATOMIC, REQUIRED] = None


class ParentReference(Model):
    """A reference: Parent."""

    group: str | None = None
    name: Annotated[str | None, REQUIRED] = None
    namespace: str | None = None
    resource: Annotated[str | None, REQUIRED] = None


class IPAddressSpec(Model):
    """What is wanted of an IP Address."""

    parentRef: Annotated[ParentReference | None, REQUIRED] = None


class IPAddress(Kind):
    """IP Address."""

    spec: Annotated[IPAddressSpec, REQUIRED] = Field(default_factory=IPAddressSpec)


class IPBlock(Model):
    """IP Block."""

    cidr: Annotated[str | None, REQUIRED] = None
    except_: Annotated[list[str] | None, ATOMIC] = Field(default=None, alias="except")


class IngressRule(Model):
    """Ingress Rule."""

    host: str | None = None
    http: HTTPIngressRuleValue | None = None


class IngressTLS(Model):
    """Ingress TLS."""

    hosts: Annotated[list[str] | None, ATOMIC] = None
    secretName: str | None = None


class IngressSpec(Model):
    """What is wanted of an Ingress."""

    defaultBackend: IngressBackend | None = None
    ingressClassName: str | None = None
    rules: Annotated[list[IngressRule] | None, ATOMIC] = None
    tls: Annotated[list[IngressTLS] | None, ATOMIC] = None


class IngressPortStatus(Model):
    """What has been observed of an Ingress Port."""

    error: str | None = None
    port: Annotated[Int32 | None, LISTED] = None
    protocol: Annotated[str | None, LISTED] = None


class IngressLoadBalancerIngress(Model):
    """Ingress Load Balancer Ingress."""

    hostname: str | None = None
    ip: str | None = None
    ports: Annotated[list[IngressPortStatus] | None, ATOMIC] = None


class IngressLoadBalancerStatus(Model):
    """What has been observed of an Ingress Load Balancer."""

    ingress: Annotated[list[IngressLoadBalancerIngress] | None, ATOMIC] = None


class IngressStatus(Model):
    """What has been observed of an Ingress."""

    loadBalancer: IngressLoadBalancerStatus | None = None


class Ingress(Kind):
    """Ingress."""

    spec: IngressSpec = Field(default_factory=IngressSpec)
    status: IngressStatus = Field(default_factory=IngressStatus)


class IngressClassParametersReference(Model):
    """A reference: Ingress Class Parameters."""

    apiGroup: str | None = None
    kind: str | None = None
    name: Annotated[str | None, REQUIRED] = None
    namespace: str | None = None
    scope: Annotated[str, OneOf("Cluster", "Namespace")] = "Cluster"


class IngressClassSpec(Model):
    """What is wanted of an Ingress Class."""

    controller: Annotated[str | None, IMMUTABLE] = None
    parameters: IngressClassParametersReference | None = None


class IngressClass(Kind):
    """Ingress Class."""

    spec: IngressClassSpec = Field(default_factory=IngressClassSpec)


class NetworkPolicyPeer(Model):
    """Network Policy Peer."""

    ipBlock: IPBlock | None = None
    namespaceSelector: LabelSelector | None = None
    podSelector: LabelSelector | None = None


class NetworkPolicyPort(Model):
    """Network Policy Port."""

    endPort: Int32 | None = None
    port: IntOrString | None = None
    protocol: Annotated[str, OneOf("TCP", "UDP", "SCTP")] = "TCP"


class NetworkPolicyEgressRule(Model):
    """Network Policy Egress Rule."""

    ports: Annotated[list[NetworkPolicyPort] | None, ATOMIC] = None
    to: Annotated[list[NetworkPolicyPeer] | None, ATOMIC] = None


class NetworkPolicyIngressRule(Model):
    """Network Policy Ingress Rule."""

    from_: Annotated[list[NetworkPolicyPeer] | None, ATOMIC] = Field(default=None, alias="from")
    ports: Annotated[list[NetworkPolicyPort] | None, ATOMIC] = None


class NetworkPolicySpec(Model):
    """What is wanted of a Network Policy."""

    egress: Annotated[list[NetworkPolicyEgressRule] | None, ATOMIC] = None
    ingress: Annotated[list[NetworkPolicyIngressRule] | None, ATOMIC] = None
    podSelector: LabelSelector | None = None
    policyTypes: Annotated[list[str] | None, ATOMIC, OneOf("Egress", "Ingress")] = None

    @model_validator(mode="after")
    def _default(self) -> Self:
        if not self.policyTypes:
            self.policyTypes = ["Ingress", "Egress"] if self.egress else ["Ingress"]
        return self


class NetworkPolicy(Kind):
    """Network Policy."""

    spec: NetworkPolicySpec = Field(default_factory=NetworkPolicySpec)


class ServiceCIDRSpec(Model):
    """What is wanted of a Service CIDR."""

    cidrs: Annotated[list[str] | None, ATOMIC] = None


class ServiceCIDRStatus(Model):
    """What has been observed of a Service CIDR."""

    conditions: Annotated[list[Condition] | None, MergeKey("type")] = None


class ServiceCIDR(Kind):
    """Service CIDR."""

    spec: ServiceCIDRSpec = Field(default_factory=ServiceCIDRSpec)
    status: ServiceCIDRStatus = Field(default_factory=ServiceCIDRStatus)
