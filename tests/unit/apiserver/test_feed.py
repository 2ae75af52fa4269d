"""Fresh reads: shared, never older than the question."""

import asyncio

import pytest

from api import errors
from apiserver.feed import Feed


class FakeEtcd:
    """Answers revisions when the test lets it."""

    def __init__(self) -> None:
        self.asked = 0
        self.now = 5
        self.gate = asyncio.Event()
        self.broken = False
        self.fault: Exception | None = None

    async def revision(self) -> int:
        self.asked += 1
        found = self.now
        await self.gate.wait()
        if self.broken:
            raise errors.ServiceUnavailable("gone")
        if self.fault:
            raise self.fault
        return found


def feed(etcd: FakeEtcd) -> Feed:
    made = Feed(etcd)  # type: ignore[arg-type]
    made.revision = 5
    return made


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_questions_that_arrive_together_share_one_read() -> None:
    etcd = FakeEtcd()
    made = feed(etcd)
    waiting = [asyncio.create_task(made.fresh()) for _ in range(10)]
    await settle()
    etcd.gate.set()
    assert await asyncio.gather(*waiting) == [5] * 10 and etcd.asked == 1


async def test_a_question_during_a_read_waits_for_the_next_one() -> None:
    etcd = FakeEtcd()
    made = feed(etcd)
    early = asyncio.create_task(made.fresh())
    await settle()
    etcd.now = 6  # written after the first read was sent
    late = asyncio.create_task(made.fresh())
    await settle()
    etcd.gate.set()
    assert await early == 5
    await settle()
    assert not late.done() and etcd.asked == 2
    made._reached(6)
    assert await late == 6


async def test_a_read_waits_until_the_caches_have_reached_it() -> None:
    made = feed(FakeEtcd())
    reader = asyncio.create_task(made.reach(9))
    await settle()
    made._reached(8)
    await settle()
    assert not reader.done()
    made._reached(9)
    await reader


async def test_a_revision_that_never_comes_times_out() -> None:
    with pytest.raises(errors.Timeout, match="Too large resource version: 9, current: 5"):
        await feed(FakeEtcd()).reach(9, 0.01)


async def test_an_etcd_that_fails_fails_everyone_who_asked_and_nobody_after() -> None:
    etcd = FakeEtcd()
    made = feed(etcd)
    etcd.broken = True
    waiting = [asyncio.create_task(made.fresh()) for _ in range(3)]
    await settle()
    etcd.gate.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(each, errors.ServiceUnavailable) for each in found)
    etcd.broken = False
    assert await made.fresh() == 5


async def test_a_read_that_fails_in_any_way_fails_those_who_wait_and_nobody_later() -> None:
    etcd = FakeEtcd()
    made = feed(etcd)
    etcd.gate.set()
    etcd.fault = RuntimeError("not an error of etcd's client")
    with pytest.raises(RuntimeError, match="not an error"):
        await made.fresh()
    etcd.fault = None
    assert await made.fresh() == 5


async def test_a_read_that_is_cancelled_leaves_nobody_waiting() -> None:
    etcd = FakeEtcd()
    made = feed(etcd)
    early = asyncio.create_task(made.fresh())
    await settle()
    late = asyncio.create_task(made.fresh())
    await settle()
    assert made._asker is not None
    made._asker.cancel()
    with pytest.raises(errors.ServiceUnavailable, match="given up"):
        await early
    etcd.gate.set()
    assert await made.fresh() == 5
    assert await late == 5
