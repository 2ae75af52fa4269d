"""Fresh reads: shared, never older than the question."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from types import SimpleNamespace

import pytest

from api import errors
from apiserver import feed as module
from apiserver.etcd import Batch
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
        found, broken = self.now, self.broken
        await self.gate.wait()
        if broken:
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


class WatchedEtcd(FakeEtcd):
    """Its watches tell what the test puts into `told`; those that are open when it is emptied say nothing more."""

    def __init__(self) -> None:
        super().__init__()
        self.gate.set()
        self.members = SimpleNamespace(on_leave=None)
        self.begun: list[int] = []
        self.told: asyncio.Queue[Batch] = asyncio.Queue()

    async def revision(self, seconds: float = 0) -> int:
        return await super().revision()

    async def watch(self, after: int) -> AsyncGenerator[Batch, None]:
        self.begun.append(after)
        told = self.told
        yield Batch(after, [])
        while True:
            yield await told.get()


def change(revision: int) -> object:
    return SimpleNamespace(type=0, kv=SimpleNamespace(key=b"/elsewhere", value=b"", mod_revision=revision))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PULSE", "LAG"):
        monkeypatch.setattr(module, name, 0.01)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - what is waited for is another task's doing, and has no event
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("quick")
async def test_a_watch_that_stands_still_behind_the_store_is_cut_and_goes_on_elsewhere() -> None:
    etcd = WatchedEtcd()
    made = feed(etcd)
    running = asyncio.create_task(made.run())
    await until(lambda: etcd.begun == [5])
    etcd.told = asyncio.Queue()  # the open watch hears no more
    etcd.now = 6
    await until(lambda: len(etcd.begun) > 1)
    assert etcd.begun[1] == 5
    etcd.told.put_nowait(Batch(6, [change(6)]))
    await made.reach(6)
    await _ended(running)


@pytest.mark.usefixtures("quick")
async def test_a_watch_is_begun_again_when_its_member_is_left() -> None:
    etcd = WatchedEtcd()
    made = feed(etcd)
    running = asyncio.create_task(made.run())
    await until(lambda: etcd.begun == [5])
    etcd.told.put_nowait(Batch(6, [change(6)]))
    etcd.now = 6
    await made.reach(6)
    etcd.members.on_leave()
    await until(lambda: etcd.begun == [5, 6])
    assert made.connected
    await _ended(running)


@pytest.mark.usefixtures("quick")
async def test_the_quorum_is_known_to_be_lost_and_to_be_back() -> None:
    etcd = WatchedEtcd()
    made = feed(etcd)
    running = asyncio.create_task(made.run())
    await until(lambda: made.quorum)
    etcd.broken = True
    await until(lambda: not made.quorum)
    etcd.broken = False
    await until(lambda: made.quorum)
    assert etcd.begun == [5]
    await _ended(running)


async def test_an_answer_outweighs_earlier_questions_that_had_none() -> None:
    etcd = WatchedEtcd()
    made = feed(etcd)
    etcd.gate = lost = asyncio.Event()
    etcd.broken = True
    early = asyncio.create_task(made._question(0))  # waits for a leader that is gone
    await settle()
    etcd.gate, etcd.broken = asyncio.Event(), False
    etcd.gate.set()
    await made._question(1)
    lost.set()
    await early
    assert made.quorum
    etcd.broken = True
    await made._question(2)
    assert not made.quorum


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
