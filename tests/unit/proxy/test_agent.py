"""The proxy's own state: what it holds on to when the machine does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import cast

import orjson
import pytest

from api import resources
from client.clock import FakeClock, settle
from client.command import CommandError, Commands
from client.rest import ApiClient
from proxy.agent import Agent, Settings
from proxy.base import NODE_IPS
from tests.unit.proxy.kernel import FakeKernel
from tests.unit.proxy.test_machine import node

OWN, OTHER = "10.98.0.11", "192.0.2.9"
_ADDRESSES, _ROUTES = ("ip", "-j", "-4", "addr", "show"), ("ip", "-j", "-4", "route", "show")


class Machine(Commands):
    """One machine with one address; what begins like `refused` fails."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: Sequence[str] = ("-",)
        self.ran: list[str] = []

    async def run(self, *argv: str, stdin: bytes | None = None, timeout: float = 30.0) -> str:
        self.ran.append(" ".join(argv))
        if argv[: len(self.refused)] == tuple(self.refused):
            raise CommandError(argv, 1, "no luck today")
        if argv == _ADDRESSES:
            return orjson.dumps([{"addr_info": [{"family": "inet", "local": OWN}]}]).decode()
        return "[]"

    def times(self, words: Sequence[str]) -> int:
        return sum(line.startswith(" ".join(words)) for line in self.ran)

    @property
    def routes_made(self) -> list[str]:
        return [line.split()[3] for line in self.ran if line.startswith("ip route replace")]


class Rig:
    def __init__(self) -> None:
        self.clock, self.kernel, self.machine = FakeClock(), FakeKernel(), Machine()
        settings = Settings("me", "10.244.0.0/16", "", "cluster.local")
        self.agent = Agent(settings, cast(ApiClient, None), self.machine, self.kernel, self.clock)
        self.nodes = self.agent.informers.informer(resources.NODES)
        self.nodes.replace([node("a", OWN, "10.244.1.0/24"), node("c", OTHER, "10.244.2.0/24")])

    async def start(self) -> None:
        # Nobody follows pods here: this is the agent without its informers' tasks.
        self.task = asyncio.ensure_future(self.agent.syncer.run())
        await settle()

    @property
    def local_ips(self) -> set[str]:
        return {ip for name, ip in self.kernel.elements if name == NODE_IPS}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    yield rig
    rig.task.cancel()
    await asyncio.gather(rig.task, return_exceptions=True)


async def test_the_picture_of_the_machine_is_kept_while_its_addresses_cannot_be_read(rig: Rig) -> None:
    await rig.start()
    assert (rig.local_ips, rig.machine.routes_made) == ({OWN}, ["10.244.2.0/24"])
    rig.machine.refused = _ADDRESSES
    rig.agent.machine_changed()
    await rig.clock.advance(5)
    assert (rig.local_ips, rig.machine.routes_made) == ({OWN}, ["10.244.2.0/24"])


async def test_addresses_that_cannot_be_read_are_read_again_with_growing_pauses(rig: Rig) -> None:
    rig.machine.refused = _ADDRESSES
    await rig.start()
    assert (rig.local_ips, rig.machine.routes_made) == (set(), [])
    await rig.clock.advance(60)
    assert 3 <= rig.machine.times(_ADDRESSES) <= 9
    rig.machine.refused = ("-",)
    await rig.clock.advance(45)
    assert (rig.local_ips, rig.machine.routes_made) == ({OWN}, ["10.244.2.0/24"])
    looked = rig.machine.times(_ADDRESSES)
    await rig.clock.advance(120)
    assert rig.machine.times(_ADDRESSES) == looked, "nothing is asked again after a success"


async def test_routes_that_cannot_be_read_are_read_again(rig: Rig) -> None:
    rig.machine.refused = _ROUTES
    await rig.start()
    assert (rig.local_ips, rig.machine.routes_made) == ({OWN}, [])
    rig.machine.refused = ("-",)
    await rig.clock.advance(1)
    assert rig.machine.routes_made == ["10.244.2.0/24"]
