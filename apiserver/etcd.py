"""etcd's v3 API over grpc.aio: ranges, guarded transactions, the watch stream, leases, compaction.

The stubs come from python3-etcd3; its own client is blocking and not used. Every call has a deadline and goes to whichever
member serves (`apiserver.members`). Errors come out as `api.errors`: ServiceUnavailable, Timeout, `Compacted`,
`FutureRevision`, and `Doubt` for a write of which nobody knows whether it took place.

A write is a transaction guarded by the mod revision that its key must have. After `Doubt` the same write may be sent again if
it expects a revision above 0: no revision comes twice, so at most one of the two takes place. A create expects that there is no
key, which may be true twice: the first one, held up in a stopped member, would bring back what has been created by the second
and deleted since. So creates are guarded by the revision of one more key, the fence, too: `fence` moves it, and from then on no
create that was sent before can take place.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from etcd3.etcdrpc import kv_pb2
from etcd3.etcdrpc import rpc_pb2 as rpc

from api import errors
from apiserver.members import ATTEMPT, LEADER, Compacted, Doubt, FutureRevision, Members, explain

__all__ = ["PAGE", "Batch", "Compacted", "Doubt", "Etcd", "FutureRevision", "KeyValue", "Written", "prefix_end"]

PAGE = 1000
"""Keys in one page of a large range."""
RANGE_SECONDS = 30.0
"""Seconds that one page may take."""
FENCE = b"/cloudlet/fence"

KeyValue = kv_pb2.KeyValue


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a guarded write: `revision` of the write, or `current` (None: no such key) when the guard failed."""

    ok: bool
    revision: int
    current: Any = None


@dataclass(frozen=True, slots=True)
class Batch:
    """One response of the watch stream: the store's revision and the next events, in order; none when it begins."""

    revision: int
    events: Sequence[Any]


def prefix_end(prefix: bytes) -> bytes:
    """The first key after all keys with this prefix."""
    return prefix[:-1] + bytes((prefix[-1] + 1,))


