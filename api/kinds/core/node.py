"""Nodes."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from api.kinds.base import ATOMIC, LISTED, REQUIRED, Int32, Int64, ListSet, MergeKey, Model, Quantity, Time
from api.kinds.core.placement import Taint
from api.kinds.meta import Kind


class ConfigMapNodeConfigSource(Model):
    """A kubelet's configuration in a ConfigMap; no longer used."""

    kubeletConfigKey: Annotated[str | None, REQUIRED] = None
    name: Annotated[str | None, REQUIRED] = None
    namespace: Annotated[str | None, REQUIRED] = None
    resourceVersion: str | None = None
    uid: str | None = None


class NodeConfigSource(Model):
    """Where a kubelet's configuration comes from; no longer used."""

    configMap: ConfigMapNodeConfigSource | None = None


class NodeSpec(Model):
    """A node's pod range, taints and whether pods may be placed on it."""

    configSource: NodeConfigSource | None = None
    externalID: str | None = None
    podCIDR: str | None = None
    podCIDRs: Annotated[list[str] | None, ListSet(merge=True)] = None
    providerID: str | None = None
    taints: Annotated[list[Taint] | None, ATOMIC] = None
    unschedulable: bool | None = None

    @model_validator(mode="after")
    def _default(self) -> Self:
        # podCIDR is the first of podCIDRs; either fills the other
        if self.podCIDR and not self.podCIDRs:
            self.podCIDRs = [self.podCIDR]
        elif self.podCIDRs and not self.podCIDR:
            self.podCIDR = self.podCIDRs[0]
        return self


class AttachedVolume(Model):
    """A volume attached to a node."""

    devicePath: Annotated[str | None, REQUIRED] = None
    name: Annotated[str | None, REQUIRED] = None


class ContainerImage(Model):
    """An image that a node holds."""

    names: Annotated[list[str] | None, ATOMIC] = None
    sizeBytes: Int64 | None = None


class NodeAddress(Model):
    """One address of a node."""

    address: Annotated[str | None, REQUIRED] = None
    type: Annotated[str | None, REQUIRED] = None


class NodeCondition(Model):
    """One condition of a node."""

    lastHeartbeatTime: Time | None = None
    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: Annotated[str, LISTED] = ""
    type: Annotated[str, LISTED] = ""


class NodeConfigStatus(Model):
    """Which configuration a kubelet uses; no longer used."""

    active: NodeConfigSource | None = None
    assigned: NodeConfigSource | None = None
    error: str | None = None
    lastKnownGood: NodeConfigSource | None = None


class DaemonEndpoint(Model):
    """A port on which a daemon answers."""

    Port: Annotated[Int32, LISTED] = 0


class NodeDaemonEndpoints(Model):
    """The ports of a node's daemons."""

    kubeletEndpoint: DaemonEndpoint | None = None


class NodeFeatures(Model):
    """What a node's container runtime can do."""

    supplementalGroupsPolicy: bool | None = None


class NodeRuntimeHandlerFeatures(Model):
    """What one handler of a node's container runtime can do."""

    recursiveReadOnlyMounts: bool | None = None
    userNamespaces: bool | None = None


class NodeRuntimeHandler(Model):
    """One handler of a node's container runtime."""

    features: NodeRuntimeHandlerFeatures | None = None
    name: str | None = None


class NodeSwapStatus(Model):
    """How much swap a node has."""

    capacity: Int64 | None = None


class NodeSystemInfo(Model):
    """The machine, kernel and versions of a node."""

    architecture: Annotated[str | None, REQUIRED] = None
    bootID: Annotated[str | None, REQUIRED] = None
    containerRuntimeVersion: Annotated[str | None, REQUIRED] = None
    kernelVersion: Annotated[str | None, REQUIRED] = None
    kubeProxyVersion: Annotated[str | None, REQUIRED] = None
    kubeletVersion: Annotated[str | None, REQUIRED] = None
    machineID: Annotated[str | None, REQUIRED] = None
    operatingSystem: Annotated[str | None, REQUIRED] = None
    osImage: Annotated[str | None, REQUIRED] = None
    swap: NodeSwapStatus | None = None
    systemUUID: Annotated[str | None, REQUIRED] = None


class NodeStatus(Model):
    """A node's capacity, addresses, conditions, images and volumes."""

    addresses: Annotated[list[NodeAddress] | None, MergeKey("type")] = None
    allocatable: dict[str, Quantity] | None = None
    capacity: dict[str, Quantity] | None = None
    conditions: Annotated[list[NodeCondition] | None, MergeKey("type")] = None
    config: NodeConfigStatus | None = None
    daemonEndpoints: NodeDaemonEndpoints | None = None
    declaredFeatures: Annotated[list[str] | None, ATOMIC] = None
    features: NodeFeatures | None = None
    images: Annotated[list[ContainerImage] | None, ATOMIC] = None
    nodeInfo: NodeSystemInfo | None = None
    phase: str | None = None
    runtimeHandlers: Annotated[list[NodeRuntimeHandler] | None, ATOMIC] = None
    volumesAttached: Annotated[list[AttachedVolume] | None, ATOMIC] = None
    volumesInUse: Annotated[list[str] | None, ATOMIC] = None

    @model_validator(mode="after")
    def _default(self) -> Self:
        if self.allocatable is None and self.capacity is not None:
            self.allocatable = dict(self.capacity)
        return self


class Node(Kind):
    """A machine on which pods run."""

    spec: NodeSpec = Field(default_factory=NodeSpec)
    status: NodeStatus = Field(default_factory=NodeStatus)
