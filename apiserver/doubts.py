"""Guarded writes whose outcome is found out when etcd does not tell it, from the watch, which tells every change in order.

A write is in doubt when the member that was asked died or fell silent. The feed is brought up to a revision learnt after that,
and the key's changes since the write was sent are looked at:

- None of them can be the write: it is sent again. Its guard lets it take place once at most, whatever becomes of the first
  one (see `apiserver.etcd`; a create is fenced off before).
- A create's bytes are there: they carry an object's UID, which no other request has made, so the write took place.
- The change from the expected revision is an update to the same bytes, or a deletion: it may be somebody else's who wrote the
  same at the same time, and one of the two must not be told that it won. The doubt stays, and the client is told of it.
- The feed does not reach back that far, or etcd cannot be read: the doubt stays.
"""

from __future__ import annotations

from api import errors
from apiserver.cache import Cache, Event
from apiserver.etcd import Doubt, Etcd, Written
from apiserver.feed import Feed

PATIENCE = (1.0, 2.0, 4.0)
"""Seconds that each sending of a write waits for its answer: a dead member is left soon, a slow disk gets its time."""


async def write(
    etcd: Etcd, feed: Feed, cache: Cache, key: str, value: bytes | None, expected: int, lease: int = 0
) -> Written:
    """Write a key (`value` None: delete it) if its mod revision is `expected` (0: if it does not exist). Raises Doubt."""
    where = feed.key(cache, key)
    first: Doubt | None = None
    for patience in PATIENCE:
        try:
            if value is None:
                written = await etcd.delete(where, expected, patience=patience)
            else:
                written = await etcd.put(where, value, expected, lease, patience=patience)
        except Doubt as doubt:
            first = first or doubt
            try:
                revision = await etcd.revision() if expected else await etcd.fence(doubt.fence)
                await feed.reach(revision)
            except (errors.ServiceUnavailable, errors.Timeout) as error:
                raise first from error
            if (found := _found(cache, key, value, expected, first)) is not None:
                return found
            continue
        if expected and first is not None and not written.ok:
            # Refused for somebody else's write, or for our own: the first one, after all.
            await feed.reach(written.revision)
            _found(cache, key, value, expected, first)
        return written
    assert first is not None  # noqa: S101 - said to the type checker
    raise first


def _found(cache: Cache, key: str, value: bytes | None, expected: int, doubt: Doubt) -> Written | None:
    """The outcome of a write whose bytes are there, None if it has not taken place. Raises the doubt if it stays."""
    since = cache.since(doubt.since)
    if since is None:
        raise doubt
    for event in (event for event in since if event.entry.key == key):
        if not expected:
            if value is not None and _holds(cache, event, key, value):
                return Written(True, event.revision)
        elif event.previous is not None and event.previous.revision == expected:
            if event.type == "DELETED" if value is None else _holds(cache, event, key, value):
                raise doubt
            return None
    return None


def _holds(cache: Cache, event: Event, key: str, value: bytes) -> bool:
    """Whether an event has brought these stored bytes."""
    return event.type != "DELETED" and event.entry.data == cache.entry(key, value, event.revision).data
