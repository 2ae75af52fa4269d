"""Keeps the container store equal to the engine: one list per connection, then the engine's events, one inspect each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import structlog

from client.backoff import Backoff
from client.clock import Clock
from kubelet.runtime import EngineDown, Event, NotThere, Runtime, RuntimeFault
from kubelet.store import ContainerStore


class EngineFeed:
    """Follows the engine until cancelled. `on_connect` runs after each list, `on_lost` when the engine goes away."""

    def __init__(
        self, runtime: Runtime, store: ContainerStore, clock: Clock, on_connect: Callable[[], Awaitable[None]],
        on_lost: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._runtime, self._store, self._clock = runtime, store, clock
        self._on_connect, self._on_lost = on_connect, on_lost
        self.synced = asyncio.Event()
        self._inspections: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger("engine")

    async def run(self) -> None:
        """Reconnects with back-off; each time it lists once, so that nothing that happened meanwhile is missed."""
        retry = Backoff(first=0.2, longest=5.0)
        while True:
            try:
                async with aclosing(self._runtime.events()) as events:
                    async for event in events:
                        await self._take(event)
                        retry.reset()
            except EngineDown as error:
                self._on_lost(str(error))
                self._log.warning("container engine lost", error=str(error))
            await self._clock.sleep(retry.next())

    async def _take(self, event: Event) -> None:
        if event.action == "connect":
            self._store.replace(await self._runtime.containers())
            self.synced.set()
            await self._on_connect()
        elif event.action == "destroy":
            self._store.forget(event.container_id)
        elif event.action in ("die", "oom"):
            self._inspect(event.container_id)
        elif event.action == "start":
            known = self._store.get(event.container_id)
            if known is None or known.phase == "created":
                self._inspect(event.container_id)

    def _inspect(self, container_id: str) -> None:
        task = asyncio.create_task(self._look(container_id), name=f"inspect {container_id[:12]}")
        self._inspections.add(task)
        task.add_done_callback(self._inspections.discard)

    async def _look(self, container_id: str) -> None:
        try:
            self._store.put(await self._runtime.inspect(container_id))
        except NotThere:
            self._store.forget(container_id)
        except RuntimeFault as error:
            self._log.warning("container not inspected", container=container_id[:12], error=str(error))
