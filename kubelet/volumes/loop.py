"""Loop devices: image files as block devices, behind a narrow interface. Sources: losetup(8), loop(4)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Protocol

import orjson

from client.command import Commands

_CONTROL, _MAJOR, _GET_FREE = os.makedev(10, 237), 7, 0x4C82
_AHEAD = 4


class Loops(Protocol):
    """What disks need of loop devices."""

    def prepare(self) -> None:
        """See to it that a new device can be had. Blocking. Raises OSError."""

    async def find(self, image: Path) -> list[str]:
        """The devices that show an image. Raises CommandError."""

    async def attach(self, image: Path) -> str:
        """The device that shows an image, a new one if there is none. Raises CommandError, OSError."""

    async def detach(self, device: str) -> None:
        """Free a device. Raises CommandError."""

    def is_busy(self, device: str) -> bool:
        """Whether it is mounted, in any mount namespace, or opened by somebody for himself alone."""


class KernelLoops:
    """The losetup program."""

    def __init__(self, commands: Commands, dev: Path = Path("/dev")) -> None:
        self._commands, self._dev = commands, dev

    def prepare(self) -> None:
        """Make the nodes that are missing where /dev is not the kernel's own, as in a container: those of the free device,
        and of a few more, because another machine on the same kernel may be first."""
        self._node("loop-control", stat.S_IFCHR, _CONTROL)
        control = os.open(self._dev / "loop-control", os.O_RDWR | os.O_CLOEXEC)
        try:
            free = fcntl.ioctl(control, _GET_FREE)
        finally:
            os.close(control)
        for number in range(free, free + _AHEAD):
            self._node(f"loop{number}", stat.S_IFBLK, os.makedev(_MAJOR, number))

    def _node(self, name: str, kind: int, device: int) -> None:
        with contextlib.suppress(FileExistsError):
            os.mknod(self._dev / name, kind | 0o600, device)

    async def find(self, image: Path) -> list[str]:
        text = await self._commands.run("losetup", "--json", "--list", "--output", "NAME,BACK-FILE", "-j", str(image))
        return [str(device["name"]) for device in orjson.loads(text)["loopdevices"]] if text.strip() else []

    async def attach(self, image: Path) -> str:
        await asyncio.to_thread(self.prepare)
        return (await self._commands.run("losetup", "--find", "--show", "--nooverlap", str(image))).strip()

    async def detach(self, device: str) -> None:
        await self._commands.run("losetup", "--detach", device)

    def is_busy(self, device: str) -> bool:
        try:
            os.close(os.open(device, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
        except OSError as error:
            return error.errno == errno.EBUSY
        return False
