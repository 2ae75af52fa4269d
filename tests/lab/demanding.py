"""Clients that take no failure: whatever a request of theirs says but "done" is written down with its time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from api import meta, resources
from api.errors import ApiError
from api.types import Object
from client.clock import Clock, RealClock
from client.kubeconfig import Kubeconfig
from client.rest import ApiClient

_WATCH_SECONDS = 60


@dataclass
class Demands:
    """What was asked, and what failed. Each client knows all API servers, as daemons and `cloudctl` do."""

    config: Kubeconfig
    namespace: str
    rate: float = 20.0
    """Writes, reads and lists a second, each."""
    clock: Clock = field(default_factory=RealClock)
    done: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("write", "read", "list", "event"), 0))
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0
    """Seconds that the longest request took."""

    @asynccontextmanager
    async def made(self) -> AsyncIterator[None]:
        """Make them, all the time; at the end, look whether everything that was acknowledged is there."""
        async with ApiClient(self.config, "lab-demanding") as client:
            counter = await client.create(resources.CONFIGMAPS, _counter(0), self.namespace)
            works = (self._write(counter), self._repeat("read", self._read), self._repeat("list", self._list))
            tasks = [asyncio.create_task(work) for work in (*works, self._watch(meta.resource_version(counter)))]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
            self.failures += [repr(e) for e in ended if isinstance(e, Exception)]
            found = await client.get(resources.CONFIGMAPS, "counter", self.namespace)
            if int(found["data"]["value"]) not in (self.done["write"], self.done["write"] + 1):
                self.failures.append(f"{self.done['write']} writes were acknowledged, the counter says {found['data']}")

    async def _ask(self, what: str, request: Callable[[], Awaitable[Any]]) -> Any:
        began = self.clock.now()
        try:
            answer = await request()
        except ApiError as error:
            self.failures.append(f"{what} after {self.clock.now() - began:.3f} s: {error.code} {error.message}")
            return None
        self.done[what] += 1
        self.slowest = max(self.slowest, self.clock.now() - began)
        return answer

    async def _write(self, counter: Object) -> None:
        """Count, by updates that name the version they replace: one that is lost or done twice would show."""
        async with ApiClient(self.config, "lab-demanding") as client:
            while True:
                value = int(counter["data"]["value"]) + 1
                wanted = {**counter, "data": {"value": str(value)}}
                answer = await self._ask("write", lambda w=wanted: client.update(resources.CONFIGMAPS, w))  # type: ignore[misc]
                counter = answer or await client.get(resources.CONFIGMAPS, "counter", self.namespace)
                await self.clock.sleep(1 / self.rate)

    async def _repeat(self, what: str, request: Callable[[ApiClient], Awaitable[Any]]) -> None:
        async with ApiClient(self.config, "lab-demanding") as client:
            while True:
                await self._ask(what, lambda: request(client))
                await self.clock.sleep(1 / self.rate)

    async def _read(self, client: ApiClient) -> Object:
        return await client.get(resources.CONFIGMAPS, "counter", self.namespace)

    async def _list(self, client: ApiClient) -> Object:
        return await client.list(resources.PODS, self.namespace)

    async def _watch(self, version: str) -> None:
        """Follow the counter; a server that stops may end a watch, which then goes on elsewhere where it was."""
        seen = 0
        async with ApiClient(self.config, "lab-demanding") as client:
            while True:
                try:
                    async for event in client.watch(
                        resources.CONFIGMAPS, self.namespace, resource_version=version, timeout_seconds=_WATCH_SECONDS,
                        field_selector="metadata.name=counter",
                    ):  # fmt: skip
                        version = meta.resource_version(event["object"])
                        if event["type"] != "MODIFIED":
                            continue
                        seen += 1
                        self.done["event"] += 1
                        if int(event["object"]["data"]["value"]) != seen:
                            self.failures.append(f"watch: {event['object']['data']} came after {seen - 1}")
                            seen = int(event["object"]["data"]["value"])
                except ApiError as error:
                    self.failures.append(f"watch: {error.code} {error.message}")


def _counter(value: int) -> Object:
    return {"metadata": {"name": "counter"}, "data": {"value": str(value)}}
