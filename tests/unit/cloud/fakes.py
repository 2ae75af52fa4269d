"""Hand-written loop devices, HAProxy and load balancers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from client.command import CommandError, Commands
from controllers.cloud.provider import Balancer, CloudError, Ingress


class FakeLoops:
    """Devices /dev/loop0, 1, ... for images; `busy` are mounted ones."""

    def __init__(self) -> None:
        self.devices: dict[str, Path] = {}
        self.busy: set[str] = set()

    async def find(self, image: Path) -> str:
        return next((d for d, i in self.devices.items() if i == image), "")

    async def attach(self, image: Path) -> str:
        if not await asyncio.to_thread(image.exists):
            raise CommandError(("losetup",), 1, f"{image}: no such file")
        free = next(f"/dev/loop{n}" for n in range(64) if f"/dev/loop{n}" not in self.devices)
        self.devices[free] = image
        return free

    async def detach(self, device: str) -> None:
        if device not in self.devices:
            raise CommandError(("losetup",), 1, f"{device}: no such device")
        del self.devices[device]

    def is_busy(self, device: str) -> bool:
        return device in self.busy


class FakeHAProxy:
    def __init__(self, commands: Commands, on_exit: Callable[[Path], None]) -> None:
        self.on_exit = on_exit
        self.running: dict[Path, str] = {}

    async def run(self, directory: Path, config: str) -> None:
        self.running[directory] = config

    async def stop(self, directory: Path) -> None:
        self.running.pop(directory, None)


class FakeCommands(Commands):
    """Remembers what it was asked to run; everything succeeds."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[str] = []

    async def run(self, *argv: str, stdin: bytes | None = None, timeout: float = 30.0) -> str:
        self.ran.append(" ".join(argv))
        return ""


class FakeBalancers:
    """A provider's load balancers; `refuse` is an error to raise."""

    def __init__(self) -> None:
        self.made: dict[str, Balancer] = {}
        self.held: dict[str, str] = {}
        self.calls = 0
        self.refuse: CloudError | None = None
        self.lost: Callable[[str], None] = lambda uid: None

    async def restore(self, held: dict[str, str], on_lost: Callable[[str], None]) -> None:
        self.held, self.lost = held, on_lost

    async def ensure(self, balancer: Balancer) -> list[Ingress]:
        self.calls += 1
        if self.refuse:
            raise self.refuse
        self.made[balancer.uid] = balancer
        return [Ingress(balancer.requested_ip or "10.98.1.1")]

    async def delete(self, uid: str) -> None:
        self.made.pop(uid, None)

    def known(self) -> list[str]:
        return list(self.made)
