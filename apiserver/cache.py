"""The watch cache of one resource: every object as the bytes that are served, recent events, and those who watch.

All methods are synchronous and run on the one event loop, so nobody sees half an event. Events are applied in etcd's order;
every watcher gets them in that order.
"""

from __future__ import annotations

import logging
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from sys import intern
from typing import Protocol

from api.selectors import LabelSelector
from api.types import Object, Resource
from apiserver import codec, fields

log = logging.getLogger("apiserver.cache")

WINDOW = 4096
"""Events per resource that a watch can resume over."""
WINDOW_BYTES = 16 * 1024 * 1024
"""Bytes of objects that the window of one resource may hold on to."""

Change = Callable[[str, Object], None]
"""Called with ADDED, MODIFIED or DELETED and the object (read-only) for every event."""
_NO_LABELS: dict[str, str] = {}
_NO_FIELDS: dict[str, str] = {}


@dataclass(slots=True, eq=False)
class Entry:
    """One version of one object. `key` is `namespace/name` or `name`."""

    key: str
    namespace: str
    name: str
    revision: int
    data: bytes
    labels: dict[str, str]
    fields: dict[str, str]


@dataclass(slots=True, eq=False)
class Event:
    """One change: `entry` after it (for DELETED: the last state with the revision of the deletion), `previous` before it."""

    type: str
    revision: int
    entry: Entry
    previous: Entry | None
    left: Entry | None = None
    """The previous state with this event's revision, for watchers whose selection the object has left."""

    def departed(self) -> Entry:
        """What a watcher sees of an object that has left its selection."""
        if self.left is None:
            old = self.previous or self.entry
            data = codec.reversioned(old.data, self.revision)
            self.left = Entry(old.key, old.namespace, old.name, self.revision, data, old.labels, old.fields)
        return self.left


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects a list or watch wants. `terms` are field terms beside name and namespace: (path, value, equal)."""

    namespace: str = ""
    name: str = ""
    labels: LabelSelector | None = None
    terms: tuple[tuple[str, str, bool], ...] = ()

    def matches(self, entry: Entry) -> bool:
        """Whether the selection holds this version of an object."""
        if self.namespace and entry.namespace != self.namespace:
            return False
        if self.name and entry.name != self.name:
            return False
        if self.labels is not None and not self.labels.matches(entry.labels):
            return False
        return all((_field(entry, path) == value) == equal for path, value, equal in self.terms)


def _field(entry: Entry, path: str) -> str:
    if path == "metadata.name":
        return entry.name
    if path == "metadata.namespace":
        return entry.namespace
    return entry.fields.get(path, "")


class Listener(Protocol):
    """A watcher, as the cache sees it."""

    def offer(self, event: Event) -> None:
        """Take an event; must not wait."""
        ...

    def expire(self) -> None:
        """The cache has lost continuity: the watcher must list again."""
        ...


class Cache:
    """See the module. `base` is the revision from which on the window is complete."""

    def __init__(self, resource: Resource, convert: Callable[[Object], Object] | None = None) -> None:
        self.resource = resource
        self.convert = convert
        """How stored objects become this resource's shape, when it shares another resource's store."""
        self.entries: dict[str, Entry] = {}
        self.order: list[str] = []
        self.window: deque[Event] = deque()
        self.base = 0
        self.changed = 0
        """Revision of the last event."""
        self.listeners: set[Listener] = set()
        self.handlers: list[Change] = []
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.entries)

    def load(self, items: Iterable[tuple[str, bytes, int]], revision: int) -> None:
        """Replace everything by (key, stored bytes, mod revision); watchers are told to list again."""
        for listener in tuple(self.listeners):
            listener.expire()
        self.window.clear()
        self._bytes = 0
        old, self.entries = self.entries, {}
        for key, value, mod in items:
            try:
                entry, obj = self._entry(key, value, mod)
            except (ValueError, KeyError, TypeError, AttributeError):
                log.exception("%s: the object stored under %s cannot be read", self.resource.plural, key)
                continue
            self.entries[key] = entry
            before = old.pop(key, None)
            if before is None or before.revision != mod:
                self._tell("MODIFIED" if before else "ADDED", obj)
        for entry in old.values():
            self._tell("DELETED", codec.loads(entry.data))
        self.order = sorted(self.entries)
        self.base = self.changed = revision

    def put(self, key: str, value: bytes, revision: int) -> None:
        """Take in a written key."""
        entry, obj = self._entry(key, value, revision)
        previous = self.entries.get(key)
        if previous is None:
            insort(self.order, key)
        self.entries[key] = entry
        self._push(Event("MODIFIED" if previous else "ADDED", revision, entry, previous), obj)

    def remove(self, key: str, revision: int) -> None:
        """Take in a deleted key."""
        previous = self.entries.pop(key, None)
        if previous is None:
            return
        self.order.pop(bisect_left(self.order, key))
        event = Event("DELETED", revision, previous, previous)
        event.entry = event.departed()
        self._push(event, None)

    def entry(self, key: str, value: bytes, revision: int) -> Entry:
        """A version of an object as the cache would keep it, without keeping it."""
        return self._entry(key, value, revision)[0]

    def _entry(self, key: str, value: bytes, revision: int) -> tuple[Entry, Object]:
        obj = codec.loads(value)
        if self.convert:
            obj = self.convert(obj)
            value = codec.stored(obj)
        meta = obj["metadata"]
        meta["resourceVersion"] = str(revision)
        raw = meta.get("labels")
        labels = {intern(k): intern(str(v)) for k, v in raw.items()} if raw else _NO_LABELS
        namespace, _, name = key.rpartition("/")
        found = fields.extract(self.resource, obj) or _NO_FIELDS
        return Entry(key, intern(namespace), name, revision, codec.versioned(value, revision), labels, found), obj

    def _push(self, event: Event, obj: Object | None) -> None:
        self.changed = event.revision
        self.window.append(event)
        self._bytes += len(event.entry.data)
        while len(self.window) > WINDOW or self._bytes > WINDOW_BYTES:
            oldest = self.window.popleft()
            self._bytes -= len(oldest.entry.data)
            self.base = oldest.revision
        for listener in tuple(self.listeners):
            listener.offer(event)
        if self.handlers:
            self._tell(event.type, obj if obj is not None else codec.loads(event.entry.data))

    def _tell(self, kind: str, obj: Object) -> None:
        for handler in self.handlers:
            handler(kind, obj)

    def subscribe(self, handler: Change) -> None:
        """Call `handler` for every event from now on, and at once with ADDED for every object that is there."""
        self.handlers.append(handler)
        for entry in self.entries.values():
            handler("ADDED", codec.loads(entry.data))

    def since(self, revision: int) -> list[Event] | None:
        """The events after a revision, oldest first; None when the window does not reach back that far."""
        if revision < self.base:
            return None
        found = []
        for event in reversed(self.window):
            if event.revision <= revision:
                break
            found.append(event)
        found.reverse()
        return found

    def keys(self, namespace: str = "", after: str = "") -> list[str]:
        """Keys in order, of one namespace if given, behind `after` if given."""
        low, high = 0, len(self.order)
        if namespace:
            low = bisect_left(self.order, namespace + "/")
            high = bisect_left(self.order, namespace + "0")
        if after:
            low = max(low, bisect_left(self.order, after + "\0"))
        return self.order if high - low == len(self.order) else self.order[low:high]

    def select(self, selection: Selection, after: str = "") -> Iterator[Entry]:
        """The matching entries in key order. Must be used up before the next await."""
        if selection.name and (selection.namespace or not self.resource.namespaced):
            key = f"{selection.namespace}/{selection.name}" if selection.namespace else selection.name
            keys = [key] if key in self.entries and key > after else []
        else:
            keys = self.keys(selection.namespace, after)
        entries = self.entries
        plain = not (selection.name or selection.labels or selection.terms)
        for key in keys:
            entry = entries[key]
            if plain or selection.matches(entry):
                yield entry
