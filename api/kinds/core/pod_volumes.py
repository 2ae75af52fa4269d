"""The volumes of pods."""

from typing import Annotated, Self

from pydantic import model_validator

from api.kinds.base import ATOMIC, REQUIRED, Bounds, Int32, Int64, Model, OneOf, Quantity
from api.kinds.core.pod_containers import pull_policy
from api.kinds.core.references import KeyToPath, ObjectFieldSelector, ResourceFieldSelector
from api.kinds.core.storage import PersistentVolumeClaimTemplate
from api.kinds.core.volume_sources import (
    AWSElasticBlockStoreVolumeSource,
    AzureDiskVolumeSource,
    AzureFileVolumeSource,
    CephFSVolumeSource,
    CinderVolumeSource,
    CSIVolumeSource,
    FCVolumeSource,
    FlexVolumeSource,
    FlockerVolumeSource,
    GCEPersistentDiskVolumeSource,
    GitRepoVolumeSource,
    GlusterfsVolumeSource,
    HostPathVolumeSource,
    ISCSIVolumeSource,
    NFSVolumeSource,
    PhotonPersistentDiskVolumeSource,
    PortworxVolumeSource,
    QuobyteVolumeSource,
    RBDVolumeSource,
    ScaleIOVolumeSource,
    StorageOSVolumeSource,
    VsphereVirtualDiskVolumeSource,
)
from api.kinds.meta import LabelSelector


class EmptyDirVolumeSource(Model):
    """A directory that is empty at first and lives as long as the pod."""

    medium: str | None = None
    sizeLimit: Quantity | None = None


class ConfigMapVolumeSource(Model):
    """The keys of a ConfigMap as files."""

    defaultMode: Annotated[Int32, Bounds(0, 511)] = 420
    items: Annotated[list[KeyToPath] | None, ATOMIC] = None
    name: str | None = None
    optional: bool | None = None


class SecretVolumeSource(Model):
    """The keys of a Secret as files."""

    defaultMode: Annotated[Int32, Bounds(0, 511)] = 420
    items: Annotated[list[KeyToPath] | None, ATOMIC] = None
    optional: bool | None = None
    secretName: str | None = None


class DownwardAPIVolumeFile(Model):
    """One field of the pod as a file."""

    fieldRef: ObjectFieldSelector | None = None
    mode: Annotated[Int32 | None, Bounds(0, 511)] = None
    path: Annotated[str | None, REQUIRED] = None
    resourceFieldRef: ResourceFieldSelector | None = None


class DownwardAPIVolumeSource(Model):
    """Fields of the pod as files."""

    defaultMode: Annotated[Int32, Bounds(0, 511)] = 420
    items: Annotated[list[DownwardAPIVolumeFile] | None, ATOMIC] = None


class ConfigMapProjection(Model):
    """The keys of a ConfigMap as files of a projected volume."""

    items: Annotated[list[KeyToPath] | None, ATOMIC] = None
    name: str | None = None
    optional: bool | None = None


class SecretProjection(Model):
    """The keys of a Secret as files of a projected volume."""

    items: Annotated[list[KeyToPath] | None, ATOMIC] = None
    name: str | None = None
    optional: bool | None = None


class DownwardAPIProjection(Model):
    """Fields of the pod as files of a projected volume."""

    items: Annotated[list[DownwardAPIVolumeFile] | None, ATOMIC] = None


class ServiceAccountTokenProjection(Model):
    """A token of the pod's service account as a file that is kept fresh."""

    audience: str | None = None
    expirationSeconds: Annotated[Int64, Bounds(600, 4294967296)] = 3600
    path: Annotated[str | None, REQUIRED] = None


class ClusterTrustBundleProjection(Model):
    """Trust anchors as a file."""

    labelSelector: LabelSelector | None = None
    name: str | None = None
    optional: bool | None = None
    path: Annotated[str | None, REQUIRED] = None
    signerName: str | None = None


