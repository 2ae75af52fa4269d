"""What a controller has asked for and not yet seen: keeps one with a stale cache from creating or deleting twice.

Source: Kubernetes' `ControllerExpectations`. An expectation that stays unfulfilled for five minutes counts as lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from client.clock import Clock, RealClock

_LOST_SECONDS = 300.0


@dataclass(slots=True)
class _Expected:
    since: float
    creations: int = 0
    deletions: set[str] = field(default_factory=set)


class Expectations:
    """Per controller key: how many creations and which deletions (by key of the dependent) are still to be seen."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or RealClock()
        self._expected: dict[str, _Expected] = {}

    def expect_creations(self, key: str, count: int) -> None:
        """`count` creations are about to be asked for."""
        self._entry(key).creations += count

    def expect_deletions(self, key: str, dependents: Iterable[str]) -> None:
        """These dependents are about to be deleted."""
        self._entry(key).deletions.update(dependents)

    def creation_observed(self, key: str) -> None:
        """One creation was seen, or has failed."""
        if (entry := self._expected.get(key)) and entry.creations > 0:
            entry.creations -= 1

    def deletion_observed(self, key: str, dependent: str) -> None:
        """One deletion was seen, or has failed."""
        if entry := self._expected.get(key):
            entry.deletions.discard(dependent)

    def satisfied(self, key: str) -> bool:
        """Whether the cache can be trusted for this key."""
        entry = self._expected.get(key)
        if entry is None or (entry.creations <= 0 and not entry.deletions):
            return True
        return self._clock.now() - entry.since > _LOST_SECONDS

    def forget(self, key: str) -> None:
        """The controller's object is gone."""
        self._expected.pop(key, None)

    def _entry(self, key: str) -> _Expected:
        if self.satisfied(key):
            self._expected[key] = _Expected(self._clock.now())
        return self._expected[key]
