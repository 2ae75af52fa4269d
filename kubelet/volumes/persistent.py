"""Volumes behind a PersistentVolumeClaim: hostPath and local directories, and disks that the cloud side attaches.

A disk is announced by its VolumeAttachment: once `status.attached`, `status.attachmentMetadata.devicePath` names the block
device on this node. It is formatted only if blkid(8) finds nothing on it, and mounted once per pod. The names follow CSI's
(`csi-<hash>`), so that either side may be Kubernetes' own.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from api import resources
from api.types import Object
from api.volumes import attachment_name, claim_name, unique_name
from client.command import CommandError, Commands
from kubelet.references import Reference, References
from kubelet.volumes import mounts
from kubelet.volumes.payload import VolumeFault

DRIVER = "disk.cloudlet.dev"
_NOTHING_FOUND = 2


@dataclass(frozen=True, slots=True)
class Located:
    """Where a claim's data is: a directory of the node, or a block device with a filesystem type to use."""

    name: str
    directory: str = ""
    device: str = ""
    filesystem: str = "ext4"
    block: bool = False
    read_only: bool = False
    unique_name: str = ""
    """The entry of `node.status.volumesInUse` for a volume that is attached."""


class Claims:
    """Follows claims to their volumes and attachments."""

    def __init__(self, references: References, node: str) -> None:
        self._references, self._node = references, node

    def _claim(self, pod: Object, name: str) -> Reference:
        return Reference(resources.PERSISTENTVOLUMECLAIMS, pod["metadata"]["namespace"], name)

    def _volume(self, pod: Object, name: str) -> Object | None:
        claim = self._references.get(self._claim(pod, name))
        bound = (claim or {}).get("spec", {}).get("volumeName")
        return self._references.get(Reference(resources.PERSISTENTVOLUMES, "", bound)) if bound else None

    def _attachment(self, volume: Object) -> Reference | None:
        csi = volume["spec"].get("csi")
        if not csi:
            return None
        return Reference(
            resources.VOLUMEATTACHMENTS, "", attachment_name(csi["driver"], csi["volumeHandle"], self._node)
        )

    def references(self, pod: Object) -> set[Reference]:
        """What has to be followed now: grows as each object names the next."""
        wanted = set()
        for volume in pod["spec"].get("volumes") or ():
            name = claim_name(pod, volume)
            if not name:
                continue
            wanted.add(self._claim(pod, name))
            claim = self._references.get(self._claim(pod, name))
            bound = (claim or {}).get("spec", {}).get("volumeName")
            if not bound:
                continue
            wanted.add(Reference(resources.PERSISTENTVOLUMES, "", bound))
            found = self._volume(pod, name)
            if found and (attachment := self._attachment(found)):
                wanted.add(attachment)
        return wanted

    def in_use(self, pod: Object) -> set[str]:
        """The unique names of the attachable volumes of a pod."""
        names = set()
        for volume in pod["spec"].get("volumes") or ():
            name = claim_name(pod, volume)
            found = self._volume(pod, name) if name else None
            if found and (listed := unique_name(found)):
                names.add(listed)
        return names

    def locate(self, pod: Object, volume: Object) -> Located:
        """Raises VolumeFault while the claim is not bound or its disk not attached."""
        name = claim_name(pod, volume)
        claim = self._references.get(self._claim(pod, name))
        if claim is None:
            raise VolumeFault(f'persistentvolumeclaim "{name}" not found')
        if claim["metadata"].get("deletionTimestamp"):
            raise VolumeFault(f'persistentvolumeclaim "{name}" is being deleted')
        found = self._volume(pod, name)
        if found is None or (claim.get("status") or {}).get("phase") != "Bound":
            raise VolumeFault(f"PVC {pod['metadata']['namespace']}/{name} is not bound")
        spec, pv = found["spec"], found["metadata"]["name"]
        read_only = bool((volume.get("persistentVolumeClaim") or {}).get("readOnly"))
        block = spec.get("volumeMode") == "Block"
        for kind in ("hostPath", "local"):
            if spec.get(kind):
                path = spec[kind]["path"]
                return Located(
                    pv, directory="" if block else path, device=path if block else "", block=block, read_only=read_only
                )
        if spec.get("csi"):
            return self._disk(found, block, read_only)
        raise VolumeFault(f'volume "{pv}" is of a type this node cannot mount')

    def _disk(self, volume: Object, block: bool, read_only: bool) -> Located:
        csi, name = volume["spec"]["csi"], volume["metadata"]["name"]
        if csi["driver"] != DRIVER:
            raise VolumeFault(f"driver name {csi['driver']} not found in the list of registered CSI drivers")
        reference = self._attachment(volume)
        attachment = self._references.get(reference) if reference else None
        status = (attachment or {}).get("status") or {}
        if not status.get("attached"):
            error = (status.get("attachError") or {}).get("message", "")
            raise VolumeFault(f'volume "{name}" is not attached yet{": " + error if error else ""}')
        device = (status.get("attachmentMetadata") or {}).get("devicePath")
        if not device:
            raise VolumeFault(f'the attachment of volume "{name}" names no device')
        return Located(
            name, device=device, filesystem=csi.get("fsType") or "ext4", block=block,
            read_only=read_only or bool(csi.get("readOnly")), unique_name=unique_name(volume),
        )  # fmt: skip


class Disks:
    """Mounts attached block devices."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._locks: dict[str, asyncio.Lock] = {}

    async def mount(self, located: Located, target: Path) -> None:
        """Mount the device at `target` unless it is mounted there. Raises VolumeFault."""
        if await asyncio.to_thread(mounts.is_mounted, target):
            return
        async with self._locks.setdefault(located.device, asyncio.Lock()):
            kind = await self._probe(located.device)
            if not kind:
                kind = located.filesystem
                await self._format(located)
        try:
            await asyncio.to_thread(target.mkdir, parents=True, exist_ok=True)
            flags = mounts.MS_RDONLY if located.read_only else 0
            await asyncio.to_thread(mounts.mount, located.device, str(target), kind, flags)
        except OSError as error:
            raise VolumeFault(f"mounting {located.device} at {target} failed: {error.strerror}") from error

    async def _probe(self, device: str) -> str:
        """The filesystem on a device, empty for none."""
        try:
            return (await self._commands.run("blkid", "-p", "-s", "TYPE", "-o", "value", device)).strip()
        except CommandError as error:
            if error.code == _NOTHING_FOUND and not error.stderr:
                return ""
            raise VolumeFault(f"blkid cannot tell what is on {device}: {error.stderr or error}") from error

    async def _format(self, located: Located) -> None:
        options = ("-q", "-F", "-m0") if located.filesystem.startswith("ext") else ()
        try:
            await self._commands.run(f"mkfs.{located.filesystem}", *options, located.device, timeout=300)
        except CommandError as error:
            raise VolumeFault(f"formatting {located.device} failed: {error.stderr or error}") from error
