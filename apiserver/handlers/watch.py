"""watch: the cache's events as a stream of JSON lines.

Source of the rules: the API reference, "Efficient detection of changes", and KEP-3157 (watch-list) for sendInitialEvents.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable

import orjson

from api import errors
from api.types import Object, Resource
from apiserver import metrics, params
from apiserver.cache import Cache, Entry, Event, Selection
from apiserver.core import Core
from apiserver.params import ListOptions
from apiserver.present import Frames
from apiserver.request import TRANSPORT, Reply, Request

QUEUE = 16384
"""Events a watcher may lag behind; past it the watch ends and its client lists again."""
BOOKMARK_SECONDS = 60.0
_CHUNK = 256
"""Events in one write to the client."""
INITIAL_EVENTS_END = "k8s.io/initial-events-end"

Item = tuple[str, Entry]


class Watcher:
    """One watch's queue between the cache and the connection."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self.limit = QUEUE
        self.after = 0
        """Revision the watch begins after: the cache may not have reached it yet, and what is older is not told."""
        self.queue: deque[Item] = deque()
        self.ended = False
        self.expired = False
        self.overrun = False
        self.cut: Callable[[], None] | None = None
        """Closes the connection at once, whatever its send buffer holds."""
        self._waiter: asyncio.Future[None] | None = None

    def offer(self, event: Event) -> None:
        """Queue what the event means to this watcher's selection."""
        if event.revision <= self.after or self.ended:
            return
        item = self.translate(event)
        if item is None:
            return
        if len(self.queue) >= self.limit:
            self.overrun = True
            self.queue.clear()
            self.end()
            if self.cut is not None:
                self.cut()
            return
        self.queue.append(item)
        self._wake()

    def translate(self, event: Event) -> Item | None:
        """The event as seen through the selection: entering it is ADDED, leaving it is DELETED, outside it nothing."""
        selection, previous = self.selection, event.previous
        before = previous is not None and selection.matches(previous)
        if event.type == "DELETED":
            return ("DELETED", event.entry) if before else None
        if selection.matches(event.entry):
            return ("MODIFIED" if before else "ADDED", event.entry)
        return ("DELETED", event.departed()) if before else None

    def expire(self) -> None:
        """The cache has been read anew: what lies between is unknown."""
        self.expired = True
        self.end()

    def end(self) -> None:
        """Close the stream after what is queued."""
        self.ended = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self, seconds: float) -> None:
        """Wait until there is something to send or the stream ends, at most `seconds`."""
        if self.queue or self.ended:
            return
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(max(0.0, seconds), self._wake)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None


async def watch(core: Core, request: Request, resource: Resource) -> Reply | None:
    """Serve one watch until its time is up, its client leaves, or it cannot follow."""
    options = params.list_options(request, resource)
    frames = Frames(request, resource)
    seconds = params.number(request, "timeoutSeconds")
    if seconds <= 0:
        least = core.options.min_request_timeout
        seconds = int(least * (1 + random.random()))  # noqa: S311 - spreads reconnections
    cache = core.cache(resource)
    initial = request.flag("sendInitialEvents") if "sendInitialEvents" in request.query else None
    if options.version is None or (initial and options.version):
        if options.version:
            await core.feed.reach(options.version)
        else:
            await core.feed.fresh()
    watcher = Watcher(options.selection)
    problem = await _from_another_store(core, options, initial) or _begin(cache, watcher, options, initial)
    stream = Stream(core, request, cache, watcher, frames, seconds)
    await stream.run(problem, mark_initial=bool(initial))
    return None


async def _from_another_store(core: Core, options: ListOptions, initial: bool | None) -> errors.ApiError | None:
    """Expired for a version that etcd has not reached, by a read that is newer than the request.

    Who asks has seen that version, so it is of another store than this one: of the one before etcd was restored. To wait for
    it would be to say nothing of all changes up to there.
    """
    if initial or not options.version or options.version <= core.feed.revision:
        return None
    reached = await core.feed.fresh()
    if options.version <= reached:
        return None
    return errors.Expired(
        f"resource version {options.version} is ahead of the store, which is at {reached}: list again"
    )


def _begin(cache: Cache, watcher: Watcher, options: ListOptions, initial: bool | None) -> errors.ApiError | None:
    """Fill the queue with what the watch begins with and join the cache's listeners, without a gap between the two."""
    if not options.version or initial is True:
        if initial is not False:
            watcher.queue.extend(("ADDED", entry) for entry in cache.select(options.selection))
            watcher.limit += len(watcher.queue)
    else:
        events = cache.since(options.version)
        if events is None:
            return errors.Expired(f"too old resource version: {options.version} ({cache.base})")
        watcher.after = options.version
        watcher.queue.extend(item for item in map(watcher.translate, events) if item)
    cache.listeners.add(watcher)
    return None


