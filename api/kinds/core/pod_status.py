"""What is observed of pods and their containers."""

from typing import Annotated, Self

from pydantic import model_validator

from api.kinds.base import ATOMIC, LISTED, REQUIRED, SET, Int32, Int64, ListMap, MergeKey, Model, Quantity, Time
from api.kinds.core.resources import ResourceRequirements


class ContainerStateRunning(Model):
    """A container that runs."""

    startedAt: Time | None = None


class ContainerStateTerminated(Model):
    """A container that has ended."""

    containerID: str | None = None
    exitCode: Annotated[Int32, LISTED] = 0
    finishedAt: Time | None = None
    message: str | None = None
    reason: str | None = None
    signal: Int32 | None = None
    startedAt: Time | None = None


class ContainerStateWaiting(Model):
    """A container that does not run yet."""

    message: str | None = None
    reason: str | None = None


class ContainerState(Model):
    """Whether a container waits, runs or has ended."""

    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None
    waiting: ContainerStateWaiting | None = None


class LinuxContainerUser(Model):
    """The user and groups of a container's first process."""

    gid: Annotated[Int64, LISTED] = 0
    supplementalGroups: Annotated[list[Int64] | None, ATOMIC] = None
    uid: Annotated[Int64, LISTED] = 0


class ContainerUser(Model):
    """The user of a container's first process."""

    linux: LinuxContainerUser | None = None


class ResourceHealth(Model):
    """The health of one device."""

    health: str | None = None
    message: str | None = None
    resourceID: Annotated[str | None, REQUIRED] = None


class ResourceStatus(Model):
    """The health of the devices that a container uses."""

    name: Annotated[str, LISTED] = ""
    resources: Annotated[list[ResourceHealth] | None, ListMap("resourceID")] = None


class ImageVolumeStatus(Model):
    """The image that a volume shows."""

    imageRef: Annotated[str, LISTED] = ""


class VolumeStatus(Model):
    """What is known of a mounted volume."""

    image: ImageVolumeStatus | None = None


class VolumeMountStatus(Model):
    """One mount as it was made."""

    mountPath: Annotated[str, LISTED] = ""
    name: Annotated[str, LISTED] = ""
    readOnly: bool | None = None
    recursiveReadOnly: str | None = None
    volumeStatus: VolumeStatus | None = None


class ContainerStatus(Model):
    """The state of one container."""

    allocatedResources: dict[str, Quantity] | None = None
    allocatedResourcesStatus: Annotated[list[ResourceStatus] | None, MergeKey("name")] = None
    containerID: str | None = None
    image: Annotated[str, LISTED] = ""
    imageID: Annotated[str, LISTED] = ""
    lastState: ContainerState | None = None
    name: Annotated[str, LISTED] = ""
    ready: Annotated[bool, LISTED] = False
    resources: ResourceRequirements | None = None
    restartCount: Annotated[Int32, LISTED] = 0
    started: bool | None = None
    state: ContainerState | None = None
    stopSignal: str | None = None
    user: ContainerUser | None = None
    volumeMounts: Annotated[list[VolumeMountStatus] | None, MergeKey("mountPath")] = None


class PodCondition(Model):
    """One condition of a pod."""

    lastProbeTime: Time | None = None
    lastTransitionTime: Time | None = None
    message: str | None = None
    observedGeneration: Int64 | None = None
    reason: str | None = None
    status: Annotated[str, LISTED] = ""
    type: Annotated[str, LISTED] = ""


class PodIP(Model):
    """One address of a pod."""

    ip: Annotated[str | None, REQUIRED] = None


class HostIP(Model):
    """One address of a pod's node."""

    ip: Annotated[str | None, REQUIRED] = None


class PodResourceClaimStatus(Model):
    """The claim that was made for a pod."""

    name: Annotated[str, LISTED] = ""
    resourceClaimName: str | None = None


class ContainerExtendedResourceRequest(Model):
    """The device request that backs an extended resource of a container."""

    containerName: Annotated[str | None, REQUIRED] = None
    requestName: Annotated[str | None, REQUIRED] = None
    resourceName: Annotated[str | None, REQUIRED] = None


class PodExtendedResourceClaimStatus(Model):
    """The claim that backs a pod's extended resources."""

    requestMappings: Annotated[list[ContainerExtendedResourceRequest] | None, ATOMIC, LISTED] = None
    resourceClaimName: Annotated[str, LISTED] = ""


class NodeAllocatableResourceClaimStatus(Model):
    """What a claim takes from a node's resources."""

    containers: Annotated[list[str] | None, SET] = None
    resourceClaimName: Annotated[str, LISTED] = ""
    resources: Annotated[dict[str, Quantity] | None, LISTED] = None


class PodStatus(Model):
    """A pod's phase, addresses, conditions and containers."""

    allocatedResources: dict[str, Quantity] | None = None
    conditions: Annotated[list[PodCondition] | None, MergeKey("type")] = None
    containerStatuses: Annotated[list[ContainerStatus] | None, ATOMIC] = None
    ephemeralContainerStatuses: Annotated[list[ContainerStatus] | None, ATOMIC] = None
    extendedResourceClaimStatus: PodExtendedResourceClaimStatus | None = None
    hostIP: str | None = None
    hostIPs: Annotated[list[HostIP] | None, MergeKey("ip", list_type="atomic")] = None
    initContainerStatuses: Annotated[list[ContainerStatus] | None, ATOMIC] = None
    message: str | None = None
    nodeAllocatableResourceClaimStatuses: Annotated[list[NodeAllocatableResourceClaimStatus] | None, ATOMIC] = None
    nominatedNodeName: str | None = None
    observedGeneration: Int64 | None = None
    phase: str | None = None
    podIP: str | None = None
    podIPs: Annotated[list[PodIP] | None, MergeKey("ip")] = None
    qosClass: str | None = None
    reason: str | None = None
    resize: str | None = None
    resourceClaimStatuses: Annotated[list[PodResourceClaimStatus] | None, MergeKey("name", retain_keys=True)] = None
    resources: ResourceRequirements | None = None
    startTime: Time | None = None

    @model_validator(mode="after")
    def _default(self) -> Self:
        # podIP is the first of podIPs; either fills the other
        if self.podIP and not self.podIPs:
            self.podIPs = [PodIP(ip=self.podIP)]
        elif self.podIPs and not self.podIP:
            self.podIP = self.podIPs[0].ip
        if self.hostIP and not self.hostIPs:
            self.hostIPs = [HostIP(ip=self.hostIP)]
        return self
