"""Stops one container gracefully: preStop hook, the stop signal, patience, SIGKILL. The deadline may move nearer meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from api.types import Object
from client.clock import Clock
from kubelet import handlers
from kubelet.handlers import Target
from kubelet.runtime import ContainerState, EngineDown, Runtime
from kubelet.store import ContainerStore

_MINIMUM_SECONDS = 2.0
_KILL_SECONDS = 30.0
Tell = Callable[[Object, str, str, str], None]


class Deadline:
    """A moment of the clock by which something has to be over; it only ever moves nearer."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._at = clock.now() + seconds
        self._moved = asyncio.Event()

    def shorten(self, seconds: float) -> None:
        """Be over within `seconds` from now, if that is sooner."""
        at = self._clock.now() + seconds
        if at < self._at:
            self._at = at
            self._moved.set()

    def extend_to(self, seconds: float) -> None:
        """Leave at least `seconds` from now (a hook has used up the time)."""
        self._at = max(self._at, self._clock.now() + seconds)

    @property
    def left(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._at - self._clock.now())

    async def passed(self) -> None:
        """Return when the deadline is over, wherever it has moved."""
        while self.left > 0:
            self._moved.clear()
            try:
                async with asyncio.timeout(self.left):
                    await self._moved.wait()
            except TimeoutError:
                return


async def _first(*awaitables: asyncio.Future[object]) -> None:
    """Until one is done; then the others are cancelled."""
    try:
        await asyncio.wait(awaitables, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for item in awaitables:
            item.cancel()


class Stopper:
    """Stops containers of this node."""

    def __init__(self, runtime: Runtime, store: ContainerStore) -> None:
        self._runtime, self._store = runtime, store

    async def stop(self, state: ContainerState, target: Target, deadline: Deadline, tell: Tell) -> None:
        """Returns when the container does not run any more. Raises EngineDown."""
        hook = (target.container.get("lifecycle") or {}).get("preStop")
        if hook and deadline.left > 0:
            await self._pre_stop(hook, target, deadline, tell)
            deadline.extend_to(_MINIMUM_SECONDS)
        if deadline.left > 0:
            await self._runtime.kill(state.id, state.stop_signal or "SIGTERM")
            await _first(
                asyncio.ensure_future(self._store.exited(state.id, None)), asyncio.ensure_future(deadline.passed())
            )
        current = self._store.get(state.id)
        if current is not None and current.phase == "running":
            await self._runtime.kill(state.id, "SIGKILL")
            if not await self._store.exited(state.id, _KILL_SECONDS):
                raise EngineDown(f"container {state.id[:12]} still runs {_KILL_SECONDS:g} s after SIGKILL")

    async def _pre_stop(self, hook: Object, target: Target, deadline: Deadline, tell: Tell) -> None:
        async def run() -> None:
            outcome = await handlers.run(self._runtime, hook, target, max(1.0, deadline.left))
            if not outcome.ok:
                tell(target.container, "Warning", "FailedPreStopHook", f"PreStopHook failed: {outcome.message}")

        await _first(
            asyncio.ensure_future(run()),
            asyncio.ensure_future(deadline.passed()),
            asyncio.ensure_future(self._store.exited(target.container_id, None)),
        )
