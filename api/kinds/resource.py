"""Kinds of the group resource.k8s.io: devices and claims on them."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from api.kinds.base import ATOMIC, LISTED, REQUIRED, Int64, JsonObject, ListMap, MergeKey, Model, OneOf, Quantity, Time
from api.kinds.core.placement import NodeSelector
from api.kinds.meta import Condition, Kind, ObjectMeta


class NetworkDeviceData(Model):
    """The network side of a device."""

    hardwareAddress: str | None = None
    interfaceName: str | None = None
    ips: Annotated[list[str] | None, ATOMIC] = None


class AllocatedDeviceStatus(Model):
    """What a driver says about a device in use."""

    conditions: Annotated[list[Condition] | None, ListMap("type")] = None
    data: JsonObject | None = None
    device: Annotated[str, LISTED] = ""
    driver: Annotated[str, LISTED] = ""
    networkData: NetworkDeviceData | None = None
    pool: Annotated[str, LISTED] = ""
    shareID: str | None = None


class OpaqueDeviceConfiguration(Model):
    """Settings that only a driver understands."""

    driver: Annotated[str | None, REQUIRED] = None
    parameters: Annotated[JsonObject | None, REQUIRED] = None


class DeviceAllocationConfiguration(Model):
    """Settings that go with an allocation."""

    opaque: OpaqueDeviceConfiguration | None = None
    requests: Annotated[list[str] | None, ATOMIC] = None
    source: Annotated[str | None, REQUIRED] = None


class DeviceToleration(Model):
    """A taint of a device that a request puts up with."""

    effect: str | None = None
    key: str | None = None
    operator: Annotated[str, OneOf("Equal", "Exists")] = "Equal"
    tolerationSeconds: Int64 | None = None
    value: str | None = None


class DeviceRequestAllocationResult(Model):
    """The device that a request got."""

    adminAccess: bool | None = None
    bindingConditions: Annotated[list[str] | None, ATOMIC] = None
    bindingFailureConditions: Annotated[list[str] | None, ATOMIC] = None
    consumedCapacity: dict[str, Quantity] | None = None
    device: Annotated[str | None, REQUIRED] = None
    driver: Annotated[str | None, REQUIRED] = None
    pool: Annotated[str | None, REQUIRED] = None
    request: Annotated[str | None, REQUIRED] = None
    shareID: str | None = None
    tolerations: Annotated[list[DeviceToleration] | None, ATOMIC] = None


class DeviceAllocationResult(Model):
    """The devices that a claim got."""

    config: Annotated[list[DeviceAllocationConfiguration] | None, ATOMIC] = None
    results: Annotated[list[DeviceRequestAllocationResult] | None, ATOMIC] = None


class AllocationResult(Model):
    """What a claim got, and where."""

    allocationTimestamp: Time | None = None
    devices: DeviceAllocationResult | None = None
    nodeSelector: NodeSelector | None = None


class CELDeviceSelector(Model):
    """A CEL expression that a device must meet."""

    expression: Annotated[str | None, REQUIRED] = None


class CapacityRequestPolicyRange(Model):
    """The range and step of what may be asked of a capacity."""

    max: Quantity | None = None
    min: Annotated[Quantity | None, REQUIRED] = None
    step: Quantity | None = None


class CapacityRequestPolicy(Model):
    """What may be asked of a capacity that is shared."""

    default: Quantity | None = None
    validRange: CapacityRequestPolicyRange | None = None
    validValues: Annotated[list[Quantity] | None, ATOMIC] = None


class CapacityRequirements(Model):
    """What a request needs of a device's capacities."""

    requests: dict[str, Quantity] | None = None


class Counter(Model):
    """An amount that devices share."""

    value: Annotated[Quantity | None, REQUIRED] = None


class CounterSet(Model):
    """Amounts that devices share."""

    counters: Annotated[dict[str, Counter] | None, REQUIRED] = None
    name: Annotated[str | None, REQUIRED] = None


class DeviceAttribute(Model):
    """One property of a device."""

    bool_: bool | None = Field(default=None, alias="bool")
    bools: Annotated[list[bool] | None, ATOMIC] = None
    int_: Int64 | None = Field(default=None, alias="int")
    ints: Annotated[list[Int64] | None, ATOMIC] = None
    string: str | None = None
    strings: Annotated[list[str] | None, ATOMIC] = None
    version: str | None = None
    versions: Annotated[list[str] | None, ATOMIC] = None


class DeviceCapacity(Model):
    """One amount that a device has."""

    requestPolicy: CapacityRequestPolicy | None = None
    value: Annotated[Quantity | None, REQUIRED] = None


class DeviceCounterConsumption(Model):
    """What a device takes from shared amounts."""

    counterSet: Annotated[str | None, REQUIRED] = None
    counters: Annotated[dict[str, Counter] | None, REQUIRED] = None


class DeviceTaint(Model):
    """A mark on a device that keeps off claims which do not tolerate it."""

    effect: Annotated[str | None, REQUIRED] = None
    key: Annotated[str | None, REQUIRED] = None
    timeAdded: Time | None = None
    value: str | None = None


class NodeAllocatableResourceMapping(Model):
    """What a device takes from a node's resources."""

    allocationMultiplier: Quantity | None = None
    capacityKey: str | None = None


class Device(Model):
    """One device and its properties."""

    allNodes: bool | None = None
    allowMultipleAllocations: bool | None = None
    attributes: dict[str, DeviceAttribute] | None = None
    bindingConditions: Annotated[list[str] | None, ATOMIC] = None
    bindingFailureConditions: Annotated[list[str] | None, ATOMIC] = None
    bindsToNode: bool | None = None
    capacity: dict[str, DeviceCapacity] | None = None
    consumesCounters: Annotated[list[DeviceCounterConsumption] | None, ATOMIC] = None
    name: Annotated[str | None, REQUIRED] = None
    nodeAllocatableResourceMappings: dict[str, NodeAllocatableResourceMapping] | None = None
    nodeName: str | None = None
    nodeSelector: NodeSelector | None = None
    taints: Annotated[list[DeviceTaint] | None, ATOMIC] = None


