"""Clients that work during a fault and write down what they did and saw: writers, readers and watchers of ConfigMaps.

Promises: every write that was sent is recorded, with `unknown` for each answer that did not come; rate and time are bounded;
a write names the revision it replaces, and keys are shared by the writers in part, so that lost updates show; there is a reader
and a watcher for each API server alone, one of each that changes between all of them, and every writer does that.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

from api import meta, resources
from api.errors import (
    AlreadyExists,
    ApiError,
    BadRequest,
    Conflict,
    Expired,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    TooManyRequests,
    Unauthorized,
)
from api.types import Object
from client.backoff import Backoff
from client.clock import Clock, RealClock
from client.kubeconfig import Kubeconfig
from client.rest import ApiClient
from tests.lab.operations import Event, History, Outcome, Read, Session, Version, Write

_LABEL = "cloudlet.dev/lab"
_OPERATION_SECONDS = 15.0
"""Longer than any operation may take, so that an outage is measured and not cut short."""
_WATCH_SECONDS = 10
_GRACE_SECONDS = 2.0
_SETTLE_SECONDS = 40.0
_REFUSED = (
    AlreadyExists, BadRequest, Conflict, Forbidden, Invalid, NotFound, TooManyRequests, Unauthorized,
)  # fmt: skip
"""Answers that say that nothing was done. Any other error leaves it open."""


def _version(obj: Object) -> Version:
    return Version(int(meta.resource_version(obj)), str((obj.get("data") or {}).get("value", "")))


class Collection:
    """The ConfigMaps of one namespace that the clients work on, as timed operations of one client."""

    def __init__(
        self, client: ApiClient, name: str, namespace: str, history: History, clock: Clock, progress: asyncio.Event
    ) -> None:
        self.name, self.clock, self.history, self._progress = name, clock, history, progress
        self._client, self._namespace = client, namespace

    async def write(self, key: str, value: str, guard: int) -> int:
        """Create (`guard` 0) or update a key; the revision it has now, 0 when that is not known. Recorded, raises nothing."""
        labels = {_LABEL: "history"}
        body: Object = {
            "metadata": {"name": key, "namespace": self._namespace, "labels": labels},
            "data": {"value": value},
        }
        begin, outcome, revision, said = self.clock.now(), _unknown(), 0, ""
        try:
            async with asyncio.timeout(_OPERATION_SECONDS):
                if guard:
                    body["metadata"]["resourceVersion"] = str(guard)
                    answer = await self._client.update(resources.CONFIGMAPS, body)
                else:
                    answer = await self._client.create(resources.CONFIGMAPS, body, self._namespace)
            outcome, revision = "ok", int(meta.resource_version(answer))
            self._progress.set()
        except ApiError as error:
            outcome, said = "failed" if isinstance(error, _REFUSED) else "unknown", str(error)
        except TimeoutError:
            said = f"no answer within {_OPERATION_SECONDS:g} s"
        finally:  # also when we are cancelled: the write may be under way
            end = self.clock.now()
            self.history.writes.append(Write(self.name, key, value, guard, begin, end, outcome, revision, said))
        return revision

    async def get(self, key: str) -> Version | None:
        """A key's version, None if there is none. Recorded. Raises ApiError, TimeoutError."""
        begin = self.clock.now()
        found: Version | None = None
        async with asyncio.timeout(_OPERATION_SECONDS):
            with contextlib.suppress(NotFound):
                found = _version(await self._client.get(resources.CONFIGMAPS, key, self._namespace))
        self.history.reads.append(Read(self.name, begin, self.clock.now(), {key: found}))
        return found

    async def list(self, keys: Sequence[str]) -> tuple[Read, int]:
        """All keys, None for those of `keys` that are not there, and the list's revision. Raises ApiError, TimeoutError."""
        begin = self.clock.now()
        async with asyncio.timeout(_OPERATION_SECONDS):
            answer = await self._client.list(resources.CONFIGMAPS, self._namespace, label_selector=_LABEL)
        found: dict[str, Version | None] = dict.fromkeys(keys)
        found |= {meta.name(item): _version(item) for item in answer["items"]}
        return Read(self.name, begin, self.clock.now(), found), int(meta.resource_version(answer))

    def watch(self, revision: int) -> AsyncIterator[Object]:
        """The watch events after a revision, for a few seconds."""
        return self._client.watch(
            resources.CONFIGMAPS,
            self._namespace,
            resource_version=str(revision),
            label_selector=_LABEL,
            timeout_seconds=_WATCH_SECONDS,
        )


