"""Disks of this machine: sparse image files in one folder, made and formatted at first use, mounted through loop devices.

Several kubelets of one machine may share the folder, so that a pod can move between their nodes and find its data; the folder's
own id, made with it, is what the Nodes' label and the volumes' node affinity name. An image is there only if it is complete.
The loop device of a file system ends with its last mount; that of a raw block volume stays until the image is removed.
Sources: mount(8) on loop devices, losetup(8), flock(2).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from client.command import CommandError, Commands
from kubelet.volumes import mounts
from kubelet.volumes.loop import KernelLoops, Loops
from kubelet.volumes.payload import VolumeFault

_SAFE = re.compile(r"[a-z0-9][a-z0-9.-]{0,252}")
_FORMAT_SECONDS = 300.0


def store_id(folder: Path) -> str:
    """The id of a folder of disks; both are made if they are not there. Blocking. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    place = folder / "id"
    if not place.exists():
        with _fresh(folder, "id") as fresh, contextlib.suppress(FileExistsError):
            fresh.write_text(str(uuid.uuid4()))
            os.link(fresh, place)  # of two kubelets that begin at once, one wins
    return place.read_text().strip()


class ImageDisks:
    """The disks of `folder` as the kubelet uses them whose root directory is `root`."""

    def __init__(self, folder: Path, root: Path, commands: Commands, loops: Loops | None = None) -> None:
        self._folder, self._pods, self._commands = folder, root / "pods", commands
        self._loops = loops or KernelLoops(commands)
        self._locks: dict[str, asyncio.Lock] = {}
        self._log = structlog.get_logger("disks")

    async def mount(self, disk: str, size: int, filesystem: str, target: Path) -> None:
        """Mount the disk at `target` unless something is mounted there; `size` in bytes. Raises VolumeFault.

        Read and write always: two mounts of one device cannot differ in that, so it is for the container to have less.
        """
        if await asyncio.to_thread(mounts.is_mounted, target):
            return
        image = await self._make(disk, size, filesystem)
        async with self._alone(image):
            await self._refuse_if_elsewhere(disk, image)
            try:
                await asyncio.to_thread(target.mkdir, parents=True, exist_ok=True)
                await asyncio.to_thread(self._loops.prepare)
                await self._commands.run("mount", "-o", "loop", str(image), str(target))
            except (CommandError, OSError) as error:
                raise VolumeFault(f"mounting disk {disk} failed: {_why(error)}") from error

    async def attach(self, disk: str, size: int) -> str:
        """The disk as a raw block device: its path. Raises VolumeFault."""
        image = await self._make(disk, size, "")
        async with self._alone(image):
            try:
                return await self._loops.attach(image)
            except (CommandError, OSError) as error:
                raise VolumeFault(f"no loop device for disk {disk}: {_why(error)}") from error

    async def remove(self, disk: str) -> None:
        """Remove the image; one that is not there is fine. Raises VolumeFault while it is in use."""
        image = self._image(disk)
        for unfinished in await asyncio.to_thread(list, self._folder.glob(f"{disk}.{'[0-9a-f]' * 32}.new")):
            unfinished.unlink(missing_ok=True)
        if not await asyncio.to_thread(image.exists):
            return
        async with self._alone(image):
            try:
                for device in await self._loops.find(image):
                    if await asyncio.to_thread(self._loops.is_busy, device):
                        raise VolumeFault(f"disk {disk} is still in use ({device})")
                    await self._loops.detach(device)
                await asyncio.to_thread(image.unlink, missing_ok=True)
            except (CommandError, OSError) as error:
                raise VolumeFault(f"removing disk {disk} failed: {_why(error)}") from error
        self._log.info("removed", disk=disk)

    async def _make(self, disk: str, size: int, filesystem: str) -> Path:
        """The image, made if need be: an empty `filesystem` for raw."""
        image = self._image(disk)
        async with self._locks.setdefault(disk, asyncio.Lock()):
            if await asyncio.to_thread(image.exists):
                return image
            with _fresh(self._folder, disk) as fresh:
                try:
                    await asyncio.to_thread(_sparse, fresh, size)
                    if filesystem:
                        options = ("-q", "-F", "-m0") if filesystem.startswith("ext") else ()
                        await self._commands.run(f"mkfs.{filesystem}", *options, str(fresh), timeout=_FORMAT_SECONDS)
                    await asyncio.to_thread(_publish, fresh, image)
                except (CommandError, OSError) as error:
                    raise VolumeFault(f"making disk {disk} failed: {_why(error)}") from error
        self._log.info("made", disk=disk, bytes=size)
        return image

    async def _refuse_if_elsewhere(self, disk: str, image: Path) -> None:
        """Pods of one node may share a disk; another node of this machine must have let go of it."""
        for device in await self._loops.find(image):
            if not await asyncio.to_thread(self._loops.is_busy, device):
                continue
            places = [m.target for m in await asyncio.to_thread(mounts.mounted) if m.source == device]
            if not any(Path(place).is_relative_to(self._pods) for place in places):
                where = f"mounted at {places[0]}" if places else "by a process whose mount has gone"
                raise VolumeFault(f"disk {disk} is still in use on this machine: {device}, {where}")

    @asynccontextmanager
    async def _alone(self, image: Path) -> AsyncIterator[None]:
        """Keep other kubelets of this machine from the image meanwhile. Raises VolumeFault if one has it now."""
        async with self._locks.setdefault(image.stem, asyncio.Lock()):
            try:
                descriptor = os.open(image, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise VolumeFault(f"disk {image.stem} cannot be opened: {error.strerror}") from error
            try:
                _lock(descriptor, image.stem)
                yield
            finally:
                os.close(descriptor)

    def _image(self, disk: str) -> Path:
        if not _SAFE.fullmatch(disk) or ".." in disk:
            raise VolumeFault(f"{disk!r} is no name of a disk")
        return self._folder / f"{disk}.img"


def _lock(descriptor: int, disk: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise VolumeFault(f"disk {disk} is being mounted or removed by another kubelet") from error


@contextlib.contextmanager
def _fresh(folder: Path, name: str) -> Iterator[Path]:
    """A place to prepare a file of the folder, for nobody else; cleared afterwards."""
    place = folder / f"{name}.{uuid.uuid4().hex}.new"
    try:
        yield place
    finally:
        place.unlink(missing_ok=True)


def _sparse(place: Path, size: int) -> None:
    whole = shutil.disk_usage(place.parent).total
    if size > whole:
        raise OSError(0, f"{size} bytes are more than the filesystem of {place.parent} has ({whole})")
    descriptor = os.open(place, os.O_CREAT | os.O_TRUNC | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        os.truncate(descriptor, size)
    finally:
        os.close(descriptor)


def _publish(fresh: Path, image: Path) -> None:
    """Let a complete file appear under its name, on the disk, too. One that came first is kept."""
    descriptor = os.open(fresh, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    with contextlib.suppress(FileExistsError):
        os.link(fresh, image)
    folder = os.open(image.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _why(error: CommandError | OSError) -> str:
    if isinstance(error, CommandError):
        return error.stderr or str(error)
    return error.strerror or str(error)
