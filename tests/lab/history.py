"""The checker: given what clients did and saw, which promises of the API were broken. Pure.

Promises, each a function below and a row of `PROMISES`:
- order: one revision is one state of one key, everywhere it is seen; a write happens at most once;
- phantom: what is seen was written, by a write that did not fail and had begun;
- guard: an update happened to the very revision that it named;
- lost: a write that was acknowledged is in the final state, or one that replaced it;
- stale: by the clock, whoever begins after a state was known (acknowledged, read, or seen in a watch) sees it or a later one:
  linearizability per key with revisions as the witness, across clients, so also for one client's own reads;
- watch: a list with its watch tells every change after the list, once, in the order of revisions.
Unknown outcomes may have happened or not. Nothing but the recorder deletes the keys, and it does not.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.lab.operations import History, Session, Version, Violation


@dataclass(frozen=True, slots=True)
class Sighting:
    """A version of a key that somebody knew of at `since`."""

    key: str
    version: Version
    since: float
    where: str


def sightings(history: History) -> list[Sighting]:
    """Everything that is known of any version, in the order of time."""
    found = [Sighting(w.key, Version(w.revision, w.value), w.end, str(w)) for w in history.acknowledged()]
    for read in history.lists():
        found += [Sighting(key, version, read.end, str(read)) for key, version in read.found.items() if version]
    for session in history.sessions:
        found += [Sighting(e.key, e.version, e.seen, f"{session.watcher}'s watch") for e in session.events]
    return sorted(found, key=lambda sighting: sighting.since)


def order(history: History) -> Iterator[Violation]:
    """One revision is one state of one key, and one value has one revision."""
    revisions: dict[int, Sighting] = {}
    values: dict[str, Sighting] = {}
    for each in sightings(history):
        first = revisions.setdefault(each.version.revision, each)
        if (first.key, first.version) != (each.key, each.version):
            yield Violation(
                "order",
                f"revision {each.version.revision} is {first.key}={first.version.value} in {first.where} and "
                f"{each.key}={each.version.value} in {each.where}",
            )
        first = values.setdefault(each.version.value, each)
        if first.version.revision != each.version.revision:
            yield Violation(
                "order",
                f"{each.key}={each.version.value} is revision {first.version.revision} in {first.where} and "
                f"{each.version.revision} in {each.where}: it happened twice",
            )


def phantom(history: History) -> Iterator[Violation]:
    """What is seen was written, by a write that had begun and did not fail."""
    writes = {w.value: w for w in history.writes}
    told: set[str] = set()
    for each in sightings(history):
        write = writes.get(each.version.value)
        what = f"{each.key}={each.version.value} in {each.where}"
        if each.version.value in told:
            continue
        if write is None or write.key != each.key:
            why = f"{what} was never written"
        elif write.outcome == "failed":
            why = f"{what} took effect although it was refused: {write}"
        elif each.since < write.begin:
            why = f"{what} was seen before it began: {write}"
        else:
            continue
        told.add(each.version.value)
        yield Violation("phantom", why)


def guard(history: History) -> Iterator[Violation]:
    """Between the revision that an update named and its own there is no other of the same key."""
    known: dict[str, dict[int, str]] = defaultdict(dict)
    revision_of: dict[str, int] = {}
    for each in sightings(history):
        known[each.key][each.version.revision] = each.version.value
        revision_of[each.version.value] = each.version.revision
    for key, versions in known.items():
        ordered = sorted(versions)
        by_value = {w.value: w for w in history.writes if w.key == key}
        for write in by_value.values():
            mine = revision_of.get(write.value)
            if mine is None:
                continue
            at = bisect_left(ordered, mine)
            before = ordered[at - 1] if at else 0
            if before > write.guard:
                yield Violation(
                    "guard",
                    f"{write} was to replace revision {write.guard}, but {key}={versions[before]} of revision {before} "
                    f"came between",
                )


def lost(history: History) -> Iterator[Violation]:
    """The final state has each acknowledged write, or one that came after it."""
    final = history.final
    if final is None:
        return
    for write in history.acknowledged():
        version = final.found.get(write.key)
        if version is None:
            yield Violation("lost", f"{write}, but at the end there is no {write.key}")
        elif version.revision < write.revision:
            yield Violation(
                "lost", f"{write}, but at the end {write.key} is {version.value} of revision {version.revision}"
            )


class _Known:
    """The newest version that was known by a moment; sightings are added in the order of time."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._newest: list[Sighting] = []

    def add(self, sighting: Sighting) -> None:
        newest = self._newest[-1] if self._newest else sighting
        self._times.append(sighting.since)
        self._newest.append(max(newest, sighting, key=lambda s: s.version.revision))

    def before(self, moment: float) -> Sighting | None:
        at = bisect_left(self._times, moment)
        return self._newest[at - 1] if at else None


