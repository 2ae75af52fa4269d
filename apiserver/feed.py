"""The one etcd watch that feeds every cache of the process, and reads that are as fresh as etcd itself.

A linearizable read is: learn etcd's revision (one tiny read, shared by all who ask while it is on its way), wait until the
caches have reached it, answer from memory.

A watch may fall silent without breaking: its member is stopped, or cut off from the others. So the store's revision is asked
for now and then; a watch that does not move towards it is cut and begun again, where it stopped, on the member that answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import logging
from collections.abc import Iterable

from api import errors
from apiserver.cache import Cache
from apiserver.etcd import Compacted, Etcd
from client.backoff import Backoff

log = logging.getLogger("apiserver.feed")

WAIT = 3.0
"""Seconds a request waits for the caches to reach a revision (kube-apiserver's figure)."""
PULSE = 0.25
"""Seconds between two questions for the store's revision, asked whether or not the one before has its answer."""
QUORUM = 1.5
"""Seconds without an answer after which etcd is taken to have lost its quorum.

Most elections are over by then, and the first question after one is answered at once. The clients of a server that is cut off
from the new leader must hear of it while there is time to go to another (client/endpoints.py).
"""
LAG = 1.0
"""Seconds that a watch may stand still while the store is ahead of it."""


class Feed:
    """Owns the caches. `await start()` fills them; `run()` keeps them current until cancelled."""

    def __init__(self, etcd: Etcd, prefix: str = "/registry") -> None:
        self.etcd = etcd
        self.prefix = prefix.rstrip("/") + "/"
        self.revision = 0
        """Every change up to this revision is in the caches."""
        self.connected = False
        """Whether the watch is there."""
        self.quorum = False
        """Whether etcd has lately answered a read that takes a majority of its members."""
        self._answered = -1  # the latest question that was
        self._known = 0  # the store's highest revision that an answer told
        self._cut: asyncio.Timeout | None = None
        self._routes: dict[str, list[Cache]] = {}
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._tickets = 0
        self._next: asyncio.Future[int] | None = None
        self._asker: asyncio.Task[None] | None = None

    def add(self, cache: Cache) -> None:
        """Feed a cache from its resource's storage prefix."""
        self._routes.setdefault(cache.resource.storage_prefix.split("/")[2], []).append(cache)

    def key(self, cache: Cache, key: str) -> bytes:
        """The etcd key of an object."""
        return f"{self.prefix}{cache.resource.storage_prefix.split('/')[2]}/{key}".encode()

    async def first(self, seconds: float) -> None:
        """`start`, again and again until etcd answers. Raises what etcd's client raises after `seconds`."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            try:
                await self.start()
                return
            except (errors.ServiceUnavailable, errors.Timeout) as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                log.warning("waiting for etcd: %s", error)
            await asyncio.sleep(0.5)

    async def start(self) -> None:
        """Read everything, once. Raises what etcd's client raises."""
        found: dict[str, list[tuple[str, bytes, int]]] = {name: [] for name in self._routes}
        revision = 0
        async for page, seen in self.etcd.pages(self.prefix.encode()):
            revision = seen
            for pair in page:
                place, key = self._place(pair.key)
                if place in found:
                    found[place].append((key, pair.value, int(pair.mod_revision)))
            await asyncio.sleep(0)  # let requests in between the pages of a large store
        for name, caches in self._routes.items():
            for cache in caches:
                cache.load(found[name], revision)
        self.quorum = True
        self._reached(revision)

    def _place(self, key: bytes) -> tuple[str, str]:
        place, _, rest = key.decode()[len(self.prefix) :].partition("/")
        return place, rest

    async def run(self) -> None:
        """Follow etcd for ever; reconnect with back-off, read everything again when history is gone."""
        self.etcd.members.on_leave = self.cut
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._pulse())
            group.create_task(self._keep_up())

    async def _follow(self) -> None:
        pauses = Backoff(0.05, 0.5)
        while True:
            try:
                async with (
                    asyncio.timeout(None) as self._cut,
                    contextlib.aclosing(self.etcd.watch(self.revision)) as batches,
                ):
                    async for batch in batches:
                        self.connected = True
                        pauses.reset()
                        self._apply(batch.events)
            except TimeoutError:
                log.warning("watch of etcd cut at revision %d: its member does not serve", self.revision)
            except Compacted:
                log.warning("etcd has compacted past revision %d: reading everything again", self.revision)
                try:
                    await self.start()
                except errors.ApiError as error:
                    log.warning("cannot read etcd: %s", error)
            except errors.ApiError as error:
                self.connected = False
                log.warning("watch of etcd broke at revision %d: %s", self.revision, error)
            finally:
                self._cut = None
            await asyncio.sleep(pauses.next())

    def cut(self) -> None:
        """End the watch that is open; it begins again where it stopped."""
        if self._cut is not None and not self._cut.expired():
            self._cut.reschedule(asyncio.get_running_loop().time())

    async def _pulse(self) -> None:
        """See that etcd has a quorum."""
        async with asyncio.TaskGroup() as group:
            for turn in itertools.count():
                await asyncio.sleep(PULSE)
                group.create_task(self._question(turn))

    async def _question(self, turn: int) -> None:
        try:
            self._known = max(self._known, await self.etcd.revision(QUORUM))
        except errors.ApiError as error:
            if self._answered < turn and self.quorum:
                log.warning("etcd has no quorum: %s", error)
                self.quorum = False
            return
        self._answered = max(self._answered, turn)
        if not self.quorum:
            log.warning("etcd has a quorum again")
        self.quorum = True

    async def _keep_up(self) -> None:
        """See that the watch follows the store."""
        while True:
            await asyncio.sleep(PULSE)
            before = self.revision
            try:
                await self.reach(self._known, LAG)
            except errors.Timeout:
                if self.revision == before:
                    self.cut()

    def _apply(self, events: Iterable[object]) -> None:
        revision = self.revision
        prefix = self.prefix.encode()
        for event in events:
            pair = event.kv  # type: ignore[attr-defined]
            revision = int(pair.mod_revision)
            if revision <= self.revision or not pair.key.startswith(prefix):
                continue
            place, key = self._place(pair.key)
            for cache in self._routes.get(place, ()):
                try:
                    if event.type:  # type: ignore[attr-defined]
                        cache.remove(key, revision)
                    else:
                        cache.put(key, pair.value, revision)
                except Exception:
                    # The outermost loop of the feed: one object that cannot be read must not stop all the others.
                    log.exception("cannot take in revision %d of %s/%s", revision, place, key)
        self._reached(revision)

    def _reached(self, revision: int) -> None:
        self.revision = max(self.revision, revision)
        while self._waiting and self._waiting[0][0] <= self.revision:
            future = heapq.heappop(self._waiting)[2]
            if not future.done():
                future.set_result(None)

    async def reach(self, revision: int, seconds: float = WAIT) -> None:
        """Wait until the caches have reached a revision. Raises Timeout ("Too large resource version") after `seconds`."""
        if self.revision >= revision:
            return
        self._tickets += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (revision, self._tickets, future))
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError as error:
            raise errors.Timeout(
                f"Too large resource version: {revision}, current: {self.revision}",
                {
                    "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                    "retryAfterSeconds": 1,
                },
            ) from error

    async def fresh(self) -> int:
        """Wait until the caches hold everything that was written before this call; return the revision learnt."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        if self._asker is None or self._asker.done():
            self._asker = asyncio.create_task(self._ask())
        revision = await asyncio.shield(self._next)
        await self.reach(revision)
        return revision

    async def _ask(self) -> None:
        """Answer everyone who came before a read was sent with that read; who comes later waits for the next one."""
        while self._next is not None:
            future, self._next = self._next, None
            try:
                future.set_result(await self.etcd.revision())
            except Exception as error:
                # The outermost loop of shared reads: whatever went wrong must reach those who wait for this one.
                _fail(future, error)
            finally:
                if not future.done():
                    _fail(future, errors.ServiceUnavailable("the read of etcd's revision was given up"))


def _fail(future: asyncio.Future[int], error: Exception) -> None:
    future.set_exception(error)
    future.exception()  # nobody may be left to hear it
