"""What a store holds, told in a way that survives a restore: objects per resource and one hash over all of them.

The same figures come from a database file (a snapshot, or a member that is not running) and from a running etcd.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from etcd3.etcdrpc import kv_pb2

from cloudctl.machine.etcdctl import KeyValue
from cloudctl.machine.snapshots.bolt import Bolt, Item, opened

COMPACTED = b"finishedCompactRev"
"""The key of the bucket `meta` whose value is the revision before which history is gone."""
PREFIX, _END = b"/registry/", b"/registry0"
_PAGE = 500
_TOMBSTONE = 18
"""Length of the key of a deletion; that of a write is one shorter. Source: etcd `server/storage/mvcc/revision.go`."""


@dataclass(frozen=True, slots=True)
class Contents:
    """`objects` counts keys per resource; `digest` covers each key, its revision and its value, in the order of keys."""

    revision: int
    objects: dict[str, int]
    digest: str

    @property
    def total(self) -> int:
        """Objects of all resources."""
        return sum(self.objects.values())


class Reader(Protocol):
    """etcd's keys page by page, as `EtcdCtl.page` gives them."""

    async def page(self, start: bytes, end: bytes, *, limit: int, revision: int) -> list[KeyValue]: ...


class _Tally:
    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._hash = hashlib.sha256()

    def add(self, key: bytes, value: bytes, revision: int) -> None:
        self._counts[key[len(PREFIX) :].partition(b"/")[0].decode(errors="replace")] += 1
        self._hash.update(b"%d %d %d " % (len(key), len(value), revision))
        self._hash.update(key)
        self._hash.update(value)

    def contents(self, revision: int) -> Contents:
        return Contents(revision, dict(sorted(self._counts.items())), self._hash.hexdigest())


def of_file(path: Path) -> Contents:
    """The contents of a database file. Raises BoltError, OSError."""
    with opened(path) as database:
        revision, live = 0, dict[bytes, Item]()
        for item in database.items(b"key"):  # in the order of revisions
            revision = int.from_bytes(item.key[:8], "big")
            key = kv_pb2.KeyValue.FromString(database.value(item)).key
            if len(item.key) == _TOMBSTONE:
                live.pop(key, None)
            elif key.startswith(PREFIX):
                live[key] = item
        tally = _Tally()
        for key, item in sorted(live.items()):
            pair = kv_pb2.KeyValue.FromString(database.value(item))
            tally.add(key, pair.value, pair.mod_revision)
        return tally.contents(max(revision, compacted(database)))


def compacted(database: Bolt) -> int:
    """The revision before which history is gone; 0 when nothing was ever compacted."""
    found = [item for item in database.items(b"meta") if item.key == COMPACTED]
    return int.from_bytes(database.value(found[0])[:8], "big") if found else 0


async def of_etcd(reader: Reader, revision: int) -> Contents:
    """The contents of a running etcd at a revision. Raises what the reader raises."""
    tally, last = _Tally(), b""
    while True:
        # A key with a zero byte behind the last one cannot be an argument of a program, so the last one comes again.
        pairs = await reader.page(last or PREFIX, _END, limit=_PAGE, revision=revision)
        fresh = [pair for pair in pairs if pair.key != last]
        for pair in fresh:
            tally.add(pair.key, pair.value, pair.mod_revision)
        if len(pairs) < _PAGE:
            return tally.contents(revision)
        last = fresh[-1].key


def differences(wanted: Contents, found: Contents) -> list[str]:
    """What a restored store lacks or has too much of, one sentence each; none when it is equal."""
    wrong = [
        f"{resource}: {found.objects.get(resource, 0)} objects instead of {wanted.objects.get(resource, 0)}"
        for resource in sorted(wanted.objects.keys() | found.objects.keys())
        if wanted.objects.get(resource, 0) != found.objects.get(resource, 0)
    ]
    if found.revision < wanted.revision:
        wrong.append(f"revision {found.revision} is older than {wanted.revision}")
    if not wrong and found.digest != wanted.digest:
        wrong.append("the hash of all objects differs")
    return wrong
