"""Has a disk and a volume made for each claim that asks for one, and both removed when the claim has gone.

Does what the CSI side-car external-provisioner does, by the same annotations and finalizer, so that the binder may be
Kubernetes' own.
"""

from __future__ import annotations

from api import meta, resources
from api.errors import AlreadyExists, NotFound
from api.meta import is_deleting, key, name, namespace, uid
from api.types import Object
from client.controller import Context, Controller
from controllers.cloud.provider import CloudError, Disk, DiskBusy, Disks
from controllers.volumes.names import (
    PROVISIONED_BY,
    PROVISIONER,
    PROVISIONER_BETA,
    SELECTED_NODE,
    SHARED,
    WAIT,
    class_of,
    requested,
    size_of,
)
from controllers.volumes.protection import without_finalizer

FINALIZER = "external-provisioner.volume.kubernetes.io/finalizer"
_CLAIM, _VOLUME = "claim:", "volume:"


def objection(claim: Object) -> str:
    """Why we cannot serve the claim; empty when we can. Pure."""
    spec = claim["spec"]
    modes = SHARED & set(spec.get("accessModes") or ())
    if modes and spec.get("volumeMode") != "Block":
        return f"access mode {sorted(modes)[0]} needs a file system that several nodes share; a disk has none"
    if spec.get("dataSource") or spec.get("dataSourceRef"):
        return "a disk cannot be made from a data source"
    if spec.get("selector"):
        return "a claim with a selector is bound to existing volumes only"
    return ""


def volume_for(claim: Object, storage_class: Object, driver: str, disk: Disk) -> Object:
    """The PersistentVolume for a new disk. Pure."""
    parameters = storage_class.get("parameters") or {}
    spec: Object = {
        "capacity": {"storage": quantity_of(disk.size)},
        "accessModes": claim["spec"].get("accessModes") or ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy") or "Delete",
        "storageClassName": name(storage_class),
        "volumeMode": claim["spec"].get("volumeMode") or "Filesystem",
        "claimRef": {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "namespace": namespace(claim),
            "name": name(claim),
            "uid": uid(claim),
            "resourceVersion": meta.resource_version(claim),
        },
        "csi": {
            "driver": driver,
            "volumeHandle": disk.handle,
            "volumeAttributes": {"storage.kubernetes.io/csiProvisionerIdentity": driver},
        },
    }
    if spec["volumeMode"] == "Filesystem":
        spec["csi"]["fsType"] = parameters.get("csi.storage.k8s.io/fstype", "ext4")
    if disk.topology:
        wanted = [{"key": key, "operator": "In", "values": [value]} for key, value in disk.topology.items()]
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": wanted}]}}
    if storage_class.get("mountOptions"):
        spec["mountOptions"] = storage_class["mountOptions"]
    return {
        "metadata": {"name": volume_name(claim), "annotations": {PROVISIONED_BY: driver}, "finalizers": [FINALIZER]},
        "spec": spec,
    }


