"""The checker finds no fault with right histories and names the promise that a wrong one breaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.history import check
from tests.lab.operations import Event, History, Read, Session, Version, Violation, Write
from tests.unit.lab.world import World

SEEDS = st.integers(0, 1 << 32)


@given(SEEDS, st.integers(0, 120))
def test_a_history_of_a_store_that_keeps_its_promises_is_right(seed: int, steps: int) -> None:
    assert check(World(seed).run(steps)) == []


def promises(violations: list[Violation]) -> set[str]:
    return {violation.promise for violation in violations}


@given(SEEDS)
def test_a_lost_write_is_found_in_any_history(seed: int) -> None:
    history = World(seed).run(60)
    final = history.final
    assert final
    acknowledged = {w.key for w in history.acknowledged()}
    for key in acknowledged:
        history.final = replace(final, found=final.found | {key: None})
        assert "lost" in promises(check(history))


@given(SEEDS, st.data())
def test_an_event_left_out_told_twice_or_out_of_order_is_found_in_any_history(seed: int, data: st.DataObject) -> None:
    history = World(seed).run(80)
    sessions = [session for session in history.sessions if len(session.events) > 1]
    if not sessions:
        return
    session = data.draw(st.sampled_from(sessions))
    at = data.draw(st.integers(0, len(session.events) - 2))
    events = list(session.events)
    first, second = events[at : at + 2]
    for wrong in ([second], [first, first, second], [second, first]):
        session.events[:] = [*events[:at], *wrong, *events[at + 2 :]]
        seen_elsewhere = any(
            version == first.version for read in history.lists() for version in read.found.values()
        ) or any(w.revision == first.version.revision for w in history.writes)
        if wrong != [second] or seen_elsewhere:
            assert "watch" in promises(check(history))


def write(number: int, guard: int, begin: float, revision: int = 0, client: str = "w") -> Write:
    """A write of key `a` that took a second: acknowledged with a revision, refused without."""
    value = f"v{number}"
    return Write(client, "a", value, guard, begin, begin + 1, "ok" if revision else "failed", revision)


def read(begin: float, version: Version | None, client: str = "r") -> Read:
    return Read(client, begin, begin + 0.5, {"a": version})


ONE, TWO, THREE = Version(11, "v1"), Version(12, "v2"), Version(13, "v3")


def right() -> History:
    """Three writes of one key, a read after each, one watch over all."""
    events = [Event("ADDED", "a", ONE, 1.5), Event("MODIFIED", "a", TWO, 3.5), Event("MODIFIED", "a", THREE, 5.5)]
    return History(
        writes=[write(1, 0, 0, 11), write(2, 11, 2, 12), write(3, 12, 4, 13), write(4, 11, 6)],
        reads=[read(1.1, ONE), read(3.1, TWO), read(5.1, THREE)],
        sessions=[Session("x", read(-1, None, "x"), 10, events, 13)],
        final=read(10, THREE, "final"),
    )


def test_the_history_that_the_wrong_ones_are_made_from_is_right() -> None:
    assert check(right()) == []


def _final_is_empty(history: History) -> None:
    history.final = read(10, None)


def _final_is_old(history: History) -> None:
    history.final = read(10, TWO)


def _read_is_old(history: History) -> None:
    history.reads.append(read(7, TWO))


def _read_goes_back(history: History) -> None:
    history.writes[2] = replace(history.writes[2], end=9, outcome="unknown", revision=0)
    history.sessions.clear()
    history.reads[2:] = [read(5, THREE, "same"), read(6, TWO, "same")]


def _read_of_nothing(history: History) -> None:
    history.reads.append(read(7, None))


def _read_of_the_future(history: History) -> None:
    history.reads.append(read(1.2, TWO))


def _read_of_what_nobody_wrote(history: History) -> None:
    history.reads.append(read(5.2, Version(14, "rubbish")))


def _refused_write_took_effect(history: History) -> None:
    history.final = read(10, Version(14, "v4"))


def _two_values_for_a_revision(history: History) -> None:
    history.reads.append(read(3.2, Version(12, "v3")))


def _a_write_that_happened_twice(history: History) -> None:
    history.final = read(10, Version(15, "v3"))


def _a_lost_update(history: History) -> None:
    history.writes.append(write(5, 12, 7, 14))
    history.final = read(10, Version(14, "v5"))
    history.sessions[0].events.append(Event("MODIFIED", "a", Version(14, "v5"), 8.5))


def _a_create_of_what_is_there(history: History) -> None:
    history.writes[1] = replace(history.writes[1], guard=0)


def _a_later_write_with_an_earlier_revision(history: History) -> None:
    history.writes.append(replace(write(5, 0, 7, 9), key="b"))


def _event_left_out(history: History) -> None:
    del history.sessions[0].events[1]


def _event_told_twice(history: History) -> None:
    history.sessions[0].events.insert(1, history.sessions[0].events[0])


def _events_out_of_order(history: History) -> None:
    history.sessions[0].events[1:] = reversed(history.sessions[0].events[1:])


def _wrong_kind_of_event(history: History) -> None:
    history.sessions[0].events[1] = replace(history.sessions[0].events[1], kind="ADDED")


def _deletion(history: History) -> None:
    history.sessions[0].events[2] = replace(history.sessions[0].events[2], kind="DELETED")


def _list_without_what_was_there(history: History) -> None:
    history.sessions.append(Session("y", Read("y", 0.5, 9, {"a": None}), 11, history.sessions[0].events[1:], 13))


def _list_ahead_of_its_revision(history: History) -> None:
    history.sessions.append(Session("y", read(6, THREE), 12, through=13))


def _watcher_that_stands_still(history: History) -> None:
    session = history.sessions[0]
    session.events.pop()
    session.through = 12


WRONG: list[tuple[str, Callable[[History], None]]] = [
    ("lost", _final_is_empty),
    ("lost", _final_is_old),
    ("stale", _read_is_old),
    ("stale", _read_goes_back),
    ("stale", _read_of_nothing),
    ("stale", _a_later_write_with_an_earlier_revision),
    ("phantom", _read_of_the_future),
    ("phantom", _read_of_what_nobody_wrote),
    ("phantom", _refused_write_took_effect),
    ("order", _two_values_for_a_revision),
    ("order", _a_write_that_happened_twice),
    ("guard", _a_lost_update),
    ("guard", _a_create_of_what_is_there),
    ("watch", _event_left_out),
    ("watch", _event_told_twice),
    ("watch", _events_out_of_order),
    ("watch", _wrong_kind_of_event),
    ("watch", _deletion),
    ("watch", _list_without_what_was_there),
    ("watch", _list_ahead_of_its_revision),
    ("watch", _watcher_that_stands_still),
]


@pytest.mark.parametrize(("promise", "change"), WRONG, ids=[change.__name__.strip("_") for _, change in WRONG])
def test_a_wrong_history_is_found_and_the_promise_named(promise: str, change: Callable[[History], None]) -> None:
    history = right()
    change(history)
    assert promise in promises(check(history))


def test_an_unknown_write_may_have_happened_or_not() -> None:
    for happened in (True, False):
        history = right()
        history.writes.append(replace(write(5, 13, 7), outcome="unknown"))
        if happened:
            history.final = read(10, Version(14, "v5"))
            history.sessions[0].events.append(Event("MODIFIED", "a", Version(14, "v5"), 12))
            history.sessions[0].through = 14
        assert check(history) == []


def test_a_violation_names_the_operations() -> None:
    history = right()
    history.final = read(10, TWO)
    lost = next(violation for violation in check(history) if violation.promise == "lost")
    assert str(lost) == (
        "lost: w's write of a=v3 over revision 12 (4.000-5.000 s, acknowledged as revision 13), "
        "but at the end a is v2 of revision 12"
    )


def test_an_outage_is_the_longest_wait_for_an_acknowledgement_of_anybody_or_of_one() -> None:
    steady = [write(n, 0, n, n) for n in range(1, 9)]
    broken = [write(10, 0, 0, 20, "other"), write(11, 0, 6, 21, "other")]
    history = History(writes=steady + broken)
    assert (history.outage(1, 10), history.outage(1, 10, "other"), history.worst(1, 10)) == (1.0, 6.0, 6.0)
    assert (History().outage(1, 10), History().worst(1, 10)) == (9.0, 9.0)
