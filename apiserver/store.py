"""Writes: guarded by the revision the writer saw, repeated on what is really there when the guard fails, never overwriting.

The current state is taken from the watch cache first. It may be old: then the guard fails (or the mutation refuses) and the
mutation runs again on what etcd has.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from api import errors, resources
from api.types import Object, Resource
from apiserver import codec, doubts
from apiserver.cache import Cache
from apiserver.convert import VIEWS
from apiserver.etcd import Doubt, Etcd
from apiserver.feed import Feed

ATTEMPTS = 16
"""Races one write may lose before the caller is told of a conflict."""
_LEASE_SPAN = 60


class Remove(Exception):
    """Raised by a mutation: take the object out of the store. `last` is its final state, for the reply."""

    def __init__(self, last: Object) -> None:
        super().__init__("remove")
        self.last = last


class Unchanged(Exception):
    """Raised by a mutation: leave the object as it is and answer with `obj` (a dry run, or nothing to do)."""

    def __init__(self, obj: Object) -> None:
        super().__init__("unchanged")
        self.obj = obj


@dataclass(frozen=True, slots=True)
class Result:
    """What a write left: the served bytes, their revision, and whether the object has been removed."""

    data: bytes
    revision: int
    removed: bool = False


Mutate = Callable[[Object], Awaitable[Object]]
"""Gets the current object (its own copy, with resourceVersion) and returns the one to store."""

Lost = Callable[[], Awaitable[None]]
"""Gives back what a mutation has taken elsewhere (quota, an address) when its result did not get into the store."""


async def _nothing_taken() -> None:
    return None


@dataclass(slots=True)
class _Queue:
    """The losers of races for one key. `users` counts who holds the lock or waits for it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


def _same(new: bytes, old: bytes) -> bool:
    """Whether two served objects are equal whatever the order of their keys."""
    return len(new) == len(old) and (new == old or codec.loads(new) == codec.loads(old))


