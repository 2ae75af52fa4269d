"""Loop devices in memory, and what any loop devices promise."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from client.command import CommandError
from kubelet.volumes.loop import Loops


class FakeLoops:
    """Devices /dev/loop0, 1, ... for images; `busy` are mounted ones."""

    def __init__(self) -> None:
        self.devices: dict[str, Path] = {}
        self.busy: set[str] = set()

    def prepare(self) -> None:
        """There is always one more."""

    async def find(self, image: Path) -> list[str]:
        return [device for device, shown in self.devices.items() if shown == image]

    async def attach(self, image: Path) -> str:
        if not await asyncio.to_thread(image.exists):
            raise CommandError(("losetup",), 1, f"{image}: no such file")
        if found := await self.find(image):
            return found[0]
        free = next(f"/dev/loop{n}" for n in range(64) if f"/dev/loop{n}" not in self.devices)
        self.devices[free] = image
        return free

    async def detach(self, device: str) -> None:
        if device not in self.devices:
            raise CommandError(("losetup",), 1, f"{device}: no such device")
        del self.devices[device]

    def is_busy(self, device: str) -> bool:
        return device in self.busy


async def keep_their_promises(loops: Loops, image: Path) -> None:
    """`image` exists and no device shows it, before and after."""
    loops.prepare()
    assert await loops.find(image) == []
    device = await loops.attach(image)
    try:
        assert await loops.attach(image) == device
        assert await loops.find(image) == [device]
        assert not loops.is_busy(device)
    finally:
        await loops.detach(device)
    assert await loops.find(image) == []
    with pytest.raises(CommandError):
        await loops.attach(image.with_name("not-there"))
