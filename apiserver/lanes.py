"""In-flight limits: so many requests at once, some more waiting in order, the rest told to come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api import errors

WAITING = 4
"""Requests that may wait for each one that may run."""


class Lane:
    """At most `limit` requests at once; up to WAITING times as many wait their turn, first come, first served."""

    def __init__(self, limit: int) -> None:
        self._slots = asyncio.Semaphore(limit)
        self._room = limit * (WAITING + 1)
        self._inside = 0

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[None]:
        """Hold a place. Raises TooManyRequests when the queue is full."""
        if self._inside >= self._room:
            raise errors.too_many_requests("too many requests, please try again later")
        self._inside += 1
        try:
            async with self._slots:
                yield
        finally:
            self._inside -= 1