class Store:
    """Objects in etcd, one resource's cache at a time."""

    def __init__(self, etcd: Etcd, feed: Feed, event_ttl: int = 3600) -> None:
        self.etcd = etcd
        self.feed = feed
        self.event_ttl = event_ttl
        self._lease = (0, 0.0)
        self._losers: dict[tuple[str, str], _Queue] = {}

    async def read(self, cache: Cache, key: str) -> tuple[bytes, int] | None:
        """One object straight from etcd: served bytes and mod revision, None when missing."""
        pair, _ = await self.etcd.get(self.feed.key(cache, key))
        return None if pair is None else self._served(cache, pair.value, int(pair.mod_revision))

    @staticmethod
    def _served(cache: Cache, value: bytes, revision: int) -> tuple[bytes, int]:
        if cache.convert:
            value = codec.stored(cache.convert(codec.loads(value)))
        return codec.versioned(value, revision), revision

    @staticmethod
    def _values(resource: Resource, obj: Object) -> tuple[bytes, bytes]:
        """(bytes in the resource's shape, bytes to store)."""
        data = codec.stored(obj)
        view = VIEWS.get(resource)
        return data, codec.stored(view.write(obj)) if view else data

    async def create(self, cache: Cache, key: str, obj: Object) -> Result:
        """Write a new object. Raises AlreadyExists."""
        data, value = self._values(cache.resource, obj)
        lease = await self._event_lease() if cache.resource.storage_prefix == resources.EVENTS.storage_prefix else 0
        written = await doubts.write(self.etcd, self.feed, cache, key, value, 0, lease)
        if not written.ok:
            raise errors.already_exists(cache.resource, obj["metadata"]["name"])
        return Result(codec.versioned(data, written.revision), written.revision)

    async def modify(self, cache: Cache, key: str, name: str, mutate: Mutate, lost: Lost = _nothing_taken) -> Result:
        """Read, mutate, write if nobody else has; again if somebody has. Raises NotFound, Conflict, what `mutate` raises.

        Who loses a race queues up with the other losers of this process, so that each wins in its turn. `lost` is awaited
        after every call of `mutate` whose result has not been stored, before the next one.
        """
        entry = cache.entries.get(key)
        current = (entry.data, entry.revision) if entry else None
        done = None
        if current is not None:
            done, current = await self._try_cached(cache, key, name, current, mutate, lost)
            if done is not None:
                return done
        where = (cache.resource.storage_prefix, key)
        queue = self._losers.setdefault(where, _Queue())
        queue.users += 1
        try:
            async with queue.lock:
                return await self._insist(cache, key, name, mutate, lost)
        finally:
            # Not `locked()`: a lock that has been let go and not been taken by the next in the queue yet is unlocked.
            queue.users -= 1
            if not queue.users:
                del self._losers[where]

    async def _try_cached(
        self, cache: Cache, key: str, name: str, current: tuple[bytes, int], mutate: Mutate, lost: Lost
    ) -> tuple[Result | None, tuple[bytes, int] | None]:
        """A first try on what the cache has; a refusal counts only if that is what etcd has, too."""
        try:
            return await self._attempt(cache, key, *current, mutate, lost, fresh=False)
        except Doubt:
            raise  # the mutation may be in the store already
        except errors.ApiError:
            now = await self.read(cache, key)
            if now is not None and now[1] == current[1]:
                raise
            if now is None:
                raise errors.not_found(cache.resource, name) from None
            return None, now

    async def _insist(self, cache: Cache, key: str, name: str, mutate: Mutate, lost: Lost) -> Result:
        current = await self.read(cache, key)
        for _ in range(ATTEMPTS):
            if current is None:
                raise errors.not_found(cache.resource, name)
            done, current = await self._attempt(cache, key, *current, mutate, lost, fresh=True)
            if done is not None:
                return done
        raise errors.conflict(cache.resource, name)

    async def _attempt(
        self, cache: Cache, key: str, data: bytes, revision: int, mutate: Mutate, lost: Lost, *, fresh: bool
    ) -> tuple[Result | None, tuple[bytes, int] | None]:
        """One try: (the result, None), or (None, what is there now). `lost` has been awaited unless there is a result."""
        try:
            done, now = await self._swap(cache, key, data, revision, mutate, fresh=fresh)
        except BaseException:
            await lost()
            raise
        if done is None:
            await lost()
        return done, now

    async def _swap(
        self, cache: Cache, key: str, data: bytes, revision: int, mutate: Mutate, *, fresh: bool
    ) -> tuple[Result | None, tuple[bytes, int] | None]:
        removed = False
        try:
            obj = await mutate(codec.loads(data))
            served, value = self._values(cache.resource, obj)
            if _same(codec.versioned(served, revision), data):
                if not fresh:
                    return None, await self.read(cache, key)
                return Result(data, revision), None
            lease = await self._event_lease() if cache.resource.storage_prefix == resources.EVENTS.storage_prefix else 0
            written = await doubts.write(self.etcd, self.feed, cache, key, value, revision, lease)
        except Unchanged as verdict:
            return Result(codec.versioned(codec.stored(verdict.obj), revision), revision), None
        except Remove as verdict:
            removed, served = True, codec.stored(verdict.last)
            written = await doubts.write(self.etcd, self.feed, cache, key, None, revision)
        if written.ok:
            return Result(codec.versioned(served, written.revision), written.revision, removed), None
        pair = written.current
        return None, None if pair is None else self._served(cache, pair.value, int(pair.mod_revision))

    async def _event_lease(self) -> int:
        """A lease that ends about `event_ttl` seconds from now; one is shared by the events of a minute."""
        lease, until = self._lease
        if time.monotonic() >= until:
            lease = await self.etcd.grant(self.event_ttl + _LEASE_SPAN)
            self._lease = (lease, time.monotonic() + _LEASE_SPAN)
        return lease
