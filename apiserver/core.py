"""The server's heart: options, storage, caches and plugins in one value that every handler gets.

Also what the server's own parts (admission, RBAC bootstrap, allocators) use to read and write objects without HTTP.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any
from uuid import uuid4

from cryptography import x509

from api import errors, resources, timestamp
from api.types import Object, Resource
from apiserver import codec
from apiserver.cache import Cache, Change
from apiserver.convert import VIEWS
from apiserver.etcd import Etcd
from apiserver.feed import Feed
from apiserver.options import Options
from apiserver.plugins import AdmissionRequest, Plugins
from apiserver.store import Remove, Store
from client.files import FileWatch, read_pair

log = logging.getLogger("apiserver.core")

_ETCD_SECONDS = 60.0
"""Seconds a starting server waits for etcd."""


def key_of(resource: Resource, namespace: str, name: str) -> str:
    """An object's key within its resource."""
    return f"{namespace}/{name}" if resource.namespaced else name


class CacheLookup:
    """Reads objects from the watch caches, decoded once per version. What it returns is read-only."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._decoded: dict[tuple[str, str, str], tuple[int, Object]] = {}

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """One object; namespace is "" for cluster-scoped kinds."""
        entry = self._core.cache(resource).entries.get(key_of(resource, namespace, name))
        if entry is None:
            return None
        where = (resource.group, resource.plural, entry.key)
        held = self._decoded.get(where)
        if held is None or held[0] != entry.revision:
            if len(self._decoded) > 2048:
                self._decoded.clear()
            held = self._decoded[where] = (entry.revision, codec.loads(entry.data))
        return held[1]

    def list(self, resource: Resource, namespace: str = "") -> Iterable[Object]:
        """All objects of a kind, of one namespace if given."""
        cache = self._core.cache(resource)
        return [codec.loads(cache.entries[key].data) for key in cache.keys(namespace)]


class Core:
    """One per process. Make it inside the event loop; `await start()` before serving, `await stop()` after."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.files = FileWatch()
        self.etcd = Etcd(options.etcd_servers)
        if options.etcd_cafile or options.etcd_certfile:
            self.files.add((options.etcd_cafile, options.etcd_certfile, options.etcd_keyfile), self._renew_etcd)
        self.feed = Feed(self.etcd, options.etcd_prefix)
        self.store = Store(self.etcd, self.feed, options.event_ttl)
        self.lookup = CacheLookup(self)
        self.plugins: Plugins
        self.stopping = asyncio.Event()
        """Set when the server has been told to stop."""
        self.ending = False
        """Whether watches end: the server has stopped to listen."""
        self.ready = False
        self._caches: dict[tuple[str, str, str], Cache] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        for resource in resources.ALL:
            if "get" in resource.verbs:
                self.serve(resource)

    def _renew_etcd(self) -> None:
        options = self.options
        ca = options.etcd_cafile.read_bytes() if options.etcd_cafile else None
        if ca:
            x509.load_pem_x509_certificates(ca)
        cert, key = None, None
        if options.etcd_certfile and options.etcd_keyfile:
            cert, key = read_pair(options.etcd_certfile, options.etcd_keyfile)
        self.etcd.renew(ca, cert, key)

    def serve(self, resource: Resource) -> Cache:
        """Keep a cache for a resource."""
        view = VIEWS.get(resource)
        cache = Cache(resource, view.read if view else None)
        self._caches[resource.group, resource.version, resource.plural] = cache
        self.feed.add(cache)
        return cache

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource a path names, or None."""
        return resources.find(group, version, plural)

    def cache(self, resource: Resource) -> Cache:
        """The watch cache of a stored resource."""
        return self._caches[resource.group, resource.version, resource.plural]

    def caches(self) -> Iterable[Cache]:
        """All watch caches."""
        return self._caches.values()

    async def start(self, plugins: Callable[[Core], Plugins]) -> None:
        """Build the chain's links, fill the caches, run the startup hooks."""
        self.plugins = plugins(self)
        if self.options.etcd_follow_members:
            self.spawn(self.etcd.members.follow())
        await self.feed.first(_ETCD_SECONDS)
        self.spawn(self.feed.run())
        for hook in self.plugins.startup:
            await hook(self)
        self.ready = True

    async def stop(self) -> None:
        """End what runs in the background and close etcd's connections."""
        self.stopping.set()
        self.files.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.etcd.close()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something in the background until the server stops; a failure is logged."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            log.error("background work failed", exc_info=task.exception())

    def on_change(self, resource: Resource, handler: Change) -> None:
        """Call `handler(type, object)` for every event of a resource and for every object already there."""
        self.cache(resource).subscribe(handler)

    async def admit(self, request: AdmissionRequest) -> None:
        """Ask all admission plugins: the mutating ones, then the validating ones."""
        for plugin in self.plugins.mutating:
            await plugin(request)
        for plugin in self.plugins.validating:
            await plugin(request)

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """One object, as fresh as etcd. Raises NotFound."""
        await self.feed.fresh()
        entry = self.cache(resource).entries.get(key_of(resource, namespace, name))
        if entry is None:
            raise errors.not_found(resource, name)
        return codec.loads(entry.data)

    async def create(self, resource: Resource, obj: Object) -> Object:
        """Store a new object as it is, without admission and validation. Raises AlreadyExists.

        apiVersion, kind, uid and creationTimestamp are filled in when missing.
        """
        meta = {"uid": str(uuid4()), "creationTimestamp": timestamp.now()} | obj["metadata"]
        full = {"kind": resource.kind, "apiVersion": resource.group_version} | obj | {"metadata": meta}
        key = key_of(resource, meta.get("namespace", ""), meta["name"])
        return codec.loads((await self.store.create(self.cache(resource), key, full)).data)

    async def update(self, resource: Resource, namespace: str, name: str, mutate: Callable[[Object], Object]) -> Object:
        """Change an object whatever its revision: `mutate` gets its own copy and may be called again after a lost race.

        No admission, no validation. Raises NotFound and what `mutate` raises.
        """

        async def apply(current: Object) -> Object:
            return mutate(current)

        key = key_of(resource, namespace, name)
        return codec.loads((await self.store.modify(self.cache(resource), key, name, apply)).data)

    async def remove(self, resource: Resource, namespace: str, name: str) -> None:
        """Take an object out of the store at once, without finalizers or grace. Raises NotFound."""

        async def gone(current: Object) -> Object:
            raise Remove(current)

        await self.store.modify(self.cache(resource), key_of(resource, namespace, name), name, gone)
