"""A queue of keys for reconcilers.

Promises: a key that is queued twice before it is taken is handed out once; a key that is added while it is being worked on
is handed out again after `done`, never to two workers at once; `add_after` with several delays keeps the earliest;
`add_rate_limited` waits longer each time until `forget`; after `shut_down` waiting workers get `ShutDown`.
The bound of the queue is the number of distinct keys.
"""

from __future__ import annotations

import asyncio
from collections import deque

from client.clock import Clock, RealClock, Timer

_FIRST_SECONDS, _LONGEST_SECONDS = 0.005, 60.0


class ShutDown(Exception):
    """The queue has ended; the worker should too."""


class WorkQueue:
    """Keys to reconcile, each at most once at a time."""

    def __init__(
        self, clock: Clock | None = None, *, first: float = _FIRST_SECONDS, longest: float = _LONGEST_SECONDS
    ) -> None:
        self._clock = clock or RealClock()
        self._first, self._longest = first, longest
        self._ready: deque[str] = deque()
        self._dirty: set[str] = set()
        self._working: set[str] = set()
        self._failures: dict[str, int] = {}
        self._timers: dict[str, tuple[float, Timer]] = {}
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._ended = False

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def idle(self) -> bool:
        """Whether nothing is queued or being worked on (keys that wait for their time do not count)."""
        return not self._dirty and not self._working

    def add(self, key: str) -> None:
        """Queue a key now."""
        if self._ended or key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._working:
            self._ready.append(key)
            self._wake()

    def add_after(self, key: str, seconds: float) -> None:
        """Queue a key later; an earlier appointment for the same key stands."""
        if seconds <= 0:
            self.add(key)
            return
        when = self._clock.now() + seconds
        if key in self._timers:
            earlier, timer = self._timers[key]
            if earlier <= when:
                return
            timer.cancel()
        if not self._ended:
            self._timers[key] = (when, self._clock.call_later(seconds, self._due, key))

    def add_rate_limited(self, key: str) -> None:
        """Queue a key after its own back-off: 5 ms, doubling with every call until `forget`, a minute at most."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self.add_after(key, min(self._first * 2 ** min(failures, 30), self._longest))

    def failures(self, key: str) -> int:
        """How often the key was rate limited since it was last forgotten."""
        return self._failures.get(key, 0)

    def forget(self, key: str) -> None:
        """End the key's back-off."""
        self._failures.pop(key, None)

    async def get(self) -> str:
        """The next key; the caller must call `done` with it. Raises ShutDown."""
        while not self._ready:
            if self._ended:
                raise ShutDown
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                # A wake-up that reached a cancelled worker belongs to the next one.
                if waiter.done() and not waiter.cancelled() and self._ready:
                    self._wake()
                raise
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._working.add(key)
        return key

    def done(self, key: str) -> None:
        """Say that the work on a key is over; if it was added meanwhile, it is queued again."""
        self._working.discard(key)
        if key in self._dirty and not self._ended:
            self._ready.append(key)
            self._wake()

    def shut_down(self) -> None:
        """End: nothing more is accepted, delayed keys are dropped, waiting workers get ShutDown."""
        self._ended = True
        for _, timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        while self._waiters:
            self._wake()

    def _due(self, key: str) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
