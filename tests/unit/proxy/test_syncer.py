"""The syncer's promises: first change at once, others together, rebuild after a failure, stale chains deleted later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from client.clock import FakeClock, settle
from proxy.base import base_rules
from proxy.chains import service_rules
from proxy.ruleset import Ruleset
from proxy.services import service_ports
from proxy.syncer import Syncer
from proxy.table import Table
from tests.unit.proxy.kernel import FakeKernel
from tests.unit.proxy.objects import endpoint, service, slice_of


def part(*endpoints: str) -> Ruleset:
    return service_rules(service_ports(service(), [slice_of(*map(endpoint, endpoints))]), "10.244.0.0/16")


class Rig:
    def __init__(self) -> None:
        self.clock, self.kernel, self.table = FakeClock(), FakeKernel(), Table()
        self.table.replace("base", base_rules("10.244.0.0/16"))
        self.finished = 0
        self.syncer = Syncer(self.table, self.kernel, self.clock, self._nothing, self._finish)

    async def _nothing(self) -> None:
        return None

    async def _finish(self) -> None:
        self.finished += 1

    def set(self, *endpoints: str) -> None:
        self.table.replace("web", part(*endpoints) if endpoints else Ruleset())
        self.syncer.request()

    @property
    def is_right(self) -> bool:
        return self.kernel.ruleset() == self.kernel.normal(self.table.whole())


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    task = asyncio.ensure_future(rig.syncer.run())
    await settle()
    yield rig
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_first_round_builds_everything(rig: Rig) -> None:
    assert rig.syncer.applied.is_set()
    assert rig.is_right


async def test_a_change_after_a_pause_is_applied_at_once_and_further_ones_together(rig: Rig) -> None:
    await rig.clock.advance(1)
    rig.set("10.244.0.1")
    await settle()
    assert rig.is_right
    rounds = len(rig.kernel.applied)
    for number in range(2, 30):
        rig.set(f"10.244.0.{number}")
        await settle()
    assert len(rig.kernel.applied) == rounds
    await rig.clock.advance(0.1)
    assert len(rig.kernel.applied) == rounds + 1
    assert rig.finished == rounds + 1
    await rig.clock.advance(2)
    assert rig.is_right


async def test_a_refused_change_is_followed_by_a_rebuild(rig: Rig) -> None:
    await rig.clock.advance(1)
    rig.kernel.failures = 1
    rig.set("10.244.0.1")
    await settle()
    assert rig.is_right
    assert rig.kernel.applied[-1].startswith("add table")


async def test_a_kernel_that_refuses_everything_is_asked_again(rig: Rig) -> None:
    await rig.clock.advance(1)
    rig.kernel.failures = 4
    rig.set("10.244.0.1")
    await settle()
    assert not rig.is_right
    await rig.clock.advance(5)
    assert rig.is_right


async def test_what_somebody_broke_is_mended_on_request(rig: Rig) -> None:
    await rig.clock.advance(1)
    rig.set("10.244.0.1")
    await rig.clock.advance(1)
    rig.kernel.run("delete table inet cloudlet\n")
    rig.syncer.request(full=True)
    await settle()
    assert rig.is_right


async def test_stale_chains_are_deleted_a_second_later(rig: Rig) -> None:
    await rig.clock.advance(1)
    rig.set("10.244.0.1")
    await rig.clock.advance(1)
    rig.set()
    await rig.clock.advance(0.5)
    assert not rig.is_right
    await rig.clock.advance(1)
    assert rig.is_right


async def test_a_stale_chain_that_is_wanted_again_is_kept(rig: Rig) -> None:
    await rig.clock.advance(1)
    rig.set("10.244.0.1")
    await rig.clock.advance(1)
    rig.set()
    await rig.clock.advance(0.5)
    rig.set("10.244.0.1")
    await rig.clock.advance(5)
    assert rig.is_right
