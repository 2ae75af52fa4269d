"""How long to wait before trying again: doubling delays that are forgotten after a quiet time. The clock is passed in."""

from __future__ import annotations


class Backoff:
    """A delay per key: `first` seconds, doubled at each `record`, at most `most`; forgotten after twice `most` without one."""

    def __init__(self, first: float = 10.0, most: float = 300.0) -> None:
        self.first, self.most = first, most
        self._entries: dict[str, tuple[float, float]] = {}

    def delay(self, key: str) -> float:
        """The present delay in seconds, 0 for a key without an entry."""
        return self._entries.get(key, (0.0, 0.0))[0]

    def until(self, key: str, event: float) -> float:
        """When the key may be tried again after what happened at `event` (seconds since 1970)."""
        delay, updated = self._entries.get(key, (0.0, 0.0))
        if event - updated > 2 * self.most:
            return event
        return event + delay

    def record(self, key: str, now: float) -> None:
        """Note an attempt: the next delay is longer."""
        delay, updated = self._entries.get(key, (0.0, 0.0))
        fresh = not delay or now - updated > 2 * self.most
        self._entries[key] = (self.first if fresh else min(self.most, delay * 2), now)

    def forget(self, key: str) -> None:
        """Start over."""
        self._entries.pop(key, None)
