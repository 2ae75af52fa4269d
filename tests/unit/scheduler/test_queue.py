"""The promises of the three queues, with a clock that is moved by hand."""

from __future__ import annotations

import asyncio

import pytest

from client.clock import FakeClock
from scheduler.podinfo import PodInfo, read
from scheduler.queue import QueuedPod, SchedulingQueue
from scheduler.template import Templates
from tests.unit.scheduler.build import pod

TEMPLATES = Templates()


def info(name: str, priority: int = 0, **spec: object) -> PodInfo:
    return read(pod(name, priority=priority, **spec), TEMPLATES)  # type: ignore[arg-type]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(100.0)


@pytest.fixture
async def queue(clock: FakeClock) -> SchedulingQueue:
    return SchedulingQueue(clock)


def names(queue: SchedulingQueue) -> list[str]:
    found = []
    while pod := queue.pop_nowait():
        found.append(pod.info.pod["metadata"]["name"])
    return found


def take(queue: SchedulingQueue) -> QueuedPod:
    pod = queue.pop_nowait()
    assert pod is not None
    return pod


async def test_highest_priority_first_then_longest_waiting(queue: SchedulingQueue, clock: FakeClock) -> None:
    queue.add(info("late-low"))
    await clock.advance(1)
    queue.add(info("high-1", 5))
    await clock.advance(1)
    queue.add(info("high-2", 5))
    assert names(queue) == ["high-1", "high-2", "late-low"]


async def test_pop_waits(queue: SchedulingQueue) -> None:
    waiting = asyncio.ensure_future(queue.pop())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.add(info("a"))
    assert (await waiting).info.key == "default/a"


async def test_back_off_doubles_to_ten_seconds(queue: SchedulingQueue, clock: FakeClock) -> None:
    queue.add(info("a"))
    for seconds in (1, 2, 4, 8, 10, 10):
        queue.retry(take(queue))
        await clock.advance(seconds - 0.1)
        assert queue.pop_nowait() is None
        await clock.advance(0.2)
        assert queue.sizes()["active"] == 1


async def test_unschedulable_waits_for_an_event_that_helps(queue: SchedulingQueue, clock: FakeClock) -> None:
    queue.add(info("a"))
    queue.unschedulable(take(queue), {"NodeResourcesFit"})
    await clock.advance(5)
    assert queue.move(lambda pod: False) == 0
    assert queue.pop_nowait() is None
    assert queue.move(lambda pod: pod.plugins == {"NodeResourcesFit"}) == 1
    assert names(queue) == ["a"]


async def test_an_event_during_back_off_waits_for_its_end(queue: SchedulingQueue, clock: FakeClock) -> None:
    queue.add(info("a"))
    queue.unschedulable(take(queue), {"x"})
    queue.move(lambda pod: True)
    assert queue.sizes()["backoff"] == 1
    assert queue.pop_nowait() is None
    await clock.advance(1.1)
    assert names(queue) == ["a"]


async def test_unschedulable_is_tried_again_after_five_minutes(queue: SchedulingQueue, clock: FakeClock) -> None:
    queue.add(info("a"))
    queue.unschedulable(take(queue), {"x"})
    await clock.advance(10)
    queue.add(info("b"))
    queue.unschedulable(take(queue), {"x"})
    await clock.advance(289)
    assert queue.pop_nowait() is None
    await clock.advance(2)
    assert names(queue) == ["a"]
    await clock.advance(10)
    assert names(queue) == ["b"]


async def test_replicas_are_asked_about_once(queue: SchedulingQueue) -> None:
    for number in range(5):
        queue.add(info(f"a{number}", labels={"app": "a"}))
    queue.add(info("other", labels={"app": "b"}))
    while pod := queue.pop_nowait():
        queue.unschedulable(pod, {"x"})
    asked: list[str] = []

    def helps(pod: QueuedPod) -> bool:
        asked.append(pod.info.key)
        return True

    assert queue.move(helps) == 6
    assert len(asked) == 2


async def test_a_removed_pod_does_not_come_back(queue: SchedulingQueue, clock: FakeClock) -> None:
    queue.add(info("a"))
    queue.add(info("b"))
    queue.remove("uid-default-a")
    working = take(queue)
    assert working.info.key == "default/b"
    queue.remove("uid-default-b")
    queue.unschedulable(working, {"x"})
    queue.retry(working)
    await clock.advance(400)
    assert len(queue) == 0
    assert names(queue) == []


async def test_gates_hold_a_pod_back(queue: SchedulingQueue) -> None:
    gated = info("a")
    queue.add(gated, gated=True)
    assert queue.pop_nowait() is None
    assert queue.sizes()["gated"] == 1
    queue.add(gated)
    assert names(queue) == ["a"]


async def test_a_changed_pod_is_handed_out_as_it_is_now(queue: SchedulingQueue, clock: FakeClock) -> None:
    queue.add(info("a"))
    queue.add(info("b"))
    changed = info("b", 7)
    queue.update(changed, helps=True)
    assert take(queue).info is changed


async def test_a_change_that_may_help_wakes_the_pod(queue: SchedulingQueue, clock: FakeClock) -> None:
    queue.add(info("a"))
    queue.unschedulable(take(queue), {"x"})
    await clock.advance(2)
    queue.update(info("a"), helps=False)
    assert queue.pop_nowait() is None
    queue.update(info("a", labels={"app": "b"}), helps=True)
    assert names(queue) == ["a"]


async def test_activate_skips_the_back_off(queue: SchedulingQueue) -> None:
    queue.add(info("a"))
    queue.retry(take(queue))
    queue.activate("uid-default-a")
    assert names(queue) == ["a"]


async def test_an_idle_queue_sets_no_timer(queue: SchedulingQueue, clock: FakeClock) -> None:
    queue.add(info("a"))
    take(queue)
    assert not clock._due