class Etcd:
    """A client of one etcd cluster. Make it inside a running event loop; `await close()` when done."""

    def __init__(self, servers: str) -> None:
        self.members = Members(servers)
        self.seen = 0
        """The highest revision of the store that an answer told."""
        self._fence = 0
        self._moving = asyncio.Lock()

    def renew(self, ca: bytes | None, cert: bytes | None, key: bytes | None) -> None:
        """Use another CA and client certificate from now on."""
        self.members.replace(grpc.ssl_channel_credentials(ca, key, cert) if ca or cert else None)

    async def close(self) -> None:
        """Close all connections."""
        await self.members.close()

    def _saw(self, answer: Any) -> int:
        revision = int(answer.header.revision)
        self.seen = max(self.seen, revision)
        return revision

    async def revision(self, seconds: float = 0.0) -> int:
        """The store's revision now, by a linearizable read of nothing. `seconds` bounds it."""
        message = rpc.RangeRequest(key=b"\0", count_only=True)
        return self._saw(await self.members.call(lambda member: member.kv.Range, message, seconds=seconds))

    async def get(self, key: bytes) -> tuple[Any | None, int]:
        """One key (None when missing) and the store's revision, linearizable."""
        answer = await self.members.call(lambda member: member.kv.Range, rpc.RangeRequest(key=key))
        return (answer.kvs[0] if answer.kvs else None), self._saw(answer)

    async def range(
        self, start: bytes, end: bytes, *, limit: int = PAGE, revision: int = 0
    ) -> tuple[Sequence[Any], bool, int, int]:
        """One page of keys in order: (key-values, more, store's revision, count from `start` on).

        Raises Compacted or FutureRevision when `revision` cannot be read.
        """
        message = rpc.RangeRequest(key=start, range_end=end, limit=limit, revision=revision)
        answer = await self.members.call(lambda member: member.kv.Range, message, seconds=RANGE_SECONDS)
        return answer.kvs, bool(answer.more), self._saw(answer), int(answer.count)

    async def pages(self, prefix: bytes) -> AsyncIterator[tuple[Sequence[Any], int]]:
        """All keys under a prefix, page by page, all at the revision of the first page."""
        start, end, revision = prefix, prefix_end(prefix), 0
        while True:
            found, more, seen, _ = await self.range(start, end, revision=revision)
            revision = revision or seen
            yield found, revision
            if not more:
                return
            start = found[-1].key + b"\0"

    async def put(
        self, key: bytes, value: bytes, expected: int, lease: int = 0, *, patience: float = ATTEMPT
    ) -> Written:
        """Write a key if its mod revision is `expected` (0: if it does not exist). Raises Doubt, after `patience` seconds."""
        put = rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=value, lease=lease))
        return await self._guarded(key, expected, put, patience)

    async def delete(self, key: bytes, expected: int, *, patience: float = ATTEMPT) -> Written:
        """Delete a key if its mod revision is `expected`. Raises Doubt, after `patience` seconds."""
        operation = rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=key))
        return await self._guarded(key, expected, operation, patience)

    async def _guarded(self, key: bytes, expected: int, operation: Any, patience: float) -> Written:
        while True:
            since, fence = self.seen, self._fence
            guards, reads = [_compare(key, expected)], [_read(key)]
            if not expected:
                guards.append(_compare(FENCE, fence))
                reads.append(_read(FENCE))
            message = rpc.TxnRequest(compare=guards, success=[operation], failure=reads)
            try:
                answer = await self.members.call(lambda member: member.kv.Txn, message, again=False, patience=patience)
            except Doubt as doubt:
                doubt.since, doubt.fence = since, fence
                raise
            revision = self._saw(answer)
            if answer.succeeded:
                return Written(True, revision)
            found = [response.response_range.kvs for response in answer.responses]
            if expected or found[0]:
                return Written(False, revision, found[0][0] if found[0] else None)
            self._fence = max(
                self._fence, int(found[1][0].mod_revision)
            )  # it has been moved: the create goes on behind it

    async def fence(self, before: int) -> int:
        """Keep creates that were fenced by `before` from taking place later; from the returned revision on none has."""
        async with self._moving:
            if self._fence <= before:
                message = rpc.PutRequest(key=FENCE)
                self._fence = self._saw(await self.members.call(lambda member: member.kv.Put, message))
            return self._fence

    async def compact(self, revision: int) -> None:
        """Forget history before `revision`. Raises Compacted when another server was faster."""
        await self.members.call(lambda member: member.kv.Compact, rpc.CompactionRequest(revision=revision))

    async def grant(self, seconds: int) -> int:
        """A new lease's id."""
        answer = await self.members.call(lambda member: member.lease.LeaseGrant, rpc.LeaseGrantRequest(TTL=seconds))
        return int(answer.ID)

    async def watch(self, after: int) -> AsyncGenerator[Batch, None]:
        """Every change of the whole store after revision `after`, until the stream breaks.

        The whole store and not a prefix: so every revision arrives as an event, and the reader knows by events alone how
        far it is. Raises Compacted when `after` is no longer in history, ServiceUnavailable when the stream breaks; etcd
        breaks it on a member that has been without a leader for some seconds.
        """
        member = self.members.current
        call = member.watch.Watch(metadata=LEADER)
        create = rpc.WatchCreateRequest(key=b"\0", range_end=b"\0", start_revision=after + 1)
        try:
            async with asyncio.timeout(ATTEMPT):
                await call.write(rpc.WatchRequest(create_request=create))
                answer = await call.read()
            while answer is not grpc.aio.EOF:
                if answer.compact_revision:
                    raise Compacted("the watch's start has been compacted")
                if answer.canceled:
                    raise errors.ServiceUnavailable(f"etcd ended the watch: {answer.cancel_reason}")
                if answer.events or answer.created:
                    yield Batch(int(answer.header.revision), answer.events)
                answer = await call.read()
            raise errors.ServiceUnavailable("etcd closed the watch")
        except TimeoutError:
            self.members.leave(member, "it does not begin a watch")
            raise errors.ServiceUnavailable("etcd did not begin the watch in time") from None
        except grpc.aio.AioRpcError as error:
            self.members.leave(member, error.details() or error.code().name)
            raise explain(error) from error
        finally:
            call.cancel()


def _compare(key: bytes, revision: int) -> Any:
    return rpc.Compare(result=rpc.Compare.EQUAL, target=rpc.Compare.MOD, key=key, mod_revision=revision)


def _read(key: bytes) -> Any:
    return rpc.RequestOp(request_range=rpc.RangeRequest(key=key))
