"""Leader election against a Lease kept in memory, with time moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from api import resources
from api.errors import ServiceUnavailable, conflict, not_found
from client.clock import FakeClock, settle
from client.leader import LeaderElector, LostLeadership
from client.timing import Timing

SLOW = Timing(lease_duration=15, renew_deadline=10, retry_period=2)


class FakeLeases:
    """The three calls that an elector makes, with optimistic concurrency; `down` makes every call fail, `silent` hang."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.down = False
        self.silent = False
        self.answer = asyncio.Event()
        self.fence: Callable[[], None] | None = None

    async def _up(self) -> None:
        if self.down:
            raise ServiceUnavailable("down")
        if self.silent:
            await self.answer.wait()

    async def get(self, *_: Any) -> dict[str, Any]:
        await self._up()
        if self.lease is None:
            raise not_found(resources.LEASES, "x")
        return dict(self.lease)

    async def create(self, _: Any, obj: dict[str, Any]) -> dict[str, Any]:
        await self._up()
        self.lease = obj | {"metadata": obj["metadata"] | {"resourceVersion": "1"}}
        return self.lease

    async def update(self, _: Any, obj: dict[str, Any]) -> dict[str, Any]:
        await self._up()
        assert self.lease is not None
        assert obj["spec"].get("holderIdentity") != "", "the API refuses an empty holder"
        if obj["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise conflict(resources.LEASES, "x")
        version = str(int(obj["metadata"]["resourceVersion"]) + 1)
        self.lease = obj | {"metadata": obj["metadata"] | {"resourceVersion": version}}
        return self.lease

    @property
    def holder(self) -> str:
        return str((self.lease or {}).get("spec", {}).get("holderIdentity", ""))


class Candidate:
    """An elector that is running."""

    def __init__(self, leases: FakeLeases, name: str, clock: FakeClock, timing: Timing = SLOW) -> None:
        self._leading = False
        self.waited = 0
        self.elector = LeaderElector(leases, "x", name, timing=timing, clock=clock)  # type: ignore[arg-type]
        self.task = asyncio.ensure_future(self.elector.run(self._work, self._wait))

    async def _wait(self) -> None:
        self.waited += 1

    async def _work(self) -> None:
        self._leading = True
        try:
            await asyncio.Event().wait()
        finally:
            self._leading = False

    def leads(self) -> bool:
        return self._leading

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def test_one_of_two_leads(clock: FakeClock) -> None:
    leases = FakeLeases()
    a, b = Candidate(leases, "a", clock), Candidate(leases, "b", clock)
    await clock.advance(30)
    assert [a.leads(), b.leads()] == [True, False]
    assert leases.holder == "a"
    await a.stop()
    await b.stop()


async def test_an_orderly_stop_hands_over_at_once(clock: FakeClock) -> None:
    leases = FakeLeases()
    a, b = Candidate(leases, "a", clock), Candidate(leases, "b", clock)
    await clock.advance(1)
    await a.stop()
    await clock.advance(2.1)
    assert b.leads()
    await b.stop()


async def test_a_dead_holder_is_followed_after_the_lease_ran_out(clock: FakeClock) -> None:
    leases = FakeLeases()
    dead = {"holderIdentity": "dead", "leaseDurationSeconds": 15, "renewTime": "t"}
    leases.lease = {"metadata": {"resourceVersion": "1"}, "spec": dead}
    b = Candidate(leases, "b", clock)
    await clock.advance(14)
    assert not b.leads()
    await clock.advance(4)
    assert b.leads()
    await b.stop()


async def test_a_holder_that_cannot_renew_stops_before_others_may_lead(clock: FakeClock) -> None:
    leases = FakeLeases()
    a = Candidate(leases, "a", clock)
    await clock.advance(1)
    leases.down = True
    await clock.advance(8)
    assert a.leads()
    await clock.advance(4)
    await settle()
    assert not a.leads()
    with pytest.raises(LostLeadership):
        await a.task


async def test_a_server_that_says_nothing_ends_the_leadership_in_time(clock: FakeClock) -> None:
    """Also when the silence begins late: no attempt may outlast the deadline of the last renewal."""
    leases = FakeLeases()
    a = Candidate(leases, "a", clock)
    await clock.advance(1)
    leases.down = True
    await clock.advance(6)
    leases.down, leases.silent = False, True
    await clock.advance(5)
    await settle()
    assert not a.leads()
    with pytest.raises(LostLeadership):
        await a.task


async def test_the_time_it_took_to_get_the_lease_counts(clock: FakeClock) -> None:
    leases = FakeLeases()
    leases.silent = True
    a = Candidate(leases, "a", clock)
    await clock.advance(9)
    leases.answer.set()
    leases.silent = False
    await settle()
    assert a.leads()
    leases.down = True
    await clock.advance(2.1)
    await settle()
    assert not a.leads()
    with pytest.raises(LostLeadership):
        await a.task


def held_by(name: str, seconds: int) -> dict[str, Any]:
    spec = {"holderIdentity": name, "leaseDurationSeconds": seconds, "renewTime": "t"}
    return {"metadata": {"resourceVersion": "1"}, "spec": spec}


async def test_a_stand_by_takes_over_as_soon_as_it_may(clock: FakeClock) -> None:
    leases = FakeLeases()
    leases.lease = held_by("dead", 5)
    b = Candidate(leases, "b", clock)
    await clock.advance(4.9)
    assert not b.leads()
    await clock.advance(0.2)
    assert b.leads()
    await b.stop()


async def test_a_holder_that_was_stopped_writes_nothing_when_it_resumes(clock: FakeClock) -> None:
    leases = FakeLeases()
    a = Candidate(leases, "a", clock)
    await clock.advance(5)
    assert leases.fence is not None
    leases.fence()
    clock.jump(10)
    with pytest.raises(ServiceUnavailable, match="nothing more is written"):
        leases.fence()
    assert a.leads(), "nobody has run since"
    leases.lease = held_by("b", 15)
    await clock.advance(0)
    assert not a.leads()
    assert leases.holder == "b"
    with pytest.raises(LostLeadership):
        await a.task
    assert leases.fence is None


async def test_a_holder_that_sees_another_stops_at_once(clock: FakeClock) -> None:
    leases = FakeLeases()
    a = Candidate(leases, "a", clock)
    await clock.advance(1)
    leases.lease = held_by("b", 15)
    await clock.advance(2)
    assert not a.leads()
    assert leases.holder == "b"
    with pytest.raises(LostLeadership):
        await a.task


async def test_one_failure_after_taking_over_does_not_end_the_leadership(clock: FakeClock) -> None:
    leases = FakeLeases()
    leases.lease = held_by("dead", 1)
    b = Candidate(leases, "b", clock)
    await clock.advance(1.1)
    assert b.leads()
    leases.down = True
    await clock.advance(3)
    leases.down = False
    await clock.advance(15)
    assert b.leads()
    await b.stop()


async def test_an_attempt_that_took_long_is_followed_by_the_next_at_once(clock: FakeClock) -> None:
    leases = FakeLeases()
    a = Candidate(leases, "a", clock, Timing())
    await clock.advance(0.5)
    leases.silent = True
    await clock.advance(3.2)  # the attempt of second 1 still waits
    leases.silent, leases.down = False, True
    leases.answer.set()
    await settle()
    leases.down = False
    await clock.advance(0.1)
    await clock.advance(3.5)
    assert a.leads()
    await a.stop()


async def test_work_that_ends_by_itself_ends_the_election(clock: FakeClock) -> None:
    leases = FakeLeases()

    async def work() -> None:
        raise RuntimeError("broken")

    elector = LeaderElector(leases, "x", "a", clock=clock)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="broken"):
        await elector.run(work)
    assert leases.holder == "", "it was released"


async def test_who_has_to_wait_is_told_once(clock: FakeClock) -> None:
    leases = FakeLeases()
    a, b = Candidate(leases, "a", clock), Candidate(leases, "b", clock)
    await clock.advance(30)
    assert [a.waited, b.waited] == [0, 1]
    await a.stop()
    await b.stop()


async def test_the_same_candidate_goes_on_after_a_restart(clock: FakeClock) -> None:
    leases = FakeLeases()
    held = {"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": "t"}
    leases.lease = {"metadata": {"resourceVersion": "1"}, "spec": held}
    a = Candidate(leases, "a", clock)
    await settle()
    assert (a.leads(), a.waited) == (True, 0)
    await a.stop()


async def test_leadership_is_assured_from_the_beginning_of_the_last_renewal(clock: FakeClock) -> None:
    leases = FakeLeases()
    a = Candidate(leases, "a", clock)
    assert a.elector.assured() == 0
    await clock.advance(3)
    assert a.elector.assured() == 14
    leases.down = True
    await clock.advance(6)
    assert a.elector.assured() == 8
    await a.stop()
