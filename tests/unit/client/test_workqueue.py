"""One test per promise of the work queue."""

from __future__ import annotations

import asyncio

import pytest

from client.clock import FakeClock, settle
from client.workqueue import ShutDown, WorkQueue


async def test_a_key_added_twice_is_handed_out_once(clock: FakeClock) -> None:
    queue = WorkQueue(clock)
    queue.add("a")
    queue.add("a")
    assert await queue.get() == "a"
    assert len(queue) == 0


async def test_keys_come_in_the_order_they_were_added(clock: FakeClock) -> None:
    queue = WorkQueue(clock)
    for key in "abc":
        queue.add(key)
    assert [await queue.get() for _ in range(3)] == ["a", "b", "c"]


async def test_a_key_is_never_with_two_workers_and_comes_again_after_done(clock: FakeClock) -> None:
    queue = WorkQueue(clock)
    queue.add("a")
    await queue.get()
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert await queue.get() == "a"


async def test_a_waiting_worker_gets_the_next_key(clock: FakeClock) -> None:
    queue = WorkQueue(clock)
    waiting = asyncio.ensure_future(queue.get())
    await settle()
    queue.add("a")
    assert await asyncio.wait_for(waiting, 1) == "a"


async def test_a_cancelled_worker_loses_no_key(clock: FakeClock) -> None:
    queue = WorkQueue(clock)
    first, second = asyncio.ensure_future(queue.get()), asyncio.ensure_future(queue.get())
    await settle()
    queue.add("a")
    first.cancel()
    assert await asyncio.wait_for(second, 1) == "a"


async def test_the_earliest_appointment_stands(clock: FakeClock) -> None:
    queue = WorkQueue(clock)
    queue.add_after("a", 10)
    queue.add_after("a", 2)
    queue.add_after("a", 20)
    await clock.advance(1.9)
    assert len(queue) == 0
    await clock.advance(0.1)
    assert await queue.get() == "a"
    queue.done("a")
    await clock.advance(60)
    assert len(queue) == 0


async def test_rate_limited_keys_wait_twice_as_long_each_time_until_forgotten(clock: FakeClock) -> None:
    queue = WorkQueue(clock, first=1, longest=5)
    waits = []
    for _ in range(4):
        queue.add_rate_limited("a")
        waited = 0
        while len(queue) == 0:
            await clock.advance(1)
            waited += 1
        waits.append(waited)
        queue.done(await queue.get())
    assert waits == [1, 2, 4, 5]
    queue.forget("a")
    assert queue.failures("a") == 0


async def test_shut_down_ends_waiting_workers_and_refuses_keys(clock: FakeClock) -> None:
    queue = WorkQueue(clock)
    waiting = asyncio.ensure_future(queue.get())
    queue.add_after("later", 1)
    await settle()
    queue.shut_down()
    with pytest.raises(ShutDown):
        await asyncio.wait_for(waiting, 1)
    queue.add("a")
    await clock.advance(2)
    with pytest.raises(ShutDown):
        await queue.get()
