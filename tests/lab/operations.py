"""What clients did and saw during a fault: plain records, all times in seconds of one monotonic clock.

A write's `value` is unique in the whole history, so that a value seen anywhere names the write it came from. A `revision` is a
resourceVersion, which in Cloudlet as in Kubernetes is etcd's revision: one order for all keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

Outcome = Literal["ok", "failed", "unknown"]
"""Acknowledged; refused, so it must not have happened; or no answer, so it may have happened or not."""


@dataclass(frozen=True, slots=True)
class Version:
    """One state of one key."""

    revision: int
    value: str


@dataclass(frozen=True, slots=True)
class Write:
    """A create (`guard` 0) or an update that was to happen only if the key was still at revision `guard`."""

    client: str
    key: str
    value: str
    guard: int
    begin: float
    end: float
    outcome: Outcome
    revision: int = 0
    """What the acknowledgement said; 0 without one."""
    error: str = ""
    """What was said instead of an acknowledgement."""

    def __str__(self) -> str:
        done = {"ok": f"acknowledged as revision {self.revision}", "failed": "refused", "unknown": "not known"}
        why = f": {self.error}" if self.error else ""
        return (
            f"{self.client}'s write of {self.key}={self.value} over revision {self.guard} "
            f"({self.begin:.3f}-{self.end:.3f} s, {done[self.outcome]}{why})"
        )


@dataclass(frozen=True, slots=True)
class Read:
    """A get, or a list of everything: what each key it asked for was, None for absent."""

    client: str
    begin: float
    end: float
    found: dict[str, Version | None]

    def __str__(self) -> str:
        return f"{self.client}'s read ({self.begin:.3f}-{self.end:.3f} s)"


@dataclass(frozen=True, slots=True)
class Event:
    """One watch event, received at `seen`."""

    kind: str
    key: str
    version: Version
    seen: float


@dataclass(slots=True)
class Session:
    """A watcher's list and all that followed until it had to list again, over however many connections."""

    watcher: str
    listed: Read
    """Its `found` is the whole collection."""
    start: int
    """The list's own resourceVersion."""
    events: list[Event] = field(default_factory=list)
    through: int = 0
    """The revision up to which the server said it has told everything: an event's or a bookmark's."""


@dataclass(slots=True)
class History:
    """Everything recorded. `final` lists the collection after all clients had stopped writing."""

    writes: list[Write] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    final: Read | None = None

    def lists(self) -> Iterator[Read]:
        """Every read, those that began a watch and the final one included."""
        yield from self.reads
        yield from (session.listed for session in self.sessions)
        if self.final:
            yield self.final

    def acknowledged(self) -> list[Write]:
        """The writes that were acknowledged, in the order of their answers."""
        return sorted((w for w in self.writes if w.outcome == "ok"), key=lambda w: w.end)

    def outage(self, begin: float, end: float, client: str = "") -> float:
        """The longest time in seconds between `begin` and `end` without an acknowledged write, of anybody or of one client."""
        answers = [w.end for w in self.acknowledged() if client in ("", w.client) and begin <= w.end <= end]
        return max(after - before for before, after in pairwise([begin, *answers, end]))

    def worst(self, begin: float, end: float) -> float:
        """The outage of the writing client that had the longest."""
        return max(self.outage(begin, end, client) for client in {w.client for w in self.writes} or {""})


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken: which one, and a sentence that names the operations."""

    promise: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.sentence}"
