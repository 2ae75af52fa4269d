"""Hand-written HAProxy, programs and load balancers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from client.command import Commands
from controllers.cloud.provider import Balancer, CloudError, Ingress


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
        self.stdin: list[str] = []

    async def run(self, *argv: str, stdin: bytes | None = None, timeout: float = 30.0) -> str:
        self.ran.append(" ".join(argv))
        self.stdin += (stdin or b"").decode().splitlines()
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