class DeviceClaimConfiguration(Model):
    """Settings for the devices of a claim."""

    opaque: OpaqueDeviceConfiguration | None = None
    requests: Annotated[list[str] | None, ATOMIC] = None


class DeviceConstraint(Model):
    """What the devices of a claim must have in common."""

    distinctAttribute: str | None = None
    matchAttribute: str | None = None
    requests: Annotated[list[str] | None, ATOMIC] = None


class DeviceSelector(Model):
    """What a device must be."""

    cel: CELDeviceSelector | None = None


class DeviceSubRequest(Model):
    """One of several ways to meet a request."""

    allocationMode: str = "ExactCount"
    capacity: CapacityRequirements | None = None
    count: Int64 | None = None
    deviceClassName: Annotated[str | None, REQUIRED] = None
    name: Annotated[str | None, REQUIRED] = None
    selectors: Annotated[list[DeviceSelector] | None, ATOMIC] = None
    tolerations: Annotated[list[DeviceToleration] | None, ATOMIC] = None

    @model_validator(mode="after")
    def _default(self) -> Self:
        if self.allocationMode == "ExactCount" and self.count is None:
            self.count = 1
        return self


class ExactDeviceRequest(Model):
    """A request for devices of one class."""

    adminAccess: bool | None = None
    allocationMode: str = "ExactCount"
    capacity: CapacityRequirements | None = None
    count: Int64 | None = None
    deviceClassName: Annotated[str | None, REQUIRED] = None
    selectors: Annotated[list[DeviceSelector] | None, ATOMIC] = None
    tolerations: Annotated[list[DeviceToleration] | None, ATOMIC] = None

    @model_validator(mode="after")
    def _default(self) -> Self:
        if self.allocationMode == "ExactCount" and self.count is None:
            self.count = 1
        return self


class DeviceRequest(Model):
    """A request for devices."""

    exactly: ExactDeviceRequest | None = None
    firstAvailable: Annotated[list[DeviceSubRequest] | None, ATOMIC] = None
    name: Annotated[str | None, REQUIRED] = None


class DeviceClaim(Model):
    """The devices that are asked for."""

    config: Annotated[list[DeviceClaimConfiguration] | None, ATOMIC] = None
    constraints: Annotated[list[DeviceConstraint] | None, ATOMIC] = None
    requests: Annotated[list[DeviceRequest] | None, ATOMIC] = None


class DeviceClassConfiguration(Model):
    """Settings for the devices of a class."""

    opaque: OpaqueDeviceConfiguration | None = None


class DeviceClassSpec(Model):
    """Which devices belong to a class."""

    config: Annotated[list[DeviceClassConfiguration] | None, ATOMIC] = None
    extendedResourceName: str | None = None
    selectors: Annotated[list[DeviceSelector] | None, ATOMIC] = None


class DeviceClass(Kind):
    """A sort of device that can be asked for."""

    spec: Annotated[DeviceClassSpec, REQUIRED] = Field(default_factory=DeviceClassSpec)


class ResourceClaimSpec(Model):
    """The devices that are asked for."""

    devices: DeviceClaim | None = None


class ResourceClaimConsumerReference(Model):
    """Who uses a claim."""

    apiGroup: str | None = None
    name: Annotated[str | None, REQUIRED] = None
    resource: Annotated[str | None, REQUIRED] = None
    uid: Annotated[str | None, REQUIRED] = None


class ResourceClaimStatus(Model):
    """What a claim got and who uses it."""

    allocation: AllocationResult | None = None
    devices: Annotated[list[AllocatedDeviceStatus] | None, ListMap("driver", "device", "pool", "shareID")] = None
    reservedFor: Annotated[list[ResourceClaimConsumerReference] | None, MergeKey("uid")] = None


class ResourceClaim(Kind):
    """Asks for devices and stands for them in pods."""

    spec: Annotated[ResourceClaimSpec, REQUIRED] = Field(default_factory=ResourceClaimSpec)
    status: ResourceClaimStatus = Field(default_factory=ResourceClaimStatus)


class ResourceClaimTemplateSpec(Model):
    """The claims that are made for pods."""

    metadata: ObjectMeta | None = None
    spec: Annotated[ResourceClaimSpec | None, REQUIRED] = None


class ResourceClaimTemplate(Kind):
    """A template of claims."""

    spec: Annotated[ResourceClaimTemplateSpec, REQUIRED] = Field(default_factory=ResourceClaimTemplateSpec)


class ResourcePool(Model):
    """The pool that a slice belongs to."""

    generation: Annotated[Int64, LISTED] = 0
    name: Annotated[str | None, REQUIRED] = None
    resourceSliceCount: Annotated[Int64, LISTED] = 0


class ResourceSliceSpec(Model):
    """The devices of a pool, or a part of them."""

    allNodes: bool | None = None
    devices: Annotated[list[Device] | None, ATOMIC] = None
    driver: Annotated[str | None, REQUIRED] = None
    nodeName: str | None = None
    nodeSelector: NodeSelector | None = None
    perDeviceNodeSelection: bool | None = None
    pool: Annotated[ResourcePool | None, REQUIRED] = None
    sharedCounters: Annotated[list[CounterSet] | None, ATOMIC] = None


class ResourceSlice(Kind):
    """Devices that a driver offers."""

    spec: Annotated[ResourceSliceSpec, REQUIRED] = Field(default_factory=ResourceSliceSpec)
