"""Volumes behind a PersistentVolumeClaim: which claim leads to which volume, and where that is on this node.

Known are hostPath and local directories, and the disks of `disk.cloudlet.dev`, which kubelets keep (`kubelet/volumes/disks.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from api import quantity, resources
from api.types import Object
from api.volumes import DISK_DRIVER, claim_name
from kubelet.references import Reference, References
from kubelet.volumes.payload import VolumeFault


@dataclass(frozen=True, slots=True)
class Located:
    """Where a claim's data is: a directory of the node, a block device, or a disk of so many bytes with a filesystem."""

    name: str
    directory: str = ""
    device: str = ""
    disk: str = ""
    size: int = 0
    filesystem: str = ""
    block: bool = False
    read_only: bool = False


class Claims:
    """Follows claims to their volumes."""

    def __init__(self, references: References) -> None:
        self._references = references

    def _claim(self, pod: Object, name: str) -> Reference:
        return Reference(resources.PERSISTENTVOLUMECLAIMS, pod["metadata"]["namespace"], name)

    def _bound(self, pod: Object, name: str) -> Reference | None:
        """The volume that the claim names."""
        claim = self._references.get(self._claim(pod, name))
        bound = (claim or {}).get("spec", {}).get("volumeName")
        return Reference(resources.PERSISTENTVOLUMES, "", bound) if bound else None

    def references(self, pod: Object) -> set[Reference]:
        """What has to be followed now: grows as a claim comes to name its volume."""
        names = {name for volume in pod["spec"].get("volumes") or () if (name := claim_name(pod, volume))}
        volumes = {bound for name in names if (bound := self._bound(pod, name))}
        return {self._claim(pod, name) for name in names} | volumes

    def locate(self, pod: Object, volume: Object) -> Located:
        """Raises VolumeFault while the claim is not bound."""
        name = claim_name(pod, volume)
        claim, bound = self._references.get(self._claim(pod, name)), self._bound(pod, name)
        if claim is None:
            raise VolumeFault(f'persistentvolumeclaim "{name}" not found')
        if claim["metadata"].get("deletionTimestamp"):
            raise VolumeFault(f'persistentvolumeclaim "{name}" is being deleted')
        found = self._references.get(bound) if bound else None
        if found is None or (claim.get("status") or {}).get("phase") != "Bound":
            raise VolumeFault(f"PVC {pod['metadata']['namespace']}/{name} is not bound")
        return locate(found, read_only=bool((volume.get("persistentVolumeClaim") or {}).get("readOnly")))


def locate(volume: Object, *, read_only: bool = False) -> Located:
    """Where a PersistentVolume is. Pure. Raises VolumeFault for one that this node cannot mount."""
    spec, name = volume["spec"], volume["metadata"]["name"]
    block = spec.get("volumeMode") == "Block"
    for kind in ("hostPath", "local"):
        if spec.get(kind):
            path = spec[kind]["path"]
            place = {"device": path} if block else {"directory": path}
            return Located(name, **place, block=block, read_only=read_only)
    csi = spec.get("csi")
    if not csi:
        raise VolumeFault(f'volume "{name}" is of a type this node cannot mount')
    if csi["driver"] != DISK_DRIVER:
        raise VolumeFault(f"driver name {csi['driver']} not found in the list of registered CSI drivers")
    return Located(
        name,
        disk=csi["volumeHandle"],
        size=quantity.value(spec["capacity"]["storage"]),
        filesystem="" if block else csi.get("fsType") or "ext4",
        block=block,
        read_only=read_only or bool(csi.get("readOnly")),
    )
