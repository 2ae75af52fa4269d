"""Persistent volumes and claims."""

from typing import Annotated

from pydantic import Field

from api.kinds.base import ATOMIC, LISTED, REQUIRED, MergeKey, Model, OneOf, Quantity, Time
from api.kinds.core.placement import VolumeNodeAffinity
from api.kinds.core.references import ObjectReference, TypedLocalObjectReference, TypedObjectReference
from api.kinds.core.resources import VolumeResourceRequirements
from api.kinds.core.volume_sources import (
    AWSElasticBlockStoreVolumeSource,
    AzureDiskVolumeSource,
    AzureFilePersistentVolumeSource,
    CephFSPersistentVolumeSource,
    CinderPersistentVolumeSource,
    CSIPersistentVolumeSource,
    FCVolumeSource,
    FlexPersistentVolumeSource,
    FlockerVolumeSource,
    GCEPersistentDiskVolumeSource,
    GlusterfsPersistentVolumeSource,
    HostPathVolumeSource,
    ISCSIPersistentVolumeSource,
    LocalVolumeSource,
    NFSVolumeSource,
    PhotonPersistentDiskVolumeSource,
    PortworxVolumeSource,
    QuobyteVolumeSource,
    RBDPersistentVolumeSource,
    ScaleIOPersistentVolumeSource,
    StorageOSPersistentVolumeSource,
    VsphereVirtualDiskVolumeSource,
)
from api.kinds.meta import Kind, LabelSelector, ObjectMeta


class PersistentVolumeSpec(Model):
    """A volume's size, source and what becomes of it."""

    accessModes: Annotated[
        list[str] | None, ATOMIC, OneOf("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
    ] = None
    awsElasticBlockStore: AWSElasticBlockStoreVolumeSource | None = None
    azureDisk: AzureDiskVolumeSource | None = None
    azureFile: AzureFilePersistentVolumeSource | None = None
    capacity: dict[str, Quantity] | None = None
    cephfs: CephFSPersistentVolumeSource | None = None
    cinder: CinderPersistentVolumeSource | None = None
    claimRef: ObjectReference | None = None
    csi: CSIPersistentVolumeSource | None = None
    fc: FCVolumeSource | None = None
    flexVolume: FlexPersistentVolumeSource | None = None
    flocker: FlockerVolumeSource | None = None
    gcePersistentDisk: GCEPersistentDiskVolumeSource | None = None
    glusterfs: GlusterfsPersistentVolumeSource | None = None
    hostPath: HostPathVolumeSource | None = None
    iscsi: ISCSIPersistentVolumeSource | None = None
    local: LocalVolumeSource | None = None
    mountOptions: Annotated[list[str] | None, ATOMIC] = None
    nfs: NFSVolumeSource | None = None
    nodeAffinity: VolumeNodeAffinity | None = None
    persistentVolumeReclaimPolicy: Annotated[str, OneOf("Delete", "Recycle", "Retain")] = "Retain"
    photonPersistentDisk: PhotonPersistentDiskVolumeSource | None = None
    portworxVolume: PortworxVolumeSource | None = None
    quobyte: QuobyteVolumeSource | None = None
    rbd: RBDPersistentVolumeSource | None = None
    scaleIO: ScaleIOPersistentVolumeSource | None = None
    storageClassName: str | None = None
    storageos: StorageOSPersistentVolumeSource | None = None
    volumeAttributesClassName: str | None = None
    volumeMode: Annotated[str, OneOf("Block", "Filesystem")] = "Filesystem"
    vsphereVolume: VsphereVirtualDiskVolumeSource | None = None


class PersistentVolumeStatus(Model):
    """Whether a volume is free, bound or released."""

    lastPhaseTransitionTime: Time | None = None
    message: str | None = None
    phase: str = "Pending"
    reason: str | None = None


class PersistentVolume(Kind):
    """A piece of storage in the cluster."""

    spec: PersistentVolumeSpec = Field(default_factory=PersistentVolumeSpec)
    status: PersistentVolumeStatus = Field(default_factory=PersistentVolumeStatus)


class PersistentVolumeClaimSpec(Model):
    """The storage that is asked for."""

    accessModes: Annotated[
        list[str] | None, ATOMIC, OneOf("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
    ] = None
    dataSource: TypedLocalObjectReference | None = None
    dataSourceRef: TypedObjectReference | None = None
    resources: VolumeResourceRequirements = Field(default_factory=VolumeResourceRequirements)
    selector: LabelSelector | None = None
    storageClassName: str | None = None
    volumeAttributesClassName: str | None = None
    volumeMode: Annotated[str, OneOf("Block", "Filesystem")] = "Filesystem"
    volumeName: str | None = None


class ModifyVolumeStatus(Model):
    """How far a change of a volume's attributes is."""

    status: Annotated[str, LISTED] = ""
    targetVolumeAttributesClassName: str | None = None


class PersistentVolumeClaimCondition(Model):
    """One condition of a claim."""

    lastProbeTime: Time | None = None
    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: Annotated[str, LISTED] = ""
    type: Annotated[str, LISTED] = ""


class PersistentVolumeClaimStatus(Model):
    """Whether a claim is bound, and what it got."""

    accessModes: Annotated[list[str] | None, ATOMIC] = None
    allocatedResourceStatuses: dict[str, str] | None = None
    allocatedResources: dict[str, Quantity] | None = None
    capacity: dict[str, Quantity] | None = None
    conditions: Annotated[list[PersistentVolumeClaimCondition] | None, MergeKey("type")] = None
    currentVolumeAttributesClassName: str | None = None
    modifyVolumeStatus: ModifyVolumeStatus | None = None
    phase: str = "Pending"


class PersistentVolumeClaim(Kind):
    """Asks for storage and stands for it in pods."""

    spec: PersistentVolumeClaimSpec = Field(default_factory=PersistentVolumeClaimSpec)
    status: PersistentVolumeClaimStatus = Field(default_factory=PersistentVolumeClaimStatus)


class PersistentVolumeClaimTemplate(Model):
    """The claims that are made for pods."""

    metadata: ObjectMeta | None = None
    spec: Annotated[PersistentVolumeClaimSpec | None, REQUIRED] = None