def stale(history: History) -> Iterator[Violation]:
    """Whoever begins after a version was known sees it or a later one; a write that begins after it gets a later revision."""
    keys: dict[str, _Known] = defaultdict(_Known)
    store = _Known()
    for each in sightings(history):
        keys[each.key].add(each)
        store.add(each)
    for read in history.lists():
        for key, version in read.found.items():
            known = keys[key].before(read.begin)
            if known and known.version.revision > (version.revision if version else 0):
                saw = f"{version.value} of revision {version.revision}" if version else "nothing"
                yield Violation(
                    "stale",
                    f"{read} of {key} saw {saw}, although {known.version.value} of revision {known.version.revision} "
                    f"was known at {known.since:.3f} s from {known.where}",
                )
    for write in history.acknowledged():
        known = store.before(write.begin)
        if known and known.version.revision >= write.revision:
            yield Violation(
                "stale",
                f"{write} began after revision {known.version.revision} was known at {known.since:.3f} s from "
                f"{known.where}",
            )


def watch(history: History) -> Iterator[Violation]:
    """Every session tells every change between its list and its end, once and in order."""
    known = {each.version.revision: each for each in sightings(history)}
    for session in history.sessions:
        yield from _listed(session, known)
        yield from _told(session)
        yield from _missing(session, known)
    yield from _behind(history)


def _listed(session: Session, known: dict[int, Sighting]) -> Iterator[Violation]:
    expected: dict[str, Sighting] = {}
    for revision in sorted(r for r in known if r <= session.start):
        expected[known[revision].key] = known[revision]
    for key in expected.keys() | session.listed.found.keys():
        has, should = session.listed.found.get(key), expected.get(key)
        if has and has.revision > session.start:
            yield Violation(
                "watch", f"{session.watcher}'s list at revision {session.start} has {key} of revision {has.revision}"
            )
        elif should and (has is None or has.revision < should.version.revision):
            yield Violation(
                "watch",
                f"{session.watcher}'s list at revision {session.start} has {key} of revision "
                f"{has.revision if has else 'none'}, not {should.version.revision} as {should.where}",
            )


def _told(session: Session) -> Iterator[Violation]:
    last = session.start
    present = {key for key, version in session.listed.found.items() if version}
    for event in session.events:
        what = f"{session.watcher}'s watch told {event.kind} {event.key} of revision {event.version.revision}"
        if event.version.revision <= last:
            yield Violation("watch", f"{what} after revision {last}")
        if event.kind != ("MODIFIED" if event.key in present else "ADDED"):
            yield Violation("watch", f"{what}, which {'was' if event.key in present else 'was not'} there before")
        present.add(event.key)
        last = max(last, event.version.revision)


def _missing(session: Session, known: dict[int, Sighting]) -> Iterator[Violation]:
    told = {event.version.revision for event in session.events}
    for revision, each in known.items():
        if session.start < revision <= session.through and revision not in told:
            yield Violation(
                "watch",
                f"{session.watcher}'s watch from revision {session.start} to {session.through} did not tell "
                f"{each.key}={each.version.value} of revision {revision}, known from {each.where}",
            )


def _behind(history: History) -> Iterator[Violation]:
    """A watcher must have arrived at the final state: the recorder gave it the time."""
    if history.final is None:
        return
    newest = max((version.revision for version in history.final.found.values() if version), default=0)
    ends: dict[str, int] = {}
    for session in history.sessions:
        ends[session.watcher] = max(session.start, session.through)
    for watcher, end in ends.items():
        if end < newest:
            yield Violation("watch", f"{watcher}'s watch stopped at revision {end} and never told of {newest}")


Promise = Callable[[History], Iterator[Violation]]
PROMISES: tuple[Promise, ...] = (order, phantom, guard, lost, stale, watch)


def check(history: History) -> list[Violation]:
    """Every promise that the history breaks; empty for a right one."""
    return [violation for promise in PROMISES for violation in promise(history)]
