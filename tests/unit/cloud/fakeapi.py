"""An API server in memory, as far as volume and cloud controllers need one: versions, conflicts, finalizers, watches."""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from api import meta
from api.errors import AlreadyExists, Conflict, NotFound
from api.types import Object, Resource
from client.clock import FakeClock, settle
from client.controller import Context, Controller
from client.events import EventRecorder
from client.informer import InformerFactory
from client.rest import ApiClient


class FakeApi:
    def __init__(self) -> None:
        self._versions = itertools.count(1)
        self._objects: dict[tuple[str, str], Object] = {}
        self._watchers: dict[str, list[asyncio.Queue[Object]]] = {}
        self.writes = 0

    def all(self, resource: Resource) -> list[Object]:
        return [o for (plural, _), o in self._objects.items() if plural == resource.plural]

    def find(self, resource: Resource, key: str) -> Object | None:
        return self._objects.get((resource.plural, key))

    def put(self, resource: Resource, obj: Object) -> Object:
        """Set an object from outside, status included."""
        obj = copy.deepcopy(obj)
        obj.setdefault("apiVersion", resource.group_version)
        obj.setdefault("kind", resource.kind)
        old = self.find(resource, meta.key(obj))
        obj["metadata"].setdefault("uid", old["metadata"]["uid"] if old else f"uid-{next(self._versions)}")
        return self._store(resource, obj, "MODIFIED" if old else "ADDED")

    def _store(self, resource: Resource, obj: Object, kind: str) -> Object:
        self.writes += 1
        obj["metadata"]["resourceVersion"] = str(next(self._versions))
        place = (resource.plural, meta.key(obj))
        if meta.is_deleting(obj) and not obj["metadata"].get("finalizers"):
            self._objects.pop(place, None)
            kind = "DELETED"
        else:
            self._objects[place] = obj
        for queue in self._watchers.get(resource.plural, ()):
            queue.put_nowait({"type": kind, "object": copy.deepcopy(obj)})
        return copy.deepcopy(obj)

    def _live(self, resource: Resource, name: str, namespace: str | None) -> Object:
        found = self.find(resource, f"{namespace}/{name}" if namespace else name)
        if found is None:
            raise NotFound(f"{resource.plural} {name} not found")
        return copy.deepcopy(found)

    async def get(self, resource: Resource, name: str, namespace: str | None = None, **_: Any) -> Object:
        return self._live(resource, name, namespace)

    async def list(self, resource: Resource, namespace: str | None = None, **_: Any) -> Object:
        items = [copy.deepcopy(o) for o in self.all(resource) if namespace in (None, o["metadata"].get("namespace"))]
        return {"items": items, "metadata": {"resourceVersion": str(next(self._versions))}}

    async def create(self, resource: Resource, obj: Object, namespace: str | None = None, **_: Any) -> Object:
        if self.find(resource, meta.key(obj)):
            raise AlreadyExists(f"{meta.key(obj)} already exists")
        obj = copy.deepcopy(obj)
        obj.pop("status", None)
        return self.put(resource, obj)

    async def update(self, resource: Resource, obj: Object, *, subresource: str | None = None) -> Object:
        old = self._live(resource, meta.name(obj), meta.namespace(obj) or None)
        if obj["metadata"].get("resourceVersion") not in (None, old["metadata"]["resourceVersion"]):
            raise Conflict(f"{meta.key(obj)} has been modified")
        if subresource == "status":
            new = {**old, "status": copy.deepcopy(obj.get("status"))}
        else:
            new = copy.deepcopy(obj)
            new.pop("status", None)
            if "status" in old:
                new["status"] = old["status"]
        return self._store(resource, new, "MODIFIED")

    async def patch(
        self, resource: Resource, name: str, patch: Object, namespace: str | None = None, **_: Any
    ) -> Object:
        return self._store(resource, _merged(self._live(resource, name, namespace), patch), "MODIFIED")

    async def delete(self, resource: Resource, name: str, namespace: str | None = None, **_: Any) -> Object:
        obj = self._live(resource, name, namespace)
        if not meta.is_deleting(obj):
            obj["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            self._store(resource, obj, "MODIFIED")
        return obj

    async def watch(self, resource: Resource, namespace: str | None = None, **_: Any) -> AsyncIterator[Object]:
        queue: asyncio.Queue[Object] = asyncio.Queue()
        self._watchers.setdefault(resource.plural, []).append(queue)
        while True:
            yield await queue.get()


def _merged(old: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    both = {**(old if isinstance(old, dict) else {}), **patch}
    return {k: _merged((old or {}).get(k), patch[k]) if k in patch else v for k, v in both.items() if v is not None}


class Events:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []

    def event(self, obj: Object, kind: str, reason: str, message: str, **_: Any) -> None:
        self.seen.append((kind, reason, message))

    @property
    def reasons(self) -> list[str]:
        return [reason for _, reason, _ in self.seen]


class Rig:
    """Controllers at work on a fake API. `settle` lets them finish what they can do now."""

    def __init__(self) -> None:
        self.api, self.events, self.clock = FakeApi(), Events(), FakeClock()
        client = cast(ApiClient, self.api)
        recorder = cast(EventRecorder, self.events)
        self.context = Context(client, InformerFactory(client, self.clock), recorder, self.clock)

    async def settle(self) -> None:
        await settle(400)

    @asynccontextmanager
    async def running(self, *makers: Callable[[Context], Controller]) -> AsyncIterator[list[Controller]]:
        controllers = [make(self.context) for make in makers]
        tasks = [asyncio.ensure_future(self.context.informers.run())]
        tasks += [asyncio.ensure_future(c.run()) for c in controllers]
        await self.settle()
        try:
            yield controllers
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
