"""The models of core.service."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from api.kinds.base import ATOMIC, LISTED, PORT, REQUIRED, Bounds, Int32, IntOrString, MergeKey, Model, OneOf
from api.kinds.core.references import ObjectReference
from api.kinds.meta import Condition, Kind


class ClientIPConfig(Model):
    """Client IP Config."""

    timeoutSeconds: Annotated[Int32 | None, Bounds(1, 86400)] = None


class SessionAffinityConfig(Model):
    """Session Affinity Config."""

    clientIP: ClientIPConfig | None = None


class ServicePort(Model):
    """Service Port."""

    appProtocol: str | None = None
    name: str | None = None
    nodePort: Annotated[Int32 | None, Bounds(0, 65535)] = None
    port: Annotated[Int32 | None, REQUIRED, PORT] = None
    protocol: Annotated[str, OneOf("TCP", "UDP", "SCTP")] = "TCP"
    targetPort: IntOrString | None = None

    @model_validator(mode="after")
    def _default(self) -> Self:
        if self.targetPort in (None, 0, ""):
            self.targetPort = self.port
        return self


class ServiceSpec(Model):
    """What is wanted of a Service."""

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
    """What has been observed of a Port."""

    error: str | None = None
    port: Annotated[Int32 | None, LISTED] = None
    protocol: Annotated[str | None, LISTED] = None


class LoadBalancerIngress(Model):
    """Load Balancer Ingress."""

    hostname: str | None = None
    ip: str | None = None
    ipMode: str | None = None
    ports: Annotated[list[PortStatus] | None, ATOMIC] = None


class LoadBalancerStatus(Model):
    """What has been observed of a Load Balancer."""

    ingress: Annotated[list[LoadBalancerIngress] | None, ATOMIC] = None


class ServiceStatus(Model):
    """What has been observed of a Service."""

    conditions: Annotated[list[Condition] | None, MergeKey("type")] = None
    loadBalancer: LoadBalancerStatus = Field(default_factory=LoadBalancerStatus)


class Service(Kind):
    """Service."""

    spec: ServiceSpec = Field(default_factory=ServiceSpec)
    status: ServiceStatus = Field(default_factory=ServiceStatus)


class EndpointAddress(Model):
    """Endpoint Address."""

    ATOMIC = True

    hostname: str | None = None
    ip: Annotated[str | None, REQUIRED] = None
    nodeName: str | None = None
    targetRef: ObjectReference | None = None


class EndpointPort(Model):
    """Endpoint Port."""

    ATOMIC = True

    appProtocol: str | None = None
    name: str | None = None
    port: Annotated[Int32 | None, LISTED, PORT] = None
    protocol: Annotated[str, OneOf("TCP", "UDP", "SCTP")] = "TCP"


class EndpointSubset(Model):
    """Endpoint Subset."""

    addresses: Annotated[list[EndpointAddress] | None, ATOMIC] = None
    notReadyAddresses: Annotated[list[EndpointAddress] | None, ATOMIC] = None
    ports: Annotated[list[EndpointPort] | None, ATOMIC] = None


class Endpoints(Kind):
    """Endpoints."""

    subsets: Annotated[list[EndpointSubset] | None, ATOMIC] = None