def disk_of(volume: Object) -> Disk:
    """The disk behind a volume that `volume_for` has made. Pure."""
    spec = volume["spec"]
    terms = ((spec.get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms") or [{}]
    topology = {wanted["key"]: wanted["values"][0] for wanted in terms[0].get("matchExpressions") or ()}
    return Disk(spec["csi"]["volumeHandle"], size_of(volume), topology)


def quantity_of(size: int) -> str:
    """Bytes in the largest binary unit that divides them."""
    for unit, power in (("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)):
        if size % (1 << power) == 0:
            return f"{size >> power}{unit}"
    return str(size)


def volume_name(claim: Object) -> str:
    """The name of the volume and of the disk made for a claim."""
    return f"pvc-{uid(claim)}"


class Provisioner(Controller):
    """Keys: `claim:namespace/name` and `volume:name`."""

    name = "disk-provisioner"

    def __init__(self, ctx: Context, disks: Disks) -> None:
        super().__init__(ctx)
        claims = ctx.informers.informer(resources.PERSISTENTVOLUMECLAIMS)
        volumes = ctx.informers.informer(resources.PERSISTENTVOLUMES)
        classes = ctx.informers.informer(resources.STORAGECLASSES)
        self.claims, self.volumes, self.classes = claims.lister, volumes.lister, classes.lister
        self.disks = disks
        claims.add_handler(self._on_claim, lambda _, new: self._on_claim(new))
        volumes.add_handler(self._on_volume, lambda _, new: self._on_volume(new), self._on_volume)
        # The handle of a disk is the name of its volume.
        disks.follow(lambda handle: self.queue.add(_VOLUME + handle))

    def _on_claim(self, claim: Object) -> None:
        if self._is_ours(claim):
            self.queue.add(_CLAIM + key(claim))

    def _on_volume(self, volume: Object) -> None:
        if meta.annotations(volume).get(PROVISIONED_BY) == self.disks.driver:
            self.queue.add(_VOLUME + name(volume))

    def _is_ours(self, claim: Object) -> bool:
        noted = meta.annotations(claim)
        asked = noted.get(PROVISIONER) or noted.get(PROVISIONER_BETA)
        return asked == self.disks.driver and not claim["spec"].get("volumeName") and not is_deleting(claim)

    async def reconcile(self, key: str) -> None:
        """Provision for one claim, or look whether one volume has to go."""
        if key.startswith(_CLAIM):
            claim = self.claims.get(key.removeprefix(_CLAIM))
            if claim is not None and self._is_ours(claim):
                await self._provision(key, claim)
            return
        volume = self.volumes.get(key.removeprefix(_VOLUME))
        if volume is None:
            await self.disks.keep(key.removeprefix(_VOLUME))
        elif volume["spec"].get("csi", {}).get("driver") == self.disks.driver:
            await self._reclaim(key, volume)

    async def _provision(self, key: str, claim: Object) -> None:
        storage_class = self.classes.get(class_of(claim))
        if storage_class is None or self.volumes.get(volume_name(claim)):
            return
        if storage_class.get("volumeBindingMode") == WAIT and SELECTED_NODE not in meta.annotations(claim):
            return
        if why := objection(claim):
            self._failed(claim, why)
            return
        try:
            node = meta.annotations(claim).get(SELECTED_NODE) or ""
            disk = await self.disks.create(volume_name(claim), requested(claim), node)
        except CloudError as error:
            self._failed(claim, str(error))
            self.queue.add_rate_limited(key)
            return
        volume = volume_for(claim, storage_class, self.disks.driver, disk)
        try:
            await self.client.create(resources.PERSISTENTVOLUMES, volume)
        except AlreadyExists:
            return
        message = f"Successfully provisioned volume {name(volume)}"
        self.recorder.event(claim, "Normal", "ProvisioningSucceeded", message)

    def _failed(self, claim: Object, why: str) -> None:
        message = f'failed to provision volume with StorageClass "{class_of(claim)}": {why}'
        self.recorder.event(claim, "Warning", "ProvisioningFailed", message)

    async def _reclaim(self, key: str, volume: Object) -> None:
        """Have the disk of a released volume removed, then the volume; a volume deleted by hand takes its disk along."""
        if volume["spec"].get("persistentVolumeReclaimPolicy") != "Delete" or not _is_unused(volume):
            await self.disks.keep(disk_of(volume).handle)
            if not is_deleting(volume) or not _is_unused(volume):
                return
        elif not await self._removed(key, volume):
            return
        if not is_deleting(volume):
            try:
                await self.client.delete(resources.PERSISTENTVOLUMES, name(volume), uid=uid(volume))
                volume = await self.client.get(resources.PERSISTENTVOLUMES, name(volume))
            except NotFound:
                return
        if changed := without_finalizer(volume, FINALIZER):
            await self.client.update(resources.PERSISTENTVOLUMES, changed)

    async def _removed(self, key: str, volume: Object) -> bool:
        """Whether the disk has gone; if not, we come back."""
        try:
            await self.disks.delete(disk_of(volume))
        except DiskBusy:
            return False  # and `follow` brings us back
        except CloudError as error:
            self.recorder.event(volume, "Warning", "VolumeFailedDelete", str(error))
            self.queue.add_rate_limited(key)
            return False
        return True


def _is_unused(volume: Object) -> bool:
    phase = (volume.get("status") or {}).get("phase")
    return phase in ("Released", "Failed") or (is_deleting(volume) and phase != "Bound")
