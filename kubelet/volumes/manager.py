"""All volumes of a pod together: set up, kept current, taken down. Safe to repeat, and to repeat after a restart.

Nothing is remembered but what can be seen: directories under the pod's own, and what is mounted there.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from api import quantity, resources
from api.errors import ApiError
from api.types import Object
from api.volumes import claim_name
from kubelet.environment import Lookup
from kubelet.references import Reference, References
from kubelet.resources import Capacity
from kubelet.volumes import hostpath, mounts, ownership, payload, writer
from kubelet.volumes.disks import ImageDisks
from kubelet.volumes.paths import PodPaths
from kubelet.volumes.payload import VolumeFault
from kubelet.volumes.persistent import Claims, Located
from kubelet.volumes.tokens import Tokens

_KINDS = {"configmaps": resources.CONFIGMAPS, "secrets": resources.SECRETS}
_IN_MEMORY = ("secret", "projected")


@dataclass(frozen=True, slots=True)
class Mounted:
    """A volume that containers can bind: a path of the node, or a block device."""

    path: Path
    read_only: bool = False
    block: bool = False


@dataclass(frozen=True, slots=True)
class VolumeSet:
    """A pod's volumes by name, and when a token among them wants renewing (seconds since 1970)."""

    volumes: Mapping[str, Mounted]
    renew_at: float | None = None


def lookup(references: References, namespace: str) -> Lookup:
    """Reads ConfigMaps and Secrets of one namespace from the followed objects."""
    return lambda kind, name: references.get(Reference(_KINDS[kind], namespace, name))


def keyed_references(namespace: str, pairs: set[tuple[str, str]]) -> set[Reference]:
    """(kind, name) pairs as references."""
    return {Reference(_KINDS[kind], namespace, name) for kind, name in pairs}


class VolumeManager:
    """The volumes of this node's pods under the kubelet's root directory."""

    def __init__(
        self, root: Path, references: References, tokens: Tokens, disks: ImageDisks, capacity: Callable[[], Capacity],
        node_ips: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self._root, self._references, self._tokens = root, references, tokens
        self._capacity, self._node_ips = capacity, node_ips
        self._claims = Claims(references)
        self._disks = disks

    def references(self, pod: Object) -> set[Reference]:
        """Everything the pod's volumes refer to, as far as known now."""
        return keyed_references(pod["metadata"]["namespace"], payload.references(pod)) | self._claims.references(pod)

    async def setup(self, pod: Object) -> VolumeSet:
        """Make every volume, or bring it up to date. Raises VolumeFault naming the volume that cannot be."""
        paths = PodPaths(self._root, pod["metadata"]["uid"])
        found: dict[str, Mounted] = {}
        renew_at: float | None = None
        for volume in pod["spec"].get("volumes") or ():
            try:
                for source in payload.token_sources(volume):
                    moment = await self._tokens.refresh(pod, source)
                    renew_at = moment if renew_at is None else min(renew_at, moment)
                found[volume["name"]] = await self._one(pod, volume, paths)
            except (VolumeFault, OSError, ApiError, TimeoutError) as error:
                text = error.message if isinstance(error, ApiError) else str(error) or "timed out"
                raise VolumeFault(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {text}') from error
        return VolumeSet(found, renew_at)

    async def _one(self, pod: Object, volume: Object, paths: PodPaths) -> Mounted:
        group = ownership.fs_group(pod)
        if claim_name(pod, volume):
            return await self._claim(pod, volume, paths, group)
        if spec := volume.get("hostPath"):
            return Mounted(await asyncio.to_thread(hostpath.prepare, spec["path"], spec.get("type") or ""))
        if (spec := volume.get("emptyDir")) is not None:
            return Mounted(await asyncio.to_thread(_empty_dir, paths.volume("empty-dir", volume["name"]), spec, group))
        files = payload.render(pod, volume, self._source(pod))
        if files is None:
            kind = next((key for key in volume if key != "name"), "none")
            raise VolumeFault(f"volumes of type {kind} are not supported by this node")
        target = paths.volume(payload.plugin(volume), volume["name"])
        in_memory = any(volume.get(kind) is not None for kind in _IN_MEMORY)
        await asyncio.to_thread(_write, target, files, group, in_memory)
        return Mounted(target, read_only=True)

    def _source(self, pod: Object) -> payload.Source:
        return payload.Source(
            lookup=lookup(self._references, pod["metadata"]["namespace"]),
            capacity=self._capacity(),
            token=lambda source: self._tokens.get(pod, source),
            token_owner=payload.token_owner(pod),
            node_ips=self._node_ips,
        )

    async def _claim(self, pod: Object, volume: Object, paths: PodPaths, group: int | None) -> Mounted:
        located = self._claims.locate(pod, volume)
        if located.block:
            device = located.device or await self._disks.attach(located.disk, located.size)
            return Mounted(Path(device), located.read_only, block=True)
        if located.directory:
            place = await asyncio.to_thread(hostpath.prepare, located.directory, "")
            return Mounted(place, located.read_only)
        return Mounted(await self._disk(pod, located, paths, group), located.read_only)

    async def _disk(self, pod: Object, located: Located, paths: PodPaths, group: int | None) -> Path:
        target = paths.volume("csi", located.name) / "mount"
        fresh = not await asyncio.to_thread(mounts.is_mounted, target)
        await self._disks.mount(located.disk, located.size, located.filesystem, target)
        if fresh and group is not None and not located.read_only:
            policy = (pod["spec"].get("securityContext") or {}).get("fsGroupChangePolicy")
            await asyncio.to_thread(ownership.apply, target, group, only_if_needed=policy == "OnRootMismatch")
        return target

    async def teardown(self, uid: str) -> None:
        """Unmount everything of a pod and remove its directory; its containers are gone. Raises OSError."""
        self._tokens.forget(uid)
        await asyncio.to_thread(_remove, PodPaths(self._root, uid))


def _empty_dir(target: Path, spec: Object, group: int | None) -> Path:
    fresh = not target.exists()
    target.mkdir(parents=True, exist_ok=True)
    if spec.get("medium") == "Memory" and not mounts.is_mounted(target):
        limit = spec.get("sizeLimit")
        mounts.tmpfs(target, quantity.value(limit) if limit else 0, 0o777)
        fresh = True
    if fresh:
        target.chmod(0o777)
        if group is not None:
            ownership.apply(target, group)
    return target


def _write(target: Path, files: writer.Payload, group: int | None, in_memory: bool) -> None:
    if not target.exists():
        target.mkdir(parents=True)
    if in_memory and not mounts.is_mounted(target):
        mounts.tmpfs(target)
    if group is not None and target.stat().st_gid != group:
        target.chmod(0o2775)
        ownership.apply(target, group)
    writer.write(target, files, group)


def _remove(paths: PodPaths) -> None:
    if not paths.pod.exists():
        return
    mounts.unmount_below(paths.pod)
    # One filesystem only: should a mount have been overlooked, its contents are not the kubelet's to delete.
    device = paths.pod.stat().st_dev
    for place in sorted(paths.pod.rglob("*"), reverse=True):
        if place.lstat().st_dev != device:
            raise OSError(f"{place} is still mounted")
    shutil.rmtree(paths.pod)
