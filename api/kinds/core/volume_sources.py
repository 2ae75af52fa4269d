"""Where volumes come from: every source that pods or persistent volumes can name."""

from typing import Annotated

from api.kinds.base import ATOMIC, LISTED, REQUIRED, Int32, Model, OneOf
from api.kinds.core.references import LocalObjectReference, ObjectReference, SecretReference


class HostPathVolumeSource(Model):
    """A file or directory of the node."""

    path: Annotated[str | None, REQUIRED] = None
    type: Annotated[
        str, OneOf("", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice")
    ] = ""


class GCEPersistentDiskVolumeSource(Model):
    """A disk of Google Compute Engine."""

    fsType: str | None = None
    partition: Int32 | None = None
    pdName: Annotated[str | None, REQUIRED] = None
    readOnly: bool | None = None


class AWSElasticBlockStoreVolumeSource(Model):
    """A disk of AWS Elastic Block Store."""

    fsType: str | None = None
    partition: Int32 | None = None
    readOnly: bool | None = None
    volumeID: Annotated[str | None, REQUIRED] = None


class GlusterfsVolumeSource(Model):
    """A Glusterfs mount."""

    endpoints: Annotated[str | None, REQUIRED] = None
    path: Annotated[str | None, REQUIRED] = None
    readOnly: bool | None = None


class GlusterfsPersistentVolumeSource(Model):
    """A Glusterfs mount as a persistent volume."""

    endpoints: Annotated[str | None, REQUIRED] = None
    endpointsNamespace: str | None = None
    path: Annotated[str | None, REQUIRED] = None
    readOnly: bool | None = None


class NFSVolumeSource(Model):
    """An NFS mount."""

    path: Annotated[str | None, REQUIRED] = None
    readOnly: bool | None = None
    server: Annotated[str | None, REQUIRED] = None


class RBDVolumeSource(Model):
    """A Ceph block device."""

    fsType: str | None = None
    image: Annotated[str | None, REQUIRED] = None
    keyring: str = "/etc/ceph/keyring"
    monitors: Annotated[list[str] | None, ATOMIC, REQUIRED] = None
    pool: str = "rbd"
    readOnly: bool | None = None
    secretRef: LocalObjectReference | None = None
    user: str = "admin"


class RBDPersistentVolumeSource(Model):
    """A Ceph block device as a persistent volume."""

    fsType: str | None = None
    image: Annotated[str | None, REQUIRED] = None
    keyring: str = "/etc/ceph/keyring"
    monitors: Annotated[list[str] | None, ATOMIC, REQUIRED] = None
    pool: str = "rbd"
    readOnly: bool | None = None
    secretRef: SecretReference | None = None
    user: str = "admin"


class ISCSIVolumeSource(Model):
    """An iSCSI disk."""

    chapAuthDiscovery: bool | None = None
    chapAuthSession: bool | None = None
    fsType: str | None = None
    initiatorName: str | None = None
    iqn: Annotated[str | None, REQUIRED] = None
    iscsiInterface: str = "default"
    lun: Annotated[Int32, LISTED] = 0
    portals: Annotated[list[str] | None, ATOMIC] = None
    readOnly: bool | None = None
    secretRef: LocalObjectReference | None = None
    targetPortal: Annotated[str | None, REQUIRED] = None


class ISCSIPersistentVolumeSource(Model):
    """An iSCSI disk as a persistent volume."""

    chapAuthDiscovery: bool | None = None
    chapAuthSession: bool | None = None
    fsType: str | None = None
    initiatorName: str | None = None
    iqn: Annotated[str | None, REQUIRED] = None
    iscsiInterface: str = "default"
    lun: Annotated[Int32, LISTED] = 0
    portals: Annotated[list[str] | None, ATOMIC] = None
    readOnly: bool | None = None
    secretRef: SecretReference | None = None
    targetPortal: Annotated[str | None, REQUIRED] = None


class CinderVolumeSource(Model):
    """A disk of OpenStack Cinder."""

    fsType: str | None = None
    readOnly: bool | None = None
    secretRef: LocalObjectReference | None = None
    volumeID: Annotated[str | None, REQUIRED] = None


class CinderPersistentVolumeSource(Model):
    """A disk of OpenStack Cinder as a persistent volume."""

    fsType: str | None = None
    readOnly: bool | None = None
    secretRef: SecretReference | None = None
    volumeID: Annotated[str | None, REQUIRED] = None


class CephFSVolumeSource(Model):
    """A CephFS mount."""

    monitors: Annotated[list[str] | None, ATOMIC, REQUIRED] = None
    path: str | None = None
    readOnly: bool | None = None
    secretFile: str | None = None
    secretRef: LocalObjectReference | None = None
    user: str | None = None


class CephFSPersistentVolumeSource(Model):
    """A CephFS mount as a persistent volume."""

    monitors: Annotated[list[str] | None, ATOMIC, REQUIRED] = None
    path: str | None = None
    readOnly: bool | None = None
    secretFile: str | None = None
    secretRef: SecretReference | None = None
    user: str | None = None


class FCVolumeSource(Model):
    """A Fibre Channel disk."""

    fsType: str | None = None
    lun: Int32 | None = None
    readOnly: bool | None = None
    targetWWNs: Annotated[list[str] | None, ATOMIC] = None
    wwids: Annotated[list[str] | None, ATOMIC] = None


class FlockerVolumeSource(Model):
    """A Flocker dataset."""

    datasetName: str | None = None
    datasetUUID: str | None = None


class FlexVolumeSource(Model):
    """A volume of a FlexVolume driver."""

    driver: Annotated[str | None, REQUIRED] = None
    fsType: str | None = None
    options: dict[str, str] | None = None
    readOnly: bool | None = None
    secretRef: LocalObjectReference | None = None


class FlexPersistentVolumeSource(Model):
    """A volume of a FlexVolume driver as a persistent volume."""

    driver: Annotated[str | None, REQUIRED] = None
    fsType: str | None = None
    options: dict[str, str] | None = None
    readOnly: bool | None = None
    secretRef: SecretReference | None = None


class AzureFileVolumeSource(Model):
    """A share of Azure Files."""

    readOnly: bool | None = None
    secretName: Annotated[str | None, REQUIRED] = None
    shareName: Annotated[str | None, REQUIRED] = None


class AzureFilePersistentVolumeSource(Model):
    """A share of Azure Files as a persistent volume."""

    readOnly: bool | None = None
    secretName: Annotated[str | None, REQUIRED] = None
    secretNamespace: str | None = None
    shareName: Annotated[str | None, REQUIRED] = None


class VsphereVirtualDiskVolumeSource(Model):
    """A disk of vSphere."""

    fsType: str | None = None
    storagePolicyID: str | None = None
    storagePolicyName: str | None = None
    volumePath: Annotated[str | None, REQUIRED] = None


class QuobyteVolumeSource(Model):
    """A Quobyte mount."""

    group: str | None = None
    readOnly: bool | None = None
    registry: Annotated[str | None, REQUIRED] = None
    tenant: str | None = None
    user: str | None = None
    volume: Annotated[str | None, REQUIRED] = None


class AzureDiskVolumeSource(Model):
    """A disk of Azure."""

    cachingMode: str = "ReadWrite"
    diskName: Annotated[str | None, REQUIRED] = None
    diskURI: Annotated[str | None, REQUIRED] = None
    fsType: str = "ext4"
    kind: str = "Shared"
    readOnly: bool = False


class PhotonPersistentDiskVolumeSource(Model):
    """A disk of the Photon controller."""

    fsType: str | None = None
    pdID: Annotated[str | None, REQUIRED] = None


class PortworxVolumeSource(Model):
    """A Portworx volume."""

    fsType: str | None = None
    readOnly: bool | None = None
    volumeID: Annotated[str | None, REQUIRED] = None


class ScaleIOVolumeSource(Model):
    """A ScaleIO volume."""

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
    """A ScaleIO volume as a persistent volume."""

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
    """A StorageOS volume."""

    fsType: str | None = None
    readOnly: bool | None = None
    secretRef: LocalObjectReference | None = None
    volumeName: str | None = None
    volumeNamespace: str | None = None


class StorageOSPersistentVolumeSource(Model):
    """A StorageOS volume as a persistent volume."""

    fsType: str | None = None
    readOnly: bool | None = None
    secretRef: ObjectReference | None = None
    volumeName: str | None = None
    volumeNamespace: str | None = None


class CSIVolumeSource(Model):
    """A short-lived volume of a CSI driver."""

    driver: Annotated[str | None, REQUIRED] = None
    fsType: str | None = None
    nodePublishSecretRef: LocalObjectReference | None = None
    readOnly: bool | None = None
    volumeAttributes: dict[str, str] | None = None


class CSIPersistentVolumeSource(Model):
    """A volume of a CSI driver."""

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
    """A disk or directory of one node as a persistent volume."""

    fsType: str | None = None
    path: Annotated[str | None, REQUIRED] = None


class GitRepoVolumeSource(Model):
    """A clone of a git repository; no longer made."""

    directory: str | None = None
    repository: Annotated[str | None, REQUIRED] = None
    revision: str | None = None
