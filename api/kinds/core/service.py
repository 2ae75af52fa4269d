"""Services and Endpoints."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from api.kinds.base import ATOMIC, LISTED, PORT, REQUIRED, Bounds, Int32, IntOrString, MergeKey, Model, OneOf
from api.kinds.core.references import ObjectReference
from api.kinds.meta import Condition, Kind


class ClientIPConfig(Model):
    """How long a client stays with one pod."""

    timeoutSeconds: Annotated[Int32 | None, Bounds(1, 86400)] = None


class SessionAffinityConfig(Model):
    """The settings of session affinity."""

    clientIP: ClientIPConfig | None = None


class ServicePort(Model):
    """One port of a service, and where its connections go."""

    appProtocol: str | None = None
    name: str | None = None
    nodePort: Annotated[Int32 | None, Bounds(0, 65535)] = None
    port: Annotated[Int32, LISTED, PORT] = 0
    protocol: Annotated[str, OneOf("TCP", "UDP", "SCTP")] = "TCP"
    targetPort: IntOrString | None = None

    @model_validator(mode="after")
    def _default(self) -> Self:
        if self.targetPort in (None, 0, ""):
            self.targetPort = self.port
        return self


class ServiceSpec(Model):
    """How a service is reached and which pods answer."""

    allocateLoadBalancerNodePorts: bool | None = None
    clusterIP: str | None = None
    clusterIPs: Annotated[list[str] | None, ATOMIC] = None
    externalIPs: Annotated[list[str] | None, ATOMIC] = None
    externalName: str | None = None
    externalTrafficPolicy: Annotated[str | None, OneOf("Cluster", "Local")] = None
    healthCheckNodePort: Int32 | None = None
    internalTrafficPolicy: Annotated[str | None, OneOf("Cluster", "Local")] = None
    ipFamilies: Annotated[list[str] | None, ATOMIC, OneOf("IPv4", "IPv6")] = None
    ipFamilyPolicy: Annotated[str | None, OneOf("SingleStack", "PreferDualStack", "RequireDualStack")] = None
    loadBalancerClass: str | None = None
    loadBalancerIP: str | None = None
    loadBalancerSourceRanges: Annotated[list[str] | None, ATOMIC] = None
    ports: Annotated[list[ServicePort] | None, MergeKey("port", keys=("port", "protocol"))] = None
    publishNotReadyAddresses: bool | None = None
    selector: Annotated[dict[str, str] | None, ATOMIC] = None
    sessionAffinity: Annotated[str, OneOf("ClientIP", "None")] = "None"
    sessionAffinityConfig: SessionAffinityConfig | None = None
    trafficDistribution: Annotated[str | None, OneOf("PreferClose", "PreferSameZone", "PreferSameNode")] = None
    type: Annotated[str, OneOf("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")] = "ClusterIP"

    @model_validator(mode="after")
    def _default(self) -> Self:
        if self.sessionAffinity == "ClientIP":
            self.sessionAffinityConfig = self.sessionAffinityConfig or SessionAffinityConfig()
            self.sessionAffinityConfig.clientIP = self.sessionAffinityConfig.clientIP or ClientIPConfig(
                timeoutSeconds=10800
            )
            self.sessionAffinityConfig.clientIP.timeoutSeconds = (
                self.sessionAffinityConfig.clientIP.timeoutSeconds or 10800
            )
        elif self.sessionAffinity == "None":
            self.sessionAffinityConfig = None
        reachable = self.type in ("NodePort", "LoadBalancer") or (self.type == "ClusterIP" and self.externalIPs)
        if reachable and not self.externalTrafficPolicy:
            self.externalTrafficPolicy = "Cluster"
        if self.type != "ExternalName" and not self.internalTrafficPolicy:
            self.internalTrafficPolicy = "Cluster"
        if self.type == "LoadBalancer" and self.allocateLoadBalancerNodePorts is None:
            self.allocateLoadBalancerNodePorts = True
        return self


class PortStatus(Model):
    """What a load balancer says about one port."""

    error: str | None = None
    port: Annotated[Int32, LISTED] = 0
    protocol: Annotated[str, LISTED] = ""


class LoadBalancerIngress(Model):
    """One address of a load balancer."""

    hostname: str | None = None
    ip: str | None = None
    ipMode: str | None = None
    ports: Annotated[list[PortStatus] | None, ATOMIC] = None


class LoadBalancerStatus(Model):
    """The addresses of a load balancer."""

    ingress: Annotated[list[LoadBalancerIngress] | None, ATOMIC] = None


class ServiceStatus(Model):
    """The addresses of a service's load balancer."""

    conditions: Annotated[list[Condition] | None, MergeKey("type")] = None
    loadBalancer: LoadBalancerStatus = Field(default_factory=LoadBalancerStatus)


class Service(Kind):
    """One address for a changing set of pods."""

    spec: ServiceSpec = Field(default_factory=ServiceSpec)
    status: ServiceStatus = Field(default_factory=ServiceStatus)


class EndpointAddress(Model):
    """One address behind a service."""

    ATOMIC_MAP = True

    hostname: str | None = None
    ip: Annotated[str | None, REQUIRED] = None
    nodeName: str | None = None
    targetRef: ObjectReference | None = None


class EndpointPort(Model):
    """One port behind a service."""

    ATOMIC_MAP = True

    appProtocol: str | None = None
    name: str | None = None
    port: Annotated[Int32, LISTED, PORT] = 0
    protocol: Annotated[str, OneOf("TCP", "UDP", "SCTP")] = "TCP"


class EndpointSubset(Model):
    """Addresses that share the same ports."""

    addresses: Annotated[list[EndpointAddress] | None, ATOMIC] = None
    notReadyAddresses: Annotated[list[EndpointAddress] | None, ATOMIC] = None
    ports: Annotated[list[EndpointPort] | None, ATOMIC] = None


class Endpoints(Kind):
    """The addresses behind a service; EndpointSlice is its successor."""

    subsets: Annotated[list[EndpointSubset] | None, ATOMIC] = None
