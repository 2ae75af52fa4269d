"""Time as something that is handed in: the real clock, and one that tests move by hand."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from typing import Any, Protocol


class Timer(Protocol):
    """What `call_later` returns."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Monotonic seconds, a sleep, and a call in the future."""

    def now(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...

    def call_later(self, seconds: float, callback: Callable[..., Any], *args: Any) -> Timer: ...


class RealClock:
    """The event loop's own time."""

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, callback: Callable[..., Any], *args: Any) -> Timer:
        return asyncio.get_running_loop().call_later(seconds, callback, *args)


class BootClock(RealClock):
    """Counts the time that the machine was suspended for, too; sleeps and timers do not."""

    def now(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)


class _FakeTimer:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


def _finish(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


class FakeClock:
    """Stands still until `advance`; then fires what falls due, in order."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        self._order = itertools.count()
        self._due: list[tuple[float, int, _FakeTimer, Callable[..., Any], tuple[Any, ...]]] = []

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.call_later(seconds, _finish, done)
        await done

    def call_later(self, seconds: float, callback: Callable[..., Any], *args: Any) -> Timer:
        timer = _FakeTimer()
        heapq.heappush(self._due, (self._now + seconds, next(self._order), timer, callback, args))
        return timer

    def jump(self, seconds: float) -> None:
        """Move time on while nobody runs, as for a process that is stopped; what fell due fires with the next `advance`."""
        self._now += seconds

    async def advance(self, seconds: float) -> None:
        """Move time on, then let every task that woke up run until it waits again."""
        await settle()
        end = self._now + seconds
        while self._due and self._due[0][0] <= end:
            due, _, timer, callback, args = heapq.heappop(self._due)
            self._now = max(self._now, due)
            if not timer.cancelled:
                callback(*args)
            await settle()
        self._now = end
        await settle()


async def settle(rounds: int = 20) -> None:
    """Give other tasks of the loop their turn."""
    for _ in range(rounds):
        await asyncio.sleep(0)
