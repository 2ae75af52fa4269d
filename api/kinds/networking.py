"""Kinds of the group networking.k8s.io: ingress, network policy and service addresses."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from api.kinds.base import ATOMIC, IMMUTABLE, LISTED, REQUIRED, Int32, IntOrString, MergeKey, Model, OneOf
from api.kinds.core.references import TypedLocalObjectReference
from api.kinds.meta import Condition, Kind, LabelSelector


class ServiceBackendPort(Model):
    """A port of a service by name or number."""

    ATOMIC_MAP = True

    name: str | None = None
    number: Int32 | None = None


class IngressServiceBackend(Model):
    """A service and its port."""

    name: Annotated[str | None, REQUIRED] = None
    port: ServiceBackendPort | None = None


class IngressBackend(Model):
    """Where requests go."""

    resource: TypedLocalObjectReference | None = None
    service: IngressServiceBackend | None = None


class HTTPIngressPath(Model):
    """A path and where its requests go."""

    backend: Annotated[IngressBackend | None, REQUIRED] = None
    path: str | None = None
    pathType: Annotated[str | None, REQUIRED, OneOf("Exact", "ImplementationSpecific", "Prefix")] = None


class HTTPIngressRuleValue(Model):
    """The paths of a host."""

    paths: Annotated[list[HTTPIngressPath] | None, ATOMIC, REQUIRED] = None


class ParentReference(Model):
    """The object that uses an address."""

    group: str | None = None
    name: Annotated[str | None, REQUIRED] = None
    namespace: str | None = None
    resource: Annotated[str | None, REQUIRED] = None


class IPAddressSpec(Model):
    """Who uses an address."""

    parentRef: Annotated[ParentReference | None, REQUIRED] = None


class IPAddress(Kind):
    """An address in use by a service."""

    spec: Annotated[IPAddressSpec, REQUIRED] = Field(default_factory=IPAddressSpec)


class IPBlock(Model):
    """A range of addresses, with exceptions."""

    cidr: Annotated[str | None, REQUIRED] = None
    except_: Annotated[list[str] | None, ATOMIC] = Field(default=None, alias="except")


class IngressRule(Model):
    """A host and its paths."""

    host: str | None = None
    http: HTTPIngressRuleValue | None = None


class IngressTLS(Model):
    """The certificate for some hosts."""

    hosts: Annotated[list[str] | None, ATOMIC] = None
    secretName: str | None = None


class IngressSpec(Model):
    """Which requests go where."""

    defaultBackend: IngressBackend | None = None
    ingressClassName: str | None = None
    rules: Annotated[list[IngressRule] | None, ATOMIC] = None
    tls: Annotated[list[IngressTLS] | None, ATOMIC] = None


class IngressPortStatus(Model):
    """What a load balancer says about one port."""

    error: str | None = None
    port: Annotated[Int32, LISTED] = 0
    protocol: Annotated[str, LISTED] = ""


class IngressLoadBalancerIngress(Model):
    """One address of an ingress."""

    hostname: str | None = None
    ip: str | None = None
    ports: Annotated[list[IngressPortStatus] | None, ATOMIC] = None


class IngressLoadBalancerStatus(Model):
    """The addresses of an ingress."""

    ingress: Annotated[list[IngressLoadBalancerIngress] | None, ATOMIC] = None


class IngressStatus(Model):
    """Where an ingress is reached."""

    loadBalancer: IngressLoadBalancerStatus | None = None


class Ingress(Kind):
    """Routes HTTP requests to services by host and path."""

    spec: IngressSpec = Field(default_factory=IngressSpec)
    status: IngressStatus = Field(default_factory=IngressStatus)


class IngressClassParametersReference(Model):
    """The object with a class's settings."""

    apiGroup: str | None = None
    kind: Annotated[str | None, REQUIRED] = None
    name: Annotated[str | None, REQUIRED] = None
    namespace: str | None = None
    scope: Annotated[str, OneOf("Cluster", "Namespace")] = "Cluster"


class IngressClassSpec(Model):
    """Which controller serves a class, with which settings."""

    controller: Annotated[str | None, IMMUTABLE] = None
    parameters: IngressClassParametersReference | None = None


class IngressClass(Kind):
    """A kind of ingress that a controller serves."""

    spec: IngressClassSpec = Field(default_factory=IngressClassSpec)


class NetworkPolicyPeer(Model):
    """Pods, namespaces or addresses."""

    ipBlock: IPBlock | None = None
    namespaceSelector: LabelSelector | None = None
    podSelector: LabelSelector | None = None


class NetworkPolicyPort(Model):
    """A port or a range of ports."""

    endPort: Int32 | None = None
    port: IntOrString | None = None
    protocol: Annotated[str, OneOf("TCP", "UDP", "SCTP")] = "TCP"


class NetworkPolicyEgressRule(Model):
    """Where pods may connect to."""

    ports: Annotated[list[NetworkPolicyPort] | None, ATOMIC] = None
    to: Annotated[list[NetworkPolicyPeer] | None, ATOMIC] = None


class NetworkPolicyIngressRule(Model):
    """From where pods may be reached."""

    from_: Annotated[list[NetworkPolicyPeer] | None, ATOMIC] = Field(default=None, alias="from")
    ports: Annotated[list[NetworkPolicyPort] | None, ATOMIC] = None


class NetworkPolicySpec(Model):
    """Which pods are meant and what they may do."""

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
    """Which connections pods may make and take."""

    spec: NetworkPolicySpec = Field(default_factory=NetworkPolicySpec)


class ServiceCIDRSpec(Model):
    """The ranges from which services get addresses."""

    cidrs: Annotated[list[str] | None, ATOMIC] = None


class ServiceCIDRStatus(Model):
    """Whether a range is in use."""

    conditions: Annotated[list[Condition] | None, MergeKey("type")] = None


class ServiceCIDR(Kind):
    """A range from which services get addresses."""

    spec: ServiceCIDRSpec = Field(default_factory=ServiceCIDRSpec)
    status: ServiceCIDRStatus = Field(default_factory=ServiceCIDRStatus)
