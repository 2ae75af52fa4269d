"""The models of resource."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from api.kinds.base import ATOMIC, LISTED, REQUIRED, Int64, JsonObject, ListMap, MergeKey, Model, OneOf, Quantity, Time
from api.kinds.core.placement import NodeSelector
from api.kinds.meta import Condition, Kind, ObjectMeta


class NetworkDeviceData(Model):
    """Network Device Data."""

    hardwareAddress: str | None = None
    interfaceName: str | None = None
    ips: Annotated[list[str] | None, ATOMIC] = None


class AllocatedDeviceStatus(Model):
    """What has been observed of an Allocated Device."""

    conditions: Annotated[list[Condition] | None, ListMap("type")] = None
    data: JsonObject | None = None
    device: Annotated[str | None, LISTED] = None
    driver: Annotated[str | None, LISTED] = None
    networkData: NetworkDeviceData | None = None
    pool: Annotated[str | None, LISTED] = None
    shareID: str | None = None


class OpaqueDeviceConfiguration(Model):
    """Opaque Device Configuration."""

    driver: Annotated[str | None, REQUIRED] = None
    parameters: Annotated[JsonObject | None, REQUIRED] = None


class DeviceAllocationConfiguration(Model):
    """Device Allocation Configuration."""

    opaque: OpaqueDeviceConfiguration | None = None
    requests: Annotated[list[str] | None, ATOMIC] = None
    source: Annotated[str | None, REQUIRED] = None


class DeviceToleration(Model):
    """Device Toleration."""

    effect: str | None = None
    key: str | None = None
    operator: Annotated[str, OneOf("Equal", "Exists")] = "Equal"
    tolerationSeconds: Int64 | None = None
    value: str | None = None


class DeviceRequestAllocationResult(Model):
    """Device Request Allocation Result."""

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
    """Device Allocation Result."""

    config: Annotated[list[DeviceAllocationConfiguration] | None, ATOMIC] = None
    results: Annotated[list[DeviceRequestAllocationResult] | None, ATOMIC] = None


class AllocationResult(Model):
    """Allocation Result."""

    allocationTimestamp: Time | None = None
    devices: DeviceAllocationResult | None = None
    nodeSelector: NodeSelector | None = None


class CELDeviceSelector(Model):
    """CEL Device Selector."""

    expression: Annotated[str | None, REQUIRED] = None


class CapacityRequestPolicyRange(Model):
    """Capacity Request Policy Range."""

    max: Quantity | None = None
    min: Annotated[Quantity | None, REQUIRED] = None
    step: Quantity | None = None


class CapacityRequestPolicy(Model):
    """Capacity Request Policy."""

    default: Quantity | None = None
    validRange: CapacityRequestPolicyRange | None = None
    validValues: Annotated[list[Quantity] | None, ATOMIC] = None


class CapacityRequirements(Model):
    """Capacity Requirements."""

    requests: dict[str, Quantity] | None = None


class Counter(Model):
    """Counter."""

    value: Annotated[Quantity | None, REQUIRED] = None


class CounterSet(Model):
    """Counter Set."""

    counters: Annotated[dict[str, Counter] | None, REQUIRED] = None
    name: Annotated[str | None, REQUIRED] = None


class DeviceAttribute(Model):
    """Device Attribute."""

    bool_: bool | None = Field(default=None, alias="bool")
    bools: Annotated[list[bool] | None, ATOMIC] = None
    int_: Int64 | None = Field(default=None, alias="int")
    ints: Annotated[list[Int64] | None, ATOMIC] = None
    string: str | None = None
    strings: Annotated[list[str] | None, ATOMIC] = None
    version: str | None = None
    versions: Annotated[list[str] | None, ATOMIC] = None


class DeviceCapacity(Model):
    """Device Capacity."""

    requestPolicy: CapacityRequestPolicy | None = None
    value: Annotated[Quantity | None, REQUIRED] = None


class DeviceCounterConsumption(Model):
    """Device Counter Consumption."""

    counterSet: Annotated[str | None, REQUIRED] = None
    counters: Annotated[dict[str, Counter] | None, REQUIRED] = None


class DeviceTaint(Model):
    """Device Taint."""

    effect: Annotated[str | None, REQUIRED] = None
    key: Annotated[str | None, REQUIRED] = None
    timeAdded: Time | None = None
    value: str | None = None


class NodeAllocatableResourceMapping(Model):
    """Node Allocatable Resource Mapping."""

    allocationMultiplier: Quantity | None = None
    capacityKey: str | None = None


class Device(Model):
    """Device."""

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
    """Device Claim Configuration."""

    opaque: OpaqueDeviceConfiguration | None = None
    requests: Annotated[list[str] | None, ATOMIC] = None


class DeviceConstraint(Model):
    """Device Constraint."""

    distinctAttribute: str | None = None
    matchAttribute: str | None = None
    requests: Annotated[list[str] | None, ATOMIC] = None


class DeviceSelector(Model):
    """Device Selector."""

    cel: CELDeviceSelector | None = None


class DeviceSubRequest(Model):
    """Device Sub Request."""

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
    """Exact Device Request."""

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
    """Device Request."""

    exactly: ExactDeviceRequest | None = None
    firstAvailable: Annotated[list[DeviceSubRequest] | None, ATOMIC] = None
    name: Annotated[str | None, REQUIRED] = None


class DeviceClaim(Model):
    """Device Claim."""

    config: Annotated[list[DeviceClaimConfiguration] | None, ATOMIC] = None
    constraints: Annotated[list[DeviceConstraint] | None, ATOMIC] = None
    requests: Annotated[list[DeviceRequest] | None, ATOMIC] = None


class DeviceClassConfiguration(Model):
    """Device Class Configuration."""

    opaque: OpaqueDeviceConfiguration | None = None


class DeviceClassSpec(Model):
    """What is wanted of a Device Class."""

    config: Annotated[list[DeviceClassConfiguration] | None, ATOMIC] = None
    extendedResourceName: str | None = None
    selectors: Annotated[list[DeviceSelector] | None, ATOMIC] = None


class DeviceClass(Kind):
    """Device Class."""

    spec: Annotated[DeviceClassSpec, REQUIRED] = Field(default_factory=DeviceClassSpec)


class ResourceClaimSpec(Model):
    """What is wanted of a Resource Claim."""

    devices: DeviceClaim | None = None


class ResourceClaimConsumerReference(Model):
    """A reference: Resource Claim Consumer."""

    apiGroup: str | None = None
    name: Annotated[str | None, REQUIRED] = None
    resource: Annotated[str | None, REQUIRED] = None
    uid: Annotated[str | None, REQUIRED] = None


class ResourceClaimStatus(Model):
    """What has been observed of a Resource Claim."""

    allocation: AllocationResult | None = None
    devices: Annotated[list[AllocatedDeviceStatus] | None, ListMap("driver", "device", "pool", "shareID")] = None
    reservedFor: Annotated[list[ResourceClaimConsumerReference] | None, MergeKey("uid")] = None


class ResourceClaim(Kind):
    """Resource Claim."""

    spec: Annotated[ResourceClaimSpec, REQUIRED] = Field(default_factory=ResourceClaimSpec)
    status: ResourceClaimStatus = Field(default_factory=ResourceClaimStatus)


class ResourceClaimTemplateSpec(Model):
    """What is wanted of a Resource Claim Template."""

    metadata: ObjectMeta | None = None
    spec: Annotated[ResourceClaimSpec | None, REQUIRED] = None


class ResourceClaimTemplate(Kind):
    """Resource Claim Template."""

    spec: Annotated[ResourceClaimTemplateSpec, REQUIRED] = Field(default_factory=ResourceClaimTemplateSpec)


class ResourcePool(Model):
    """Resource Pool."""

    generation: Annotated[Int64 | None, LISTED] = None
    name: Annotated[str | None, REQUIRED] = None
    resourceSliceCount: Annotated[Int64 | None, LISTED] = None


class ResourceSliceSpec(Model):
    """What is wanted of a Resource Slice."""

    allNodes: bool | None = None
    devices: Annotated[list[Device] | None, ATOMIC] = None
    driver: Annotated[str | None, REQUIRED] = None
    nodeName: str | None = None
    nodeSelector: NodeSelector | None = None
    perDeviceNodeSelection: bool | None = None
    pool: Annotated[ResourcePool | None, REQUIRED] = None
    sharedCounters: Annotated[list[CounterSet] | None, ATOMIC] = None


class ResourceSlice(Kind):
    """Resource Slice."""

    spec: Annotated[ResourceSliceSpec, REQUIRED] = Field(default_factory=ResourceSliceSpec)