def _unknown() -> Outcome:
    return "unknown"


class Writer:
    """Writes its keys in turn, each time replacing the version it knows."""

    def __init__(self, collection: Collection, keys: Sequence[str], interval: float) -> None:
        self._collection, self._keys, self._interval = collection, keys, interval
        self._known: dict[str, int] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; a write that has begun is awaited."""
        number = 0
        async for _ in _beats(self._collection.clock, self._interval, stop):
            key = self._keys[number % len(self._keys)]
            if key not in self._known:
                try:
                    version = await self._collection.get(key)
                except (ApiError, TimeoutError):
                    continue
                self._known[key] = version.revision if version else 0
            number += 1
            value = f"{self._collection.name}-{number}"
            revision = await self._collection.write(key, value, self._known.pop(key))
            if revision:
                self._known[key] = revision


class Reader:
    """Reads keys at random, and every tenth time all of them."""

    def __init__(self, collection: Collection, keys: Sequence[str], interval: float, seed: int) -> None:
        self._collection, self._keys, self._interval = collection, keys, interval
        self._random = random.Random(seed)  # noqa: S311 - which key is read is no secret

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. What cannot be read is not recorded: it says nothing."""
        async for _ in _beats(self._collection.clock, self._interval, stop):
            with contextlib.suppress(ApiError, TimeoutError):
                if self._random.random() < 0.1:
                    read, _ = await self._collection.list(self._keys)
                    self._collection.history.reads.append(read)
                else:
                    await self._collection.get(self._random.choice(self._keys))


class Watcher:
    """Lists, then follows; resumes where a connection ended, and lists again only when the server says that it must."""

    def __init__(self, collection: Collection, keys: Sequence[str]) -> None:
        self._collection, self._keys = collection, keys
        self._session: Session | None = None
        self._moved = asyncio.Event()
        self._backoff = Backoff(0.1, 1.0)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                session = self._session or await self._begin()
                await self._follow(session)
            except (Expired, Gone):
                self._session = None
            except (ApiError, TimeoutError):
                pass
            await self._collection.clock.sleep(self._backoff.next())

    async def reached(self, revision: int) -> None:
        """Return when it has been told of everything up to this revision."""
        while self._session is None or max(self._session.start, self._session.through) < revision:
            self._moved.clear()
            await self._moved.wait()

    async def _begin(self) -> Session:
        read, revision = await self._collection.list(self._keys)
        self._session = Session(self._collection.name, read, revision, through=revision)
        self._collection.history.sessions.append(self._session)
        self._moved.set()
        return self._session

    async def _follow(self, session: Session) -> None:
        # A machine that lost its power says nothing: a watch that the server does not end in time is given up.
        async with asyncio.timeout(_WATCH_SECONDS + _GRACE_SECONDS):
            async for event in self._collection.watch(session.through):
                version = int(meta.resource_version(event["object"]))
                if event["type"] != "BOOKMARK":
                    seen = self._collection.clock.now()
                    name = meta.name(event["object"])
                    session.events.append(Event(event["type"], name, _version(event["object"]), seen))
                session.through = max(session.through, version)
                self._backoff.reset()
                self._moved.set()


async def _beats(clock: Clock, interval: float, stop: asyncio.Event) -> AsyncIterator[None]:
    """One turn per interval at most, until `stop`; turns that were missed are not made up for."""
    due = clock.now()
    while not stop.is_set():
        yield
        due = max(due + interval, clock.now())
        await clock.sleep(due - clock.now())


