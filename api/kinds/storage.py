"""The models of storage."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from api.kinds.base import (
    ATOMIC,
    IMMUTABLE,
    LISTED,
    REQUIRED,
    SET,
    Int32,
    Int64,
    MergeKey,
    Model,
    OneOf,
    Quantity,
    Time,
)
from api.kinds.core.placement import TopologySelectorTerm
from api.kinds.core.storage import PersistentVolumeSpec
from api.kinds.meta import Kind, LabelSelector


class TokenRequest(Model):
    """Token Request."""

    audience: Annotated[str | None, REQUIRED] = None
    expirationSeconds: Int64 | None = None


class CSIDriverSpec(Model):
    """What is wanted of a CSI Driver."""

    attachRequired: bool = True
    fsGroupPolicy: Annotated[str, OneOf("File", "None", "ReadWriteOnceWithFSType")] = "ReadWriteOnceWithFSType"
    nodeAllocatableUpdatePeriodSeconds: Int64 | None = None
    podInfoOnMount: bool = False
    preventPodSchedulingIfMissing: bool | None = None
    requiresRepublish: bool = False
    seLinuxMount: bool = False
    serviceAccountTokenInSecrets: bool | None = None
    storageCapacity: bool = False
    tokenRequests: Annotated[list[TokenRequest] | None, ATOMIC] = None
    volumeLifecycleModes: Annotated[list[str] | None, SET, OneOf("Ephemeral", "Persistent")] = None

    @model_validator(mode="after")
    def _default(self) -> Self:
        if not self.volumeLifecycleModes:
            self.volumeLifecycleModes = ["Persistent"]
        return self


class CSIDriver(Kind):
    """CSI Driver."""

    spec: Annotated[CSIDriverSpec, REQUIRED] = Field(default_factory=CSIDriverSpec)


class VolumeNodeResources(Model):
    """Volume Node Resources."""

    count: Int32 | None = None


class CSINodeDriver(Model):
    """CSI Node Driver."""

    allocatable: VolumeNodeResources | None = None
    name: Annotated[str | None, REQUIRED] = None
    nodeID: Annotated[str | None, REQUIRED] = None
    topologyKeys: Annotated[list[str] | None, ATOMIC] = None


class CSINodeSpec(Model):
    """What is wanted of a CSI Node."""

    drivers: Annotated[list[CSINodeDriver] | None, MergeKey("name"), LISTED] = None


class CSINode(Kind):
    """CSI Node."""

    spec: Annotated[CSINodeSpec, REQUIRED] = Field(default_factory=CSINodeSpec)


class CSIStorageCapacity(Kind):
    """CSI Storage Capacity."""

    capacity: Quantity | None = None
    maximumVolumeSize: Quantity | None = None
    nodeTopology: Annotated[LabelSelector | None, IMMUTABLE] = None
    storageClassName: Annotated[str | None, REQUIRED, IMMUTABLE] = None


class StorageClass(Kind):
    """Storage Class."""

    allowVolumeExpansion: bool | None = None
    allowedTopologies: Annotated[list[TopologySelectorTerm] | None, ATOMIC] = None
    mountOptions: Annotated[list[str] | None, ATOMIC] = None
    parameters: dict[str, str] | None = None
    provisioner: Annotated[str | None, REQUIRED] = None
    reclaimPolicy: Annotated[str, OneOf("Delete", "Retain")] = "Delete"
    volumeBindingMode: Annotated[str, OneOf("Immediate", "WaitForFirstConsumer")] = "Immediate"


class VolumeAttachmentSource(Model):
    """Volume Attachment Source."""

    inlineVolumeSpec: PersistentVolumeSpec | None = None
    persistentVolumeName: str | None = None


class VolumeAttachmentSpec(Model):
    """What is wanted of a Volume Attachment."""

    attacher: Annotated[str | None, REQUIRED] = None
    nodeName: Annotated[str | None, REQUIRED] = None
    source: Annotated[VolumeAttachmentSource | None, REQUIRED] = None


class VolumeError(Model):
    """Volume Error."""

    errorCode: Int32 | None = None
    message: str | None = None
    time: Time | None = None


class VolumeAttachmentStatus(Model):
    """What has been observed of a Volume Attachment."""

    attachError: VolumeError | None = None
    attached: Annotated[bool | None, LISTED] = None
    attachmentMetadata: dict[str, str] | None = None
    detachError: VolumeError | None = None


class VolumeAttachment(Kind):
    """Volume Attachment."""

    spec: Annotated[VolumeAttachmentSpec, REQUIRED, IMMUTABLE] = Field(default_factory=VolumeAttachmentSpec)
    status: VolumeAttachmentStatus = Field(default_factory=VolumeAttachmentStatus)


class VolumeAttributesClass(Kind):
    """Volume Attributes Class."""

    driverName: Annotated[str | None, REQUIRED] = None
    parameters: dict[str, str] | None = None
