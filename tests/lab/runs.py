"""The checker of containers: what may run once never runs twice at the same time. Pure.

A pod of a StatefulSet has a name that outlives it: the next pod of that name may start only when the last one's containers have
ended, on whatever machine. Runs carry times of the machines' clocks; only what is certain is compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from tests.lab.operations import Violation


@dataclass(frozen=True, slots=True)
class Run:
    """A container that was certainly running from `start` to `end`, in seconds since the epoch."""

    machine: str
    pod: str
    """`namespace/name`."""
    uid: str
    container: str
    id: str
    start: float
    end: float

    def __str__(self) -> str:
        return f"{self.container} of {self.pod} (uid {self.uid[:8]}, container {self.id[:12]}) on {self.machine}"


def check(runs: Iterable[Run], tolerance: float = 0.0) -> list[Violation]:
    """Every two runs of the same container of the same pod name that overlap by more than `tolerance` seconds."""
    places: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in runs:
        places[run.pod, run.container].append(run)
    found = []
    for same in places.values():
        for first, second in combinations(sorted(same, key=lambda run: run.start), 2):
            together = min(first.end, second.end) - second.start
            if together > tolerance:
                found.append(Violation("twice", f"{second} ran for {together:.3f} s together with {first}"))
    return found
