"""Clients that never stop while a test does something to a cluster, and remember everything that was not as always.

They follow the administrator's kubeconfig of a control plane, as a person would who fetches it anew when it changes.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from api import meta, resources
from api.errors import ApiError
from client.rest import ApiClient
from tests.lab.cluster import HOME
from tests.lab.machines import Machine

_NAME, _SPACE = "steady", "default"
_BEAT, _FETCH = 0.1, 3.0


class Steady:
    """Writes a ConfigMap, reads a pod's log through its kubelet, and holds one watch; `failures` are texts for people."""

    def __init__(self, control_plane: Machine, folder: Path, pod: str = "") -> None:
        self._control_plane, self._path, self._pod = control_plane, folder / "admin.kubeconfig", pod
        self.failures: list[str] = []
        self.done = {"writes": 0, "logs": 0, "events": 0}
        self._stop, self._written, self._seen = asyncio.Event(), 0, 0
        self._caught_up = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._fetch()
        self._client = ApiClient.from_kubeconfig(self._path, "steady")
        body = {"metadata": {"name": _NAME, "namespace": _SPACE}, "data": {"number": "0"}}
        made = await self._client.create(resources.CONFIGMAPS, body)
        self._watch = asyncio.create_task(self._events(meta.resource_version(made)))
        works: list[Callable[[], Awaitable[None]]] = [self._write, *((self._log,) if self._pod else ())]
        self._tasks = [asyncio.create_task(self._repeat(work, _BEAT)) for work in works]
        self._tasks.append(asyncio.create_task(self._repeat(self._fetch, _FETCH)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(10):
                while self._seen < self._written and not self._watch.done():
                    self._caught_up.clear()
                    await self._caught_up.wait()
        except TimeoutError:
            self.failures.append(f"the watch has seen {self._seen} of {self._written} writes")
        self._watch.cancel()
        await asyncio.gather(self._watch, return_exceptions=True)
        await self._client.delete(resources.CONFIGMAPS, _NAME, _SPACE)
        await self._client.close()

    async def _repeat(self, work: Callable[[], Awaitable[None]], pause: float) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                await work()
            except ApiError as error:
                self._complain(f"{getattr(work, '__name__', work)}: {error.message}", began)
            await asyncio.sleep(pause)

    async def _fetch(self) -> None:
        text = await self._control_plane.run("cat", f"{HOME}/admin.kubeconfig")
        if self._path.exists() and self._path.read_text() == text:
            return
        partial = self._path.with_suffix(".tmp")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        partial.replace(self._path)

    async def _write(self) -> None:
        number = self._written + 1
        await self._client.patch(resources.CONFIGMAPS, _NAME, {"data": {"number": str(number)}}, _SPACE)
        self._written = number
        self.done["writes"] += 1

    async def _log(self) -> None:
        await self._client.raw("GET", resources.PODS.path(_SPACE, self._pod, "log"), params={"tailLines": 1})
        self.done["logs"] += 1

    async def _events(self, version: str) -> None:
        """One watch from beginning to end; that it ends, or leaves a write out, is a failure."""
        began = time.monotonic()
        try:
            async for event in self._client.watch(
                resources.CONFIGMAPS, _SPACE, resource_version=version, field_selector=f"metadata.name={_NAME}",
                timeout_seconds=3600,
            ):  # fmt: skip
                if event["type"] == "BOOKMARK":
                    continue
                number = int(event["object"]["data"]["number"])
                if number > self._seen + 1:
                    self.failures.append(f"the watch saw {number} after {self._seen}")
                self._seen = number
                self.done["events"] += 1
                self._caught_up.set()
            self._complain("the server ended the watch", began)
        except ApiError as error:
            self._complain(f"watch: {error.message}", began)
        finally:
            self._caught_up.set()

    def _complain(self, text: str, began: float) -> None:
        self.failures.append(f"{time.strftime('%T')} after {time.monotonic() - began:.1f} s: {text}")
