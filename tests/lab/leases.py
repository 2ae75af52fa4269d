"""The checker of Leases: no two leaders at once. Pure.

A Lease names one holder, so two at once means that a second took it before the first one's time was over. Two proofs of that:
- by the holders' own clocks, `acquireTime` of the second against `renewTime` plus duration of the first, where the clocks of the
  machines are known to agree (`tolerance` seconds);
- by our clock alone, where they are not (a clock jump): the first renewed after we read an older state, and the second had the
  Lease when we saw it; if less than the duration lies between, it took it too early.
A Lease that was given back (no holder) is free. Only neighbours within one watch are compared, so nothing is missed between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from tests.lab.operations import Violation


@dataclass(frozen=True, slots=True)
class Tenure:
    """One state of a Lease; `acquired` and `renewed` are seconds of the holder's clock."""

    lease: str
    revision: int
    holder: str
    duration: float
    acquired: float
    renewed: float


@dataclass(frozen=True, slots=True)
class Glimpse:
    """A Tenure that was current at some moment between `begin` and `end`; of a watch event only the `end` is known."""

    tenure: Tenure
    begin: float
    end: float


@dataclass(slots=True)
class LeaseHistory:
    """`told` has one list per watch, whole and in order; `read` what was read beside them."""

    told: list[list[Glimpse]] = field(default_factory=list)
    read: list[Glimpse] = field(default_factory=list)


def check(history: LeaseHistory, tolerance: float | None = 0.1) -> list[Violation]:
    """Every Lease that was taken too early. `tolerance` None: the machines' clocks do not agree."""
    return [violation for told in history.told for violation in _watch(told, history.read, tolerance)]


def _watch(told: list[Glimpse], read: list[Glimpse], tolerance: float | None) -> Iterator[Violation]:
    for lease in sorted({glimpse.tenure.lease for glimpse in told}):
        for before, after in pairwise(glimpse for glimpse in told if glimpse.tenure.lease == lease):
            first, second = before.tenure, after.tenure
            if not first.holder or second.holder in ("", first.holder):
                continue
            apart = second.acquired - first.renewed
            if tolerance is not None and apart < first.duration - tolerance:
                yield _early(first, second, f"{apart:.3f} s after the last renewal by their clocks")
                continue
            older = [g.begin for g in read if g.tenure.lease == lease and g.tenure.revision < first.revision]
            seen = min([after.end, *(g.end for g in read if g.tenure == second)])
            if older and seen - max(older) < first.duration:
                yield _early(first, second, f"less than {seen - max(older):.3f} s after the last renewal by our clock")


def _early(first: Tenure, second: Tenure, when: str) -> Violation:
    return Violation(
        "lease",
        f"{second.holder} took {second.lease} (revision {second.revision}) {when}, "
        f"which gave it to {first.holder} for {first.duration:g} s (revision {first.revision})",
    )
