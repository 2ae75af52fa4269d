"""Waiting for objects that a controller is about to make, such as the ServiceAccount of a new namespace."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from api.resources import SERVICEACCOUNTS
from api.types import Object, Resource

if TYPE_CHECKING:
    from apiserver.core import Core


class AccountWaiter:
    """Reads through the core's cache; `observe` wakes those who wait for a ServiceAccount."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._waiting: dict[tuple[str, str], set[asyncio.Future[None]]] = {}

    def observe(self, kind: str, account: Object) -> None:
        """Take note of an event of the cache."""
        meta = account["metadata"]
        for future in self._waiting.pop((meta["namespace"], meta["name"]), set()):
            if not future.done():
                future.set_result(None)

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """Return one object from the cache."""
        return self._core.lookup.get(resource, namespace, name)

    def list(self, resource: Resource, namespace: str = "") -> Iterable[Object]:
        """Return all objects of a kind from the cache."""
        return self._core.lookup.list(resource, namespace)

    async def wait_for(self, resource: Resource, namespace: str, name: str, seconds: float) -> Object | None:
        """Return a ServiceAccount as soon as the cache has it; None when it has not come within `seconds`."""
        await self._core.feed.fresh()
        found = self.get(resource, namespace, name)
        if found is not None or resource is not SERVICEACCOUNTS:
            return found
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault((namespace, name), set()).add(future)
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            return None
        finally:
            waiting = self._waiting.get((namespace, name))
            if waiting is not None:
                waiting.discard(future)
                if not waiting:
                    del self._waiting[namespace, name]
        return self.get(resource, namespace, name)
