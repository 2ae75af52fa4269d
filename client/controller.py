"""The one shape of a reconciler.

Handlers enqueue keys; workers start once the caches have synced; `reconcile` re-reads the state for a key and brings the
world closer to it; success ends the key's back-off, an error makes the key wait longer.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import ClassVar

import structlog

from api.errors import ApiError, Conflict
from api.meta import key as key_of
from api.types import Object
from client.clock import Clock, RealClock
from client.events import EventRecorder
from client.informer import InformerFactory
from client.rest import ApiClient
from client.workqueue import ShutDown, WorkQueue

_RECONCILE_SECONDS = 120.0


@dataclass(slots=True)
class Context:
    """What every controller of a process shares."""

    client: ApiClient
    informers: InformerFactory
    recorder: EventRecorder
    clock: Clock = field(default_factory=RealClock)


class Controller:
    """Subclass, set `name`, wire informers in `__init__`, write `reconcile`."""

    name: ClassVar[str] = "controller"
    workers: ClassVar[int] = 2

    def __init__(self, context: Context) -> None:
        self.context = context
        self.client = context.client
        self.recorder = context.recorder
        self.clock = context.clock
        self.queue = WorkQueue(context.clock)
        self.log = structlog.get_logger(self.name)

    def enqueue(self, obj: Object) -> None:
        """Queue an object's key; fits as a handler of an informer."""
        self.queue.add(key_of(obj))

    async def reconcile(self, key: str) -> None:
        """Bring the world closer to what the object with this key asks for. Any exception means: try again later."""
        raise NotImplementedError

    async def run(self) -> None:
        """Work until cancelled."""
        await self.context.informers.wait_synced()
        try:
            async with asyncio.TaskGroup() as tasks:
                for number in range(self.workers):
                    tasks.create_task(self._work(), name=f"{self.name} {number}")
        finally:
            self.queue.shut_down()

    async def _work(self) -> None:
        while True:
            try:
                key = await self.queue.get()
            except ShutDown:
                return
            try:
                async with asyncio.timeout(_RECONCILE_SECONDS):
                    await self.reconcile(key)
                self.queue.forget(key)
            except Conflict:
                # Somebody else was faster; the watch brings the newer object in a moment.
                self.queue.add_rate_limited(key)
            except ApiError as error:
                self.log.warning("reconcile failed", key=key, error=error.message, reason=error.status_reason)
                self.queue.add_rate_limited(key)
            except Exception:
                self.log.exception("reconcile failed", key=key)
                self.queue.add_rate_limited(key)
            finally:
                self.queue.done(key)
