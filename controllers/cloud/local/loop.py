"""Loop devices: image files as block devices, behind a narrow interface. Sources: losetup(8), loop(4)."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Protocol

import orjson

from client.command import Commands


class Loops(Protocol):
    """What disks need of loop devices."""

    async def find(self, image: Path) -> str:
        """The device that shows an image, empty for none. Raises CommandError."""

    async def attach(self, image: Path) -> str:
        """A new device for an image. Raises CommandError."""

    async def detach(self, device: str) -> None:
        """Free a device. Raises CommandError."""

    def is_busy(self, device: str) -> bool:
        """Whether it is mounted, in any mount namespace, or opened by somebody for himself alone."""


class KernelLoops:
    """The losetup program."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    async def find(self, image: Path) -> str:
        text = await self._commands.run("losetup", "--json", "--list", "--output", "NAME,BACK-FILE", "-j", str(image))
        devices = orjson.loads(text)["loopdevices"] if text.strip() else []
        return str(devices[0]["name"]) if devices else ""

    async def attach(self, image: Path) -> str:
        return (await self._commands.run("losetup", "--find", "--show", str(image))).strip()

    async def detach(self, device: str) -> None:
        await self._commands.run("losetup", "--detach", device)

    def is_busy(self, device: str) -> bool:
        try:
            os.close(os.open(device, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
        except OSError as error:
            return error.errno == errno.EBUSY
        return False
