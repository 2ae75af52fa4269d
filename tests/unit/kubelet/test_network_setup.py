"""The pod network is made by one attempt at a time, again and again until it is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import cast

import pytest

from client.clock import FakeClock, settle
from client.rest import ApiClient
from kubelet.agent import Agent
from kubelet.fake_runtime import FakeRuntime
from kubelet.network import BridgeNetwork, NetworkFault
from kubelet.network_setup import NetworkSetup
from kubelet.settings import Settings

CIDR = "10.244.1.0/24"


class Network:
    """Takes until `gate` is set; fails with `fault`."""

    def __init__(self) -> None:
        self.ready, self.fault = False, ""
        self.attempts: list[tuple[str, list[str]]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def configure(self, cidr: str, in_use: Iterable[str]) -> None:
        self.attempts.append((cidr, list(in_use)))
        await self.gate.wait()
        if self.fault:
            raise NetworkFault(self.fault)
        self.ready = True


class Rig:
    def __init__(self) -> None:
        self.clock, self.network = FakeClock(), Network()
        self.used: list[str] = []
        self.done = self.changes = 0
        self.setup = NetworkSetup(self.network, self.clock, lambda: self.used, self._done, self._changed)

    async def _done(self) -> None:
        self.done += 1

    def _changed(self) -> None:
        self.changes += 1


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    yield rig
    await rig.setup.close()


async def test_nothing_is_begun_while_an_attempt_is_pending_or_once_the_network_is_there(rig: Rig) -> None:
    rig.network.gate.clear()
    for _ in range(3):
        rig.setup.want(CIDR)
        await settle()
    rig.network.gate.set()
    await settle()
    rig.setup.want(CIDR)
    await settle()
    assert (rig.network.attempts, rig.done) == ([(CIDR, [])], 1)


async def test_a_failure_is_told_once_and_tried_again_with_growing_pauses_without_another_call(rig: Rig) -> None:
    rig.network.fault = "no such device"
    rig.setup.want(CIDR)
    await rig.clock.advance(60)
    assert (rig.setup.problem, rig.changes, rig.done) == ("no such device", 1, 0)
    assert 4 <= len(rig.network.attempts) <= 7
    rig.setup.want(CIDR)
    await settle()
    rig.network.fault, rig.used = "", ["10.244.1.9"]
    await rig.clock.advance(45)
    assert (rig.setup.problem, rig.network.ready, rig.done) == ("", True, 1)
    assert rig.network.attempts[-1] == (CIDR, ["10.244.1.9"])


async def test_nothing_is_tried_after_the_end(rig: Rig) -> None:
    rig.network.fault = "no such device"
    rig.setup.want(CIDR)
    await settle()
    await rig.setup.close()
    await rig.clock.advance(60)
    assert len(rig.network.attempts) == 1


async def test_the_node_says_why_its_network_is_not_ready(tmp_path: Path) -> None:
    network = Network()
    network.fault = "no such device"
    agent = Agent(Settings("n", tmp_path), cast(ApiClient, None), FakeRuntime(), cast(BridgeNetwork, network))
    for version, spec in (("1", {}), ("2", {"podCIDR": CIDR})):
        agent._node_seen({"metadata": {"name": "n", "resourceVersion": version}, "spec": spec})
        await settle()
    agent._observe()
    assert agent._observe().problems[-1].endswith("reason:NetworkPluginNotReady message:no such device")
    await agent._network_setup.close()
