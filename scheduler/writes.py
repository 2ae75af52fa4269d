"""Writes that nobody waits for (conditions of unschedulable pods): the latest for each pod, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from api.errors import ApiError
from client.clock import Clock
from client.workqueue import ShutDown, WorkQueue

Write = Callable[[], Awaitable[None]]
_WORKERS, _ATTEMPTS = 8, 6


class Writes:
    """Carries out the last write handed in for each key; one that fails for good is dropped and logged."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._queue = WorkQueue(clock, first=0.1, longest=10.0)
        self._latest: dict[str, Write] = {}
        self._log = structlog.get_logger("writes")

    def put(self, key: str, write: Write) -> None:
        """Write this soon; an earlier write for the key that has not begun is replaced."""
        self._latest[key] = write
        self._queue.add(key)

    async def run(self) -> None:
        """Write until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for number in range(_WORKERS):
                    tasks.create_task(self._work(), name=f"write {number}")
        finally:
            self._queue.shut_down()

    async def _work(self) -> None:
        while True:
            try:
                key = await self._queue.get()
            except ShutDown:
                return
            write = self._latest.pop(key, None)
            try:
                if write is not None:
                    await write()
                self._queue.forget(key)
            except ApiError as error:
                again = error.http_code >= 500 or error.http_code in (408, 409, 429)
                if write is not None and again and self._queue.failures(key) < _ATTEMPTS:
                    self._latest.setdefault(key, write)
                    self._queue.add_rate_limited(key)
                else:
                    self._queue.forget(key)
                    self._log.warning("not written", key=key, error=error.message)
            finally:
                self._queue.done(key)
