"""Brings the node's pod network up once its range is known: one attempt at a time, again after growing pauses.

One at a time, because each attempt makes an address pool of its own: two pools would give one address twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

import structlog

from client.backoff import Backoff
from client.clock import Clock
from kubelet.network import NetworkFault


class Configurable(Protocol):
    """The network to set up: `BridgeNetwork`, or a fake."""

    @property
    def ready(self) -> bool: ...

    async def configure(self, cidr: str, in_use: Iterable[str]) -> None:
        """Make it. Raises NetworkFault."""
        ...


class NetworkSetup:
    """`in_use` tells which addresses sandboxes have; `done` runs once the network is there, `changed` when `problem` is new."""

    def __init__(
        self,
        network: Configurable,
        clock: Clock,
        in_use: Callable[[], Iterable[str]],
        done: Callable[[], Awaitable[None]],
        changed: Callable[[], None],
    ) -> None:
        self._network, self._clock, self._in_use = network, clock, in_use
        self._done, self._changed = done, changed
        self._task: asyncio.Task[None] | None = None
        self._log = structlog.get_logger("network")
        self.problem = ""
        """Why the latest attempt failed, empty when it did not or there was none."""

    def want(self, cidr: str) -> None:
        """See to it that the network is made for this range; does nothing while an attempt is pending."""
        if not self._network.ready and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._make(cidr), name="network")

    async def close(self) -> None:
        """Give up what is pending."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _make(self, cidr: str) -> None:
        backoff = Backoff(first=1.0)
        while not self._network.ready:
            try:
                await self._network.configure(cidr, self._in_use())
            except NetworkFault as error:
                self._log.error("pod network not made", error=str(error))
                if self.problem != str(error):
                    self.problem = str(error)
                    self._changed()
                await self._clock.sleep(backoff.next())
        self.problem = ""
        await self._done()
