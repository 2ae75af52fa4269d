"""Shared informers: one watch and one cache per resource and process, handlers that enqueue keys.

Handlers are plain callables that return at once. A handler added to a running informer first gets the objects that are
there. After a re-list a handler sees the difference: what is new, what changed (by resourceVersion), what has gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from api.meta import key as key_of
from api.types import Object, Resource
from client.clock import Clock
from client.lister import IndexFunction, Lister
from client.reflector import Reflector
from client.rest import ApiClient

OnObject = Callable[[Object], None]
OnUpdate = Callable[[Object, Object], None]


@dataclass(frozen=True, slots=True)
class Handler:
    """What to call; None is skipped. `on_update` gets the old and the new object."""

    on_add: OnObject | None = None
    on_update: OnUpdate | None = None
    on_delete: OnObject | None = None


class Informer:
    """A cache (`lister`) that follows the server, and those who want to hear of changes."""

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.lister = Lister()
        self.synced = asyncio.Event()
        self._handlers: list[Handler] = []

    def add_handler(
        self, on_add: OnObject | None = None, on_update: OnUpdate | None = None, on_delete: OnObject | None = None
    ) -> Callable[[], None]:
        """Hear of changes from now on, and of present objects at once. Returns a function that ends it."""
        handler = Handler(on_add, on_update, on_delete)
        self._handlers.append(handler)
        if on_add:
            for obj in self.lister.list():
                on_add(obj)
        return lambda: self._handlers.remove(handler)

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Keep an index for `lister.by_index`; adding the same name again changes nothing."""
        self.lister.add_index(name, function)

    def replace(self, objects: list[Object]) -> None:
        """Take a complete list for the truth (called by the reflector)."""
        gone = set(self.lister.keys())
        for obj in objects:
            gone.discard(key_of(obj))
            self.apply("MODIFIED", obj)
        for key in gone:
            old = self.lister.get(key)
            if old is not None:
                self.apply("DELETED", old)
        self.synced.set()

    def apply(self, kind: str, obj: Object) -> None:
        """Take one event (called by the reflector)."""
        if kind == "DELETED":
            self.lister.remove(key_of(obj))
            self._tell_deleted(obj)
            return
        old = self.lister.put(obj)
        if old is not None and old["metadata"].get("uid") != obj["metadata"].get("uid"):
            # The deletion fell between two lists; one name, two objects.
            self._tell_deleted(old)
            old = None
        if old is None:
            self._tell_added(obj)
        elif old["metadata"].get("resourceVersion") != obj["metadata"].get("resourceVersion"):
            for handler in list(self._handlers):
                if handler.on_update:
                    handler.on_update(old, obj)

    def _tell_added(self, obj: Object) -> None:
        for handler in list(self._handlers):
            if handler.on_add:
                handler.on_add(obj)

    def _tell_deleted(self, obj: Object) -> None:
        for handler in list(self._handlers):
            if handler.on_delete:
                handler.on_delete(obj)


class InformerFactory:
    """Hands out informers, one per set of arguments, and runs their reflectors."""

    def __init__(self, client: ApiClient, clock: Clock | None = None) -> None:
        self._client, self._clock = client, clock
        self._informers: dict[tuple[Resource, str | None, str, str, bool], tuple[Informer, Reflector]] = {}
        self._tasks: asyncio.TaskGroup | None = None

    def informer(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
    ) -> Informer:
        """The shared informer for these arguments; started at once if the factory is running."""
        key = (resource, namespace, label_selector, field_selector, metadata_only)
        if key not in self._informers:
            informer = Informer(resource)
            reflector = Reflector(
                self._client,
                resource,
                informer,
                namespace=namespace,
                label_selector=label_selector,
                field_selector=field_selector,
                metadata_only=metadata_only,
                clock=self._clock,
            )
            self._informers[key] = (informer, reflector)
            if self._tasks:
                self._tasks.create_task(reflector.run(), name=f"reflector {resource.qualified}")
        return self._informers[key][0]

    def existing(self, resource: Resource) -> Informer | None:
        """The informer of all whole objects of a resource, if somebody has asked for it already."""
        known = self._informers.get((resource, None, "", "", False))
        return known[0] if known else None

    async def run(self) -> None:
        """Run all reflectors until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for informer, reflector in self._informers.values():
                tasks.create_task(reflector.run(), name=f"reflector {informer.resource.qualified}")
            # A group without members would end at once.
            tasks.create_task(asyncio.Event().wait(), name="informers")

    async def wait_synced(self, timeout: float = 60.0) -> None:
        """Return when every informer has its first list. Raises TimeoutError that names those without."""
        try:
            async with asyncio.timeout(timeout):
                for informer, _ in list(self._informers.values()):
                    await informer.synced.wait()
        except TimeoutError:
            late = [i.resource.qualified for i, _ in self._informers.values() if not i.synced.is_set()]
            raise TimeoutError(f"no list within {timeout:g} s of: {', '.join(late)}") from None