class PodCertificateProjection(Model):
    """A key and certificate for the pod as a file that is kept fresh."""

    certificateChainPath: str | None = None
    credentialBundlePath: str | None = None
    keyPath: str | None = None
    keyType: Annotated[str | None, REQUIRED] = None
    maxExpirationSeconds: Int32 | None = None
    signerName: Annotated[str | None, REQUIRED] = None
    userAnnotations: dict[str, str] | None = None


class VolumeProjection(Model):
    """One source of a projected volume."""

    clusterTrustBundle: ClusterTrustBundleProjection | None = None
    configMap: ConfigMapProjection | None = None
    downwardAPI: DownwardAPIProjection | None = None
    podCertificate: PodCertificateProjection | None = None
    secret: SecretProjection | None = None
    serviceAccountToken: ServiceAccountTokenProjection | None = None


class ProjectedVolumeSource(Model):
    """Several sources in one directory."""

    defaultMode: Annotated[Int32, Bounds(0, 511)] = 420
    sources: Annotated[list[VolumeProjection] | None, ATOMIC] = None


class PersistentVolumeClaimVolumeSource(Model):
    """The volume that a claim is bound to."""

    claimName: Annotated[str | None, REQUIRED] = None
    readOnly: bool | None = None


class EphemeralVolumeSource(Model):
    """A claim that is made for the pod and goes with it."""

    volumeClaimTemplate: PersistentVolumeClaimTemplate | None = None


class ImageVolumeSource(Model):
    """The files of an image."""

    pullPolicy: Annotated[str | None, OneOf("Always", "IfNotPresent", "Never")] = None
    reference: str | None = None

    @model_validator(mode="after")
    def _default(self) -> Self:
        if not self.pullPolicy:
            self.pullPolicy = pull_policy(self.reference)
        return self


class Volume(Model):
    """A directory that containers of a pod can share."""

    awsElasticBlockStore: AWSElasticBlockStoreVolumeSource | None = None
    azureDisk: AzureDiskVolumeSource | None = None
    azureFile: AzureFileVolumeSource | None = None
    cephfs: CephFSVolumeSource | None = None
    cinder: CinderVolumeSource | None = None
    configMap: ConfigMapVolumeSource | None = None
    csi: CSIVolumeSource | None = None
    downwardAPI: DownwardAPIVolumeSource | None = None
    emptyDir: EmptyDirVolumeSource | None = None
    ephemeral: EphemeralVolumeSource | None = None
    fc: FCVolumeSource | None = None
    flexVolume: FlexVolumeSource | None = None
    flocker: FlockerVolumeSource | None = None
    gcePersistentDisk: GCEPersistentDiskVolumeSource | None = None
    gitRepo: GitRepoVolumeSource | None = None
    glusterfs: GlusterfsVolumeSource | None = None
    hostPath: HostPathVolumeSource | None = None
    image: ImageVolumeSource | None = None
    iscsi: ISCSIVolumeSource | None = None
    name: Annotated[str | None, REQUIRED] = None
    nfs: NFSVolumeSource | None = None
    persistentVolumeClaim: PersistentVolumeClaimVolumeSource | None = None
    photonPersistentDisk: PhotonPersistentDiskVolumeSource | None = None
    portworxVolume: PortworxVolumeSource | None = None
    projected: ProjectedVolumeSource | None = None
    quobyte: QuobyteVolumeSource | None = None
    rbd: RBDVolumeSource | None = None
    scaleIO: ScaleIOVolumeSource | None = None
    secret: SecretVolumeSource | None = None
    storageos: StorageOSVolumeSource | None = None
    vsphereVolume: VsphereVirtualDiskVolumeSource | None = None

    @model_validator(mode="after")
    def _default(self) -> Self:
        # a volume that names no source is an emptyDir
        if not any(self.__dict__[field] is not None for field in self.model_fields_set if field != "name"):
            self.emptyDir = EmptyDirVolumeSource()
        return self
