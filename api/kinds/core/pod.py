"""Pods, their templates and their binding."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from api.kinds.base import ATOMIC, NON_NEGATIVE, REQUIRED, Bounds, Int32, Int64, MergeKey, Model, OneOf, Quantity
from api.kinds.core.placement import (
    Affinity,
    PodSchedulingGate,
    PodSchedulingGroup,
    Toleration,
    TopologySpreadConstraint,
)
from api.kinds.core.pod_containers import Container, EphemeralContainer
from api.kinds.core.pod_status import PodStatus
from api.kinds.core.pod_volumes import Volume
from api.kinds.core.references import LocalObjectReference, ObjectReference
from api.kinds.core.resources import ResourceRequirements
from api.kinds.core.security import PodSecurityContext
from api.kinds.meta import Kind, ObjectMeta


class PodDNSConfigOption(Model):
    """One option of a pod's resolver."""

    name: str | None = None
    value: str | None = None


class PodDNSConfig(Model):
    """A pod's resolver settings, beyond what its policy gives."""

    nameservers: Annotated[list[str] | None, ATOMIC] = None
    options: Annotated[list[PodDNSConfigOption] | None, ATOMIC] = None
    searches: Annotated[list[str] | None, ATOMIC] = None


class PodOS(Model):
    """The operating system that a pod needs."""

    name: Annotated[str | None, REQUIRED, OneOf("linux", "windows")] = None


class PodReadinessGate(Model):
    """A condition that must be true for a pod to be ready."""

    conditionType: Annotated[str | None, REQUIRED] = None


class PodResourceClaim(Model):
    """A claim on devices that a pod's containers can name."""

    name: Annotated[str | None, REQUIRED] = None
    resourceClaimName: str | None = None
    resourceClaimTemplateName: str | None = None


class HostAlias(Model):
    """A line of a pod's hosts file."""

    hostnames: Annotated[list[str] | None, ATOMIC] = None
    ip: Annotated[str | None, REQUIRED] = None


class PodSpec(Model):
    """A pod's containers, volumes, and where and how it runs."""

    activeDeadlineSeconds: Annotated[Int64 | None, Bounds(1, 2147483647)] = None
    affinity: Affinity | None = None
    automountServiceAccountToken: bool | None = None
    containers: Annotated[list[Container] | None, MergeKey("name"), REQUIRED] = None
    dnsConfig: PodDNSConfig | None = None
    dnsPolicy: Annotated[str, OneOf("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")] = "ClusterFirst"
    enableServiceLinks: bool | None = None
    ephemeralContainers: Annotated[list[EphemeralContainer] | None, MergeKey("name")] = None
    hostAliases: Annotated[list[HostAlias] | None, MergeKey("ip")] = None
    hostIPC: bool | None = None
    hostNetwork: bool | None = None
    hostPID: bool | None = None
    hostUsers: bool | None = None
    hostname: str | None = None
    hostnameOverride: str | None = None
    imagePullSecrets: Annotated[list[LocalObjectReference] | None, MergeKey("name")] = None
    initContainers: Annotated[list[Container] | None, MergeKey("name")] = None
    nodeName: str | None = None
    nodeSelector: Annotated[dict[str, str] | None, ATOMIC] = None
    os: PodOS | None = None
    overhead: dict[str, Quantity] | None = None
    preemptionPolicy: Annotated[str | None, OneOf("PreemptLowerPriority", "Never")] = None
    priority: Int32 | None = None
    priorityClassName: str | None = None
    readinessGates: Annotated[list[PodReadinessGate] | None, ATOMIC] = None
    resourceClaims: Annotated[list[PodResourceClaim] | None, MergeKey("name", retain_keys=True)] = None
    resources: ResourceRequirements | None = None
    restartPolicy: Annotated[str, OneOf("Always", "OnFailure", "Never")] = "Always"
    runtimeClassName: str | None = None
    schedulerName: str = "default-scheduler"
    schedulingGates: Annotated[list[PodSchedulingGate] | None, MergeKey("name")] = None
    schedulingGroup: PodSchedulingGroup | None = None
    securityContext: PodSecurityContext = Field(default_factory=PodSecurityContext)
    serviceAccount: str | None = None
    serviceAccountName: str | None = None
    setHostnameAsFQDN: bool | None = None
    shareProcessNamespace: bool | None = None
    subdomain: str | None = None
    terminationGracePeriodSeconds: Annotated[Int64, NON_NEGATIVE] = 30
    tolerations: Annotated[list[Toleration] | None, ATOMIC] = None
    topologySpreadConstraints: Annotated[
        list[TopologySpreadConstraint] | None, MergeKey("topologyKey", keys=("topologyKey", "whenUnsatisfiable"))
    ] = None
    volumes: Annotated[list[Volume] | None, MergeKey("name", retain_keys=True)] = None

    @model_validator(mode="after")
    def _default(self) -> Self:
        # serviceAccount is the old name of serviceAccountName; both are kept equal
        if self.serviceAccountName or self.serviceAccount:
            self.serviceAccountName = self.serviceAccount = self.serviceAccountName or self.serviceAccount
        return self


class Pod(Kind):
    """Containers that share a network address and volumes and run on one node."""

    spec: PodSpec = Field(default_factory=PodSpec)
    status: PodStatus = Field(default_factory=PodStatus)

    @model_validator(mode="after")
    def _default(self) -> Self:
        # these three are defaults of pods, not of pod templates
        spec = self.spec
        if spec.enableServiceLinks is None:
            spec.enableServiceLinks = True
        for container in (*(spec.containers or ()), *(spec.initContainers or ())):
            container.resources.default_requests()
            if spec.hostNetwork:
                for port in container.ports or ():
                    port.hostPort = port.hostPort or port.containerPort
        return self


class PodTemplateSpec(Model):
    """The pods that a controller makes."""

    metadata: ObjectMeta | None = None
    spec: PodSpec = Field(default_factory=PodSpec)


class PodTemplate(Kind):
    """A template of pods, stored by itself."""

    template: PodTemplateSpec | None = None


class Binding(Kind):
    """Gives a pod its node."""

    target: Annotated[ObjectReference | None, REQUIRED] = None
