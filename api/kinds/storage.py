"""Kinds of the group storage.k8s.io: classes, attachments and CSI drivers."""

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
    """An audience for which a driver gets a token."""

    audience: Annotated[str | None, REQUIRED] = None
    expirationSeconds: Int64 | None = None


class CSIDriverSpec(Model):
    """What the cluster must know to use a driver."""

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
    """A storage driver in the cluster."""

    spec: Annotated[CSIDriverSpec, REQUIRED] = Field(default_factory=CSIDriverSpec)


class VolumeNodeResources(Model):
    """How many volumes a driver can attach to a node."""

    count: Int32 | None = None


class CSINodeDriver(Model):
    """A driver on one node."""

    allocatable: VolumeNodeResources | None = None
    name: Annotated[str | None, REQUIRED] = None
    nodeID: Annotated[str | None, REQUIRED] = None
    topologyKeys: Annotated[list[str] | None, ATOMIC] = None


class CSINodeSpec(Model):
    """The drivers on one node."""

    drivers: Annotated[list[CSINodeDriver] | None, MergeKey("name"), LISTED] = None


class CSINode(Kind):
    """What storage drivers say about a node."""

    spec: Annotated[CSINodeSpec, REQUIRED] = Field(default_factory=CSINodeSpec)


class CSIStorageCapacity(Kind):
    """How much a driver can still provide in one place."""

    capacity: Quantity | None = None
    maximumVolumeSize: Quantity | None = None
    nodeTopology: Annotated[LabelSelector | None, IMMUTABLE] = None
    storageClassName: Annotated[str | None, REQUIRED, IMMUTABLE] = None


class StorageClass(Kind):
    """A sort of storage that can be asked for."""

    allowVolumeExpansion: bool | None = None
    allowedTopologies: Annotated[list[TopologySelectorTerm] | None, ATOMIC] = None
    mountOptions: Annotated[list[str] | None, ATOMIC] = None
    parameters: dict[str, str] | None = None
    provisioner: Annotated[str | None, REQUIRED] = None
    reclaimPolicy: Annotated[str, OneOf("Delete", "Retain")] = "Delete"
    volumeBindingMode: Annotated[str, OneOf("Immediate", "WaitForFirstConsumer")] = "Immediate"


class VolumeAttachmentSource(Model):
    """The volume to attach."""

    inlineVolumeSpec: PersistentVolumeSpec | None = None
    persistentVolumeName: str | None = None


class VolumeAttachmentSpec(Model):
    """Which volume to attach where, by whom."""

    attacher: Annotated[str | None, REQUIRED] = None
    nodeName: Annotated[str | None, REQUIRED] = None
    source: Annotated[VolumeAttachmentSource | None, REQUIRED] = None


class VolumeError(Model):
    """What went wrong with a volume, and when."""

    errorCode: Int32 | None = None
    message: str | None = None
    time: Time | None = None


class VolumeAttachmentStatus(Model):
    """Whether a volume is attached."""

    attachError: VolumeError | None = None
    attached: Annotated[bool, LISTED] = False
    attachmentMetadata: dict[str, str] | None = None
    detachError: VolumeError | None = None


class VolumeAttachment(Kind):
    """Asks that a volume be attached to a node."""

    spec: Annotated[VolumeAttachmentSpec, REQUIRED, IMMUTABLE] = Field(default_factory=VolumeAttachmentSpec)
    status: VolumeAttachmentStatus = Field(default_factory=VolumeAttachmentStatus)


class VolumeAttributesClass(Kind):
    """Attributes that a volume can be changed to."""

    driverName: Annotated[str | None, REQUIRED] = None
    parameters: dict[str, str] | None = None
