"""Disks of this machine: sparse image files in `<state>/disks`, attached to a node as loop devices.

All nodes of one machine share its loop devices, so that a disk can move between them; which node has a disk stands in a file
beside its image. A disk is let go only when nothing has it mounted.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import structlog

from client.command import CommandError
from controllers.cloud.local.loop import Loops
from controllers.cloud.provider import CloudError, DiskBusy

DRIVER = "disk.cloudlet.dev"
# The smallest ext4 that leaves room for files.
_MIN_BYTES, _BLOCK = 16 << 20, 4096
_T = TypeVar("_T")
_SAFE = re.compile(r"[a-z0-9][a-z0-9.-]{0,252}")


class LocalDisks:
    """See the module. `is_here` says whether a node runs on this machine."""

    driver = DRIVER

    def __init__(self, directory: Path, loops: Loops, is_here: Callable[[str], bool]) -> None:
        self._root, self._loops, self._is_here = directory, loops, is_here
        self._lock = asyncio.Lock()
        self._log = structlog.get_logger("disks")

    async def create(self, name: str, size: int) -> tuple[str, int]:
        """A sparse file. One that is there already, from an attempt whose answer was lost, is taken for it."""
        image = self._image(name)
        size = max(_MIN_BYTES, (size + _BLOCK - 1) // _BLOCK * _BLOCK)
        try:
            self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
            whole = shutil.disk_usage(self._root).total
            if size > whole:
                raise CloudError(f"{size} bytes are more than the filesystem of {self._root} has ({whole})")
            if not image.exists():
                fresh = image.with_suffix(".new")
                descriptor = os.open(fresh, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
                try:
                    os.truncate(descriptor, size)
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                fresh.rename(image)
                self._log.info("created", disk=name, bytes=size)
        except OSError as error:
            raise CloudError(f"cannot make the image {image}: {error.strerror}") from error
        return name, image.stat().st_size

    async def delete(self, handle: str) -> None:
        """Remove the image. Raises DiskBusy while a node has it."""
        async with self._lock:
            image = self._image(handle)
            if not image.exists():
                return
            if await self._find(image):
                raise DiskBusy(f"disk {handle} is still attached to node {self._holders(handle)}")
            image.unlink()
            self._record(handle, ())
            self._log.info("deleted", disk=handle)

    async def attach(self, handle: str, node: str, *, shared: bool = False) -> str:
        """The loop device's path."""
        async with self._lock:
            image = self._image(handle)
            if not image.exists():
                raise CloudError(f"there is no disk {handle}")
            if not self._is_here(node):
                raise CloudError(f"node {node} is not on this machine, where the disk is")
            device, holders = await self._find(image), self._holders(handle)
            if device and holders - {node} and not shared:
                raise CloudError(f"disk {handle} is attached to node {', '.join(sorted(holders - {node}))}")
            # Recorded first: a crash in between leaves a record too many, which the next attach or detach mends.
            self._record(handle, ({*holders, node} if device else {node}))
            if not device:
                device = await _tell(self._loops.attach(image))
                self._log.info("attached", disk=handle, node=node, device=device)
            return device

    async def detach(self, handle: str, node: str) -> None:
        """Free the device once its last node lets go."""
        async with self._lock:
            image = self._image(handle)
            holders = self._holders(handle)
            if node not in holders:
                return
            device = await self._find(image) if image.exists() else ""
            if device and holders == {node}:
                if self._loops.is_busy(device):
                    raise DiskBusy(f"disk {handle} is still mounted ({device})")
                await _tell(self._loops.detach(device))
                self._log.info("detached", disk=handle, node=node, device=device)
            self._record(handle, holders - {node})

    async def clean(self) -> None:
        """Free every device and remove every image; what is still mounted stays and is named in the log."""
        for image in sorted(self._root.glob("*.img")):
            device = await self._find(image)
            if device and self._loops.is_busy(device):
                self._log.error("not removed, still mounted", image=str(image), device=device)
                continue
            if device:
                await _tell(self._loops.detach(device))
            image.unlink()
            self._record(image.stem, ())

    def _image(self, handle: str) -> Path:
        if not _SAFE.fullmatch(handle) or ".." in handle:
            raise CloudError(f"{handle!r} is no name of a disk")
        return self._root / f"{handle}.img"

    def _holders(self, handle: str) -> set[str]:
        record = self._root / f"{handle}.nodes"
        return set(record.read_text().split()) if record.exists() else set()

    def _record(self, handle: str, nodes: set[str] | tuple[()]) -> None:
        record = self._root / f"{handle}.nodes"
        if not nodes:
            record.unlink(missing_ok=True)
            return
        fresh = record.with_suffix(".nodes.new")
        fresh.write_text("\n".join(sorted(nodes)))
        fresh.rename(record)

    async def _find(self, image: Path) -> str:
        return await _tell(self._loops.find(image))


async def _tell(step: Awaitable[_T]) -> _T:
    """The step's result. Raises CloudError instead of CommandError."""
    try:
        return await step
    except CommandError as error:
        raise CloudError(str(error)) from error