class Recorder:
    """All the clients of one recording, over the servers of a kubeconfig. Use as an async context manager."""

    def __init__(
        self,
        config: Kubeconfig,
        namespace: str,
        *,
        rate: float = 50.0,
        keys: int = 4,
        clock: Clock | None = None,
    ) -> None:
        """`rate` is that of all writes together, per second, and of all reads; `keys` is the number of each writer's own.

        A writer begins at each server, so that whichever fails one is there; they are two at least, because they share keys.
        """
        self.history = History()
        self.clock = clock or RealClock()
        self.began = self.ended = 0.0
        self._config, self._namespace = config, namespace
        self._stop, self._progress = asyncio.Event(), asyncio.Event()
        self._stack = AsyncExitStack()
        shared = ["shared-0", "shared-1"]
        writers = max(2, len(config.servers))
        own = {f"writer-{n}": [f"w{n}-{k}" for k in range(keys)] for n in range(writers)}
        every = [*shared, *(key for mine in own.values() for key in mine)]
        ways = self._ways()
        self._writers = [
            Writer(
                self._collection(config, name, config.servers[n % len(config.servers)]), mine + shared, writers / rate
            )
            for n, (name, mine) in enumerate(own.items())
        ]
        self._readers = [
            Reader(self._collection(way, f"reader-{name}"), every, len(ways) / rate, seed)
            for seed, (name, way) in enumerate(ways.items())
        ]
        self._watchers = [Watcher(self._collection(way, f"watcher-{name}"), every) for name, way in ways.items()]
        self._last = self._collection(self._config, "final")
        self._every = every
        self._working: list[asyncio.Task[None]] = []
        self._watching: list[asyncio.Task[None]] = []

    def _ways(self) -> dict[str, Kubeconfig]:
        """Each server alone, and all of them."""
        alone = {f"of-{n}": replace(self._config, servers=[s]) for n, s in enumerate(self._config.servers)}
        return alone | {"of-all": self._config}

    def _collection(self, config: Kubeconfig, name: str, home: str = "") -> Collection:
        client = ApiClient(config, f"lab-{name}")
        if home:
            client.settle(home)
        self._stack.push_async_callback(client.close)
        return Collection(client, name, self._namespace, self.history, self.clock, self._progress)

    async def __aenter__(self) -> Recorder:
        self.began = self.clock.now()
        self._watching = [asyncio.create_task(watcher.run()) for watcher in self._watchers]
        workers: tuple[Writer | Reader, ...] = (*self._writers, *self._readers)
        self._working = [asyncio.create_task(worker.run(self._stop)) for worker in workers]
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = self._working + self._watching
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._stack.aclose()

    async def worked(self, writes: int, seconds: float = 30.0) -> None:
        """Return when this many more writes have been acknowledged. Raises TimeoutError, or what has ended a client."""
        wanted = len(self.history.acknowledged()) + writes
        try:
            async with asyncio.timeout(seconds):
                while len(self.history.acknowledged()) < wanted:
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError:
            for task in (*self._working, *self._watching):
                if task.done():
                    task.result()
            raise

    async def finish(self) -> History:
        """Stop writing and reading, read the final state, give the watchers the time to arrive there."""
        self.ended = self.clock.now()
        self._stop.set()
        await asyncio.gather(*self._working)
        self.history.final = await self._final()
        newest = max((v.revision for v in self.history.final.found.values() if v), default=0)
        arrived = [watcher.reached(newest) for watcher in self._watchers]
        with contextlib.suppress(TimeoutError):  # who is missing is the checker's to say
            async with asyncio.timeout(_SETTLE_SECONDS):
                await asyncio.gather(*arrived)
        for task in self._watching:
            if task.done():  # it never ends by itself, so it failed
                task.result()
        return self.history

    def outage(self) -> float:
        """The longest time in seconds without an acknowledged write."""
        return self.history.outage(self.began, self.ended)

    def worst(self) -> float:
        """The longest time in seconds that any one writer was without."""
        return self.history.worst(self.began, self.ended)

    async def _final(self) -> Read:
        """Raises TimeoutError when no server answers for too long."""
        backoff = Backoff(0.1, 2.0)
        async with asyncio.timeout(_SETTLE_SECONDS):
            while True:
                try:
                    return (await self._last.list(self._every))[0]
                except (ApiError, TimeoutError):
                    await self.clock.sleep(backoff.next())