class Stream:
    """The connection's side of a watch."""

    def __init__(
        self, core: Core, request: Request, cache: Cache, watcher: Watcher, frames: Frames, seconds: float
    ) -> None:
        self.core = core
        self.request = request
        self.cache = cache
        self.watcher = watcher
        self.frames = frames
        self.bookmarks = request.flag("allowWatchBookmarks")
        self.deadline = asyncio.get_running_loop().time() + seconds

    async def run(self, problem: errors.ApiError | None, *, mark_initial: bool) -> None:
        """Send the headers, what is queued, the closing bookmark of the initial events, then events as they come."""
        request = self.request
        request.status = 200
        headers = request.response_headers(self.frames.view.media_type)
        transport = request.scope.get("state", {}).get(TRANSPORT)
        self.watcher.cut = transport.abort if transport is not None else None
        gone = asyncio.create_task(self._hear_the_client())
        if self.core.ending:
            self.watcher.end()
        metrics.WATCHERS.labels(self.cache.resource.plural).inc()
        try:
            await request.send({"type": "http.response.start", "status": 200, "headers": headers})
            if problem is not None:
                await self._send(self.frames.frame("ERROR", orjson.dumps(problem.status())))
            else:
                revision = self.core.feed.revision
                await self._drain(len(self.watcher.queue))
                if mark_initial and self.bookmarks:
                    await self._send(self._bookmark(revision, initial_end=True))
                elif not self.watcher.queue:
                    await self._send(b"")  # the headers on their way at once
                await self._follow()
        finally:
            self.cache.listeners.discard(self.watcher)
            metrics.WATCHERS.labels(self.cache.resource.plural).dec()
            gone.cancel()
        await request.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _follow(self) -> None:
        watcher, loop = self.watcher, asyncio.get_running_loop()
        mark = loop.time() + BOOKMARK_SECONDS
        while not watcher.ended or (watcher.queue and not watcher.overrun):
            await self._drain(len(watcher.queue))
            now = loop.time()
            if now >= self.deadline:
                break
            if self.bookmarks and now >= mark and not watcher.queue:
                await self._send(self._bookmark(self.core.feed.revision))
                mark = now + BOOKMARK_SECONDS
            until = min(self.deadline, mark) if self.bookmarks else self.deadline
            await watcher.wait(until - now)
        if watcher.expired:
            gone = errors.Expired("the watch cache has been read anew; list again")
            await self._send(self.frames.frame("ERROR", orjson.dumps(gone.status())))
        elif watcher.overrun:
            metrics.CUT_OFF.labels(self.cache.resource.plural).inc()
        elif self.bookmarks and not watcher.queue and not self.core.stopping.is_set():
            await self._send(self._bookmark(self.core.feed.revision))

    async def _drain(self, count: int) -> None:
        queue, frame = self.watcher.queue, self.frames.frame
        while count > 0:
            size = min(count, _CHUNK)
            lines = []
            for _ in range(min(size, len(queue))):
                kind, entry = queue.popleft()
                lines.append(frame(kind, entry.data))
            await self._send(b"".join(lines))
            count -= size
            if count > 0:
                await asyncio.sleep(0)  # a long list of initial events lets other requests in between

    async def _send(self, data: bytes) -> None:
        await self.request.send({"type": "http.response.body", "body": data, "more_body": True})

    def _bookmark(self, revision: int, *, initial_end: bool = False) -> bytes:
        meta: Object = {"resourceVersion": str(revision), "creationTimestamp": None}
        if initial_end:
            meta["annotations"] = {INITIAL_EVENTS_END: "true"}
        resource = self.cache.resource
        shown = {"kind": resource.kind, "apiVersion": resource.group_version, "metadata": meta}
        return self.frames.frame("BOOKMARK", orjson.dumps(shown))

    async def _hear_the_client(self) -> None:
        while (await self.request.receive())["type"] != "http.disconnect":
            pass
        self.watcher.end()


def end_all(core: Core) -> None:
    """End every watch of the process (at shutdown, before requests are drained)."""
    for cache in core.caches():
        for listener in tuple(cache.listeners):
            if isinstance(listener, Watcher):
                listener.end()
