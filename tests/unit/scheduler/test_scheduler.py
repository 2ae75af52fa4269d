"""The loop around the cycle: binding, failures of every kind, sentences, preemption. Only the writes are faked."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from api.errors import ApiError, Conflict, Forbidden, NotFound, ServiceUnavailable
from api.types import Object
from client.clock import FakeClock, settle
from client.lister import Lister
from scheduler.config import Config
from scheduler.podinfo import PodInfo
from scheduler.scheduler import Scheduler
from scheduler.volumes import VolumeCatalog
from scheduler.workloads import Workloads
from tests.unit.scheduler.build import node, pod


class FakeWriter:
    """Remembers writes; `errors` are raised by the coming bindings, `nodes` is what a read back would say."""

    def __init__(self) -> None:
        self.bound: list[tuple[str, str]] = []
        self.conditions: list[tuple[str, str, str, str | None]] = []
        self.evicted: list[str] = []
        self.cleared: list[str] = []
        self.errors: list[ApiError] = []
        self.read_back: str | ApiError | None = ""

    async def bind(self, info: PodInfo, target: str) -> None:
        await asyncio.sleep(0)
        if self.errors:
            raise self.errors.pop(0)
        self.bound.append((info.key, target))

    async def node_of(self, info: PodInfo) -> str | None:
        if isinstance(self.read_back, ApiError):
            raise self.read_back
        return self.read_back

    async def set_condition(self, obj: Object, reason: str, message: str, nominated: str | None) -> None:
        self.conditions.append((obj["metadata"]["name"], reason, message, nominated))

    async def clear_nomination(self, obj: Object) -> None:
        self.cleared.append(obj["metadata"]["name"])

    async def evict(self, victim: PodInfo, preemptor: PodInfo) -> None:
        self.evicted.append(victim.key)


class World:
    """A scheduler at work, with lists instead of informers."""

    def __init__(self) -> None:
        self.clock = FakeClock(1000.0)
        self.writer = FakeWriter()
        self.events: list[tuple[str, str, str]] = []
        self.budgets: list[Object] = []
        sources: Any = SimpleNamespace(
            catalog=VolumeCatalog(Lister(), Lister(), Lister()),
            workloads=Workloads(lambda namespace: [], {}),
            budgets=lambda: self.budgets,
        )
        recorder = SimpleNamespace(event=self._event)
        writer: Any = self.writer
        self.scheduler = Scheduler(sources, writer, recorder, Config(), self.clock, random.Random(1))  # noqa: S311
        self.state = self.scheduler.state

    def _event(self, obj: Object, kind: str, reason: str, message: str) -> None:
        self.events.append((obj["metadata"]["name"], reason, message))

    async def add(self, *objects: Object) -> None:
        for each in objects:
            if each["kind"] == "Node":
                self.state.node_changed(each)
            else:
                self.state.pod_changed(each)
        await settle()

    @property
    def used(self) -> int:
        return int(self.scheduler.snapshot.requested["cpu"].a.sum())


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    running = asyncio.ensure_future(made.scheduler.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_pod_is_bound_and_said_to_be(world: World) -> None:
    await world.add(node("n"), pod(cpu="1"))
    assert world.writer.bound == [("default/p", "n")]
    assert world.events == [("p", "Scheduled", "Successfully assigned default/p to n")]
    assert world.used == 1000
    assert len(world.scheduler.queue) == 0


async def test_more_pods_than_room(world: World) -> None:
    await world.add(node("n", "2"), *(pod(f"p{i}", "1") for i in range(3)))
    assert len(world.writer.bound) == 2
    (condition,) = world.writer.conditions
    sentence = (
        "0/1 nodes are available: 1 Insufficient cpu. "
        "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    )
    assert condition == ("p2", "Unschedulable", sentence, None)
    assert ("p2", "FailedScheduling", sentence) in world.events


async def test_without_nodes_the_first_node_is_awaited(world: World) -> None:
    await world.add(pod())
    assert world.events == [("p", "FailedScheduling", "no nodes available to schedule pods")]
    await world.clock.advance(2)
    await world.add(node("n"))
    assert world.writer.bound == [("default/p", "n")]


async def test_a_refused_binding_is_tried_again_after_its_back_off(world: World) -> None:
    world.writer.errors = [Forbidden("not allowed")]
    await world.add(node("n"), pod(cpu="1"))
    assert world.used == 0
    assert world.writer.conditions[0][1:3] == ("SchedulerError", "binding rejected: not allowed")
    await world.clock.advance(1.1)
    assert world.writer.bound == [("default/p", "n")]
    assert world.used == 1000


async def test_an_answer_that_was_lost_is_looked_up(world: World) -> None:
    world.writer.errors = [ServiceUnavailable("no answer")]
    world.writer.read_back = "n"
    await world.add(node("n"), pod(cpu="1"))
    assert world.used == 1000
    assert world.events == [("p", "Scheduled", "Successfully assigned default/p to n")]


async def test_an_api_that_does_not_answer_at_all(world: World) -> None:
    world.writer.errors = [ServiceUnavailable("no answer")]
    world.writer.read_back = ServiceUnavailable("no answer")
    await world.add(node("n"), pod(cpu="1"))
    assert world.used == 0
    world.writer.read_back = ""
    await world.clock.advance(1.1)
    assert world.writer.bound == [("default/p", "n")]


async def test_bound_by_somebody_else(world: World) -> None:
    world.writer.errors = [Conflict("already assigned")]
    world.writer.read_back = "other"
    await world.add(node("n"), pod(cpu="1"))
    await world.clock.advance(20)
    assert world.writer.bound == []
    assert world.used == 0


async def test_a_pod_that_is_gone_is_forgotten(world: World) -> None:
    world.writer.errors = [NotFound("gone")]
    await world.add(node("n"), pod(cpu="1"))
    await world.clock.advance(20)
    assert world.writer.bound == []
    assert (world.used, len(world.scheduler.queue)) == (0, 0)


async def test_a_pod_that_breaks_a_plugin_stops_nobody_else(world: World) -> None:
    broken = pod("broken", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}])
    world.scheduler.algorithms["default-scheduler"].volumes = None
    await world.add(node("n"))
    broken["spec"]["nodeSelector"] = {"a": "b"}
    world.state.pod_changed(broken)
    queued = world.scheduler.queue.get("uid-default-broken")
    assert queued is not None
    queued.info.template.requests["cpu"] = "many"  # type: ignore[assignment]
    await world.add(pod("fine"))
    assert ("default/fine", "n") in world.writer.bound
    assert world.scheduler.queue.sizes()["backoff"] == 1


async def test_preemption_from_decision_to_binding(world: World) -> None:
    victim = pod("victim", "1", on="n")
    await world.add(node("n", "1"), victim, pod("vip", "1", priority=10))
    assert world.writer.evicted == ["default/victim"]
    assert ("victim", "Preempted", "Preempted by pod uid-default-vip on node n") in world.events
    assert world.writer.conditions == [("vip", "Unschedulable", "0/1 nodes are available: 1 Insufficient cpu.", "n")]
    await world.clock.advance(2)
    assert world.writer.bound == []
    world.state.pod_gone(victim)
    await settle()
    assert world.writer.bound == [("default/vip", "n")]
    assert world.state.nominated == {}


async def test_a_lesser_pod_does_not_take_the_room_made_for_another(world: World) -> None:
    victim = pod("victim", "1", on="n")
    await world.add(node("n", "1"), victim, pod("vip", "1", priority=10))
    await world.add(pod("opportunist", "1", priority=5))
    world.state.pod_gone(victim)
    await world.clock.advance(2)
    assert world.writer.bound == [("default/vip", "n")]


async def test_a_more_important_pod_takes_over_a_nomination(world: World) -> None:
    await world.add(node("n", "1"), pod("victim", "1", on="n"), pod("vip", "1", priority=10))
    await world.add(pod("king", "1", priority=100))
    assert world.writer.cleared == ["vip"]
    assert [p.key for p in world.state.nominated.values()] == ["default/king"]


async def test_many_pods_leave_the_loop_time_for_others(world: World) -> None:
    await world.add(*(node(f"n{i}", "100", pods="1000") for i in range(10)))
    for number in range(600):
        world.state.pod_changed(pod(f"p{number}", "1"))
    async with asyncio.timeout(20):
        while len(world.writer.bound) < 600:
            assert world.scheduler._binding <= 256
            await asyncio.sleep(0)
    assert world.used == 600_000
