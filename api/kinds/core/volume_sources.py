"""The models of core.volume_sources."""

from typing import Annotated

from api.kinds.base import ATOMIC, LISTED, REQUIRED, Int32, Model, OneOf
from api.kinds.core.references import LocalObjectReference, ObjectReference, SecretReference


class HostPathVolumeSource(Model):
    """A volume of kind Host Path."""

    path: Annotated[str | None, REQUIRED] = None
    type: Annotated[
        str, OneOf("", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice")
    ] = ""


class GCEPersistentDiskVolumeSource(Model):
    """A volume of kind GCE Persistent Disk."""

    fsType: str | None = None
    partition: Int32 | None = None
    pdName: Annotated[str | None, REQUIRED] = None
    readOnly: bool | None = None


class AWSElasticBlockStoreVolumeSource(Model):
    """A volume of kind AWS Elastic Block Store."""

    fsType: str | None = None
    partition: Int32 | None = None
    readOnly: bool | None = None
    volumeID: Annotated[str | None, REQUIRED] = None


class GlusterfsVolumeSource(Model):
    """A volume of kind Glusterfs."""

    endpoints: Annotated[str | None, REQUIRED] = None
    path: Annotated[str | None, REQUIRED] = None
    readOnly: bool | None = None


class GlusterfsPersistentVolumeSource(Model):
    """A persistent volume of kind Glusterfs."""

    endpoints: Annotated[str | None, REQUIRED] = None
    endpointsNamespace: str | None = None
    path: Annotated[str | None, REQUIRED] = None
    readOnly: bool | None = None


class NFSVolumeSource(Model):
    """A volume of kind NFS."""

    path: Annotated[str | None, REQUIRED] = None
    readOnly: bool | None = None
    server: Annotated[str | None, REQUIRED] = None


class RBDVolumeSource(Model):
    """A volume of kind RBD."""

    fsType: str | None = None
    image: Annotated[str | None, REQUIRED] = None
    keyring: str = "/etc/ceph/keyring"
    monitors: Annotated[list[str] | None, ATOMIC, REQUIRED] = None
    pool: str = "rbd"
    readOnly: bool | None = None
    secretRef: LocalObjectReference | None = None
    user: str = "admin"


class RBDPersistentVolumeSource(Model):
    """A persistent volume of kind RBD."""

    fsType: str | None = None
    image: Annotated[str | None, REQUIRED] = None
    keyring: str = "/etc/ceph/keyring"
    monitors: Annotated[list[str] | None, ATOMIC, REQUIRED] = None
    pool: str = "rbd"
    readOnly: bool | None = None
    secretRef: SecretReference | None = None
    user: str = "admin"


class ISCSIVolumeSource(Model):
    """A volume of kind ISCSI."""

    chapAuthDiscovery: bool | None = None
    chapAuthSession: bool | None = None
    fsType: str | None = None
    initiatorName: str | None = None
    iqn: Annotated[str | None, REQUIRED] = None
    iscsiInterface: str = "default"
    lun: Annotated[Int32 | None, LISTED] = None
    portals: Annotated[list[str] | None, ATOMIC] = None
    readOnly: bool | None = None
    secretRef: LocalObjectReference | None = None
    targetPortal: Annotated[str | None, REQUIRED] = None


class ISCSIPersistentVolumeSource(Model):
    """A persistent volume of kind ISCSI."""

    chapAuthDiscovery: bool | None = None
    chapAuthSession: bool | None = None
    fsType: str | None = None
    initiatorName: str | None = None
    iqn: Annotated[str | None, REQUIRED] = None
    iscsiInterface: str = "default"
    lun: Annotated[Int32 | None, LISTED] = None
    portals: Annotated[list[str] | None, ATOMIC] = None
    readOnly: bool | None = None
    secretRef: SecretReference | None = None
    targetPortal: Annotated[str | None, REQUIRED] = None


class CinderVolumeSource(Model):
    """A volume of kind Cinder."""

    fsType: str | None = None
    readOnly: bool | None = None
    secretRef: LocalObjectReference | None = None
    volumeID: Annotated[str | None, REQUIRED] = None


class CinderPersistentVolumeSource(Model):
    """A persistent volume of kind Cinder."""

    fsType: str | None = None
    readOnly: bool | None = None
    secretRef: SecretReference | None = None
    volumeID: Annotated[str | None, REQUIRED] = None


class CephFSVolumeSource(Model):
    """A volume of kind Ceph FS."""

    monitors: Annotated[list[str] | None, ATOMIC, REQUIRED] = None
    path: str | None = None
    readOnly: bool | None = None
    secretFile: str | None = None
    secretRef: LocalObjectReference | None = None
    user: str | None = None


class CephFSPersistentVolumeSource(Model):
    """A persistent volume of kind Ceph FS."""

    monitors: Annotated[list[str] | None, ATOMIC, REQUIRED] = None
    path: str | None = None
    readOnly: bool | None = None
    secretFile: str | None = None
    secretRef: SecretReference | None = None
    user: str | None = None


class FCVolumeSource(Model):
    """A volume of kind FC."""

    fsType: str | None = None
    lun: Int32 | None = None
    readOnly: bool | None = None
    targetWWNs: Annotated[list[str] | None, ATOMIC] = None
    wwids: Annotated[list[str] | None, ATOMIC] = None


class FlockerVolumeSource(Model):
    """A volume of kind Flocker."""

    datasetName: str | None = None
    datasetUUID: str | None = None


class FlexVolumeSource(Model):
    """A volume of kind Flex."""

    driver: Annotated[str | None, REQUIRED] = None
    fsType: str | None = None
    options: dict[str, str] | None = None
    readOnly: bool | None = None
    secretRef: LocalObjectReference | None = None


class FlexPersistentVolumeSource(Model):
    """A persistent volume of kind Flex."""

    driver: Annotated[str | None, REQUIRED] = None
    fsType: str | None = None
    options: dict[str, str] | None = None
    readOnly: bool | None = None
    secretRef: SecretReference | None = None


class AzureFileVolumeSource(Model):
    """A volume of kind Azure File."""

    readOnly: bool | None = None
    secretName: Annotated[str | None, REQUIRED] = None
    shareName: Annotated[str | None, REQUIRED] = None


class AzureFilePersistentVolumeSource(Model):
    """A persistent volume of kind Azure File."""

    readOnly: bool | None = None
    secretName: Annotated[str | None, REQUIRED] = None
    secretNamespace: str | None = None
    shareName: Annotated[str | None, REQUIRED] = None


class VsphereVirtualDiskVolumeSource(Model):
    """A volume of kind Vsphere Virtual Disk."""

    fsType: str | None = None
    storagePolicyID: str | None = None
    storagePolicyName: str | None = None
    volumePath: Annotated[str | None, REQUIRED] = None


class QuobyteVolumeSource(Model):
    """A volume of kind Quobyte."""

    group: str | None = None
    readOnly: bool | None = None
    registry: Annotated[str | None, REQUIRED] = None
    tenant: str | None = None
    user: str | None = None
    volume: Annotated[str | None, REQUIRED] = None


class AzureDiskVolumeSource(Model):
    """A volume of kind Azure Disk."""

    cachingMode: str = "ReadWrite"
    diskName: Annotated[str | None, REQUIRED] = None
    diskURI: Annotated[str | None, REQUIRED] = None
    fsType: str = "ext4"
    kind: str = "Shared"
    readOnly: bool = False


class PhotonPersistentDiskVolumeSource(Model):
    """A volume of kind Photon Persistent Disk."""

    fsType: str | None = None
    pdID: Annotated[str | None, REQUIRED] = None


class PortworxVolumeSource(Model):
    """A volume of kind Portworx."""

    fsType: str | None = None
    readOnly: bool | None = None
    volumeID: Annotated[str | None, REQUIRED] = None


class ScaleIOVolumeSource(Model):
    """A volume of kind Scale IO."""

    fsType: str = "xfs"
    gateway: Annotated[str | None, REQUIRED] = None
    protectionDomain: str | None = None
    readOnly: bool | None = None
    secretRef: Annotated[LocalObjectReference | None, REQUIRED] = None
    sslEnabled: bool | None = None
    storageMode: str = "ThinProvisioned"
    storagePool: str | None = None
    system: Annotated[str | None, REQUIRED] = None
    volumeName: str | None = None


class ScaleIOPersistentVolumeSource(Model):
    """A persistent volume of kind Scale IO."""

    fsType: str = "xfs"
    gateway: Annotated[str | None, REQUIRED] = None
    protectionDomain: str | None = None
    readOnly: bool | None = None
    secretRef: Annotated[SecretReference | None, REQUIRED] = None
    sslEnabled: bool | None = None
    storageMode: str = "ThinProvisioned"
    storagePool: str | None = None
    system: Annotated[str | None, REQUIRED] = None
    volumeName: str | None = None


class StorageOSVolumeSource(Model):
    """A volume of kind Storage OS."""

    fsType: str | None = None
    readOnly: bool | None = None
    secretRef: LocalObjectReference | None = None
    volumeName: str | None = None
    volumeNamespace: str | None = None


class StorageOSPersistentVolumeSource(Model):
    """A persistent volume of kind Storage OS."""

    fsType: str | None = None
    readOnly: bool | None = None
    secretRef: ObjectReference | None = None
    volumeName: str | None = None
    volumeNamespace: str | None = None


class CSIVolumeSource(Model):
    """A volume of kind CSI."""

    driver: Annotated[str | None, REQUIRED] = None
    fsType: str | None = None
    nodePublishSecretRef: LocalObjectReference | None = None
    readOnly: bool | None = None
    volumeAttributes: dict[str, str] | None = None


class CSIPersistentVolumeSource(Model):
    """A persistent volume of kind CSI."""

    controllerExpandSecretRef: SecretReference | None = None
    controllerPublishSecretRef: SecretReference | None = None
    driver: Annotated[str | None, REQUIRED] = None
    fsType: str | None = None
    nodeExpandSecretRef: SecretReference | None = None
    nodePublishSecretRef: SecretReference | None = None
    nodeStageSecretRef: SecretReference | None = None
    readOnly: bool | None = None
    volumeAttributes: dict[str, str] | None = None
    volumeHandle: Annotated[str | None, REQUIRED] = None


class LocalVolumeSource(Model):
    """A volume of kind Local."""

    fsType: str | None = None
    path: Annotated[str | None, REQUIRED] = None


class GitRepoVolumeSource(Model):
    """A volume of kind Git Repo."""

    directory: str | None = None
    repository: Annotated[str | None, REQUIRED] = None
    revision: str | None = None
