"""etcd's v3 API over grpc.aio: ranges, guarded transactions, the watch stream, leases, compaction.

The stubs come from python3-etcd3; its own client is blocking and not used. Every call has a deadline; a failed endpoint is
left for the next one. Errors come out as `api.errors`: ServiceUnavailable, Timeout, `Compacted`, `FutureRevision`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from etcd3.etcdrpc import kv_pb2
from etcd3.etcdrpc import rpc_pb2 as rpc
from etcd3.etcdrpc import rpc_pb2_grpc as stubs

from api import errors

TIMEOUT = 10.0
"""Seconds one call may take, the wait for a connection included."""
PAGE = 1000
"""Keys in one page of a large range."""
_OPTIONS = (
    ("grpc.max_receive_message_length", 512 * 1024 * 1024),
    ("grpc.max_send_message_length", 16 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)

KeyValue = kv_pb2.KeyValue


class Compacted(errors.Expired):
    """The revision asked for is no longer in etcd."""


class FutureRevision(errors.Timeout):
    """The revision asked for does not exist yet."""


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


def _endpoint(url: str) -> tuple[str, bool]:
    scheme, separator, rest = url.strip().rpartition("://")
    return rest.rstrip("/"), bool(separator) and scheme == "https"


def _never_sent(error: grpc.aio.AioRpcError) -> bool:
    """Whether no connection was there, so that the call cannot have reached etcd."""
    return "failed to connect" in (error.details() or "").lower()


def _explain(error: grpc.aio.AioRpcError) -> errors.ApiError:
    code, details = error.code(), error.details() or ""
    if code is grpc.StatusCode.OUT_OF_RANGE:
        if "future" in details:
            return FutureRevision(f"Too large resource version: {details}")
        return Compacted("The resourceVersion for the provided list is too old.")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return errors.Timeout("etcd did not answer in time", {"retryAfterSeconds": 1})
    if code is grpc.StatusCode.INVALID_ARGUMENT and "too large" in details:
        return errors.RequestEntityTooLarge("Request entity too large: the object exceeds the limit of etcd")
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        return errors.ServiceUnavailable(f"etcd is not reachable: {details}", {"retryAfterSeconds": 1})
    return errors.InternalError(f"etcd: {code.name}: {details}")


class Etcd:
    """A client of one etcd cluster. Make it inside a running event loop; `await close()` when done."""

    def __init__(
        self, servers: str, ca: bytes | None = None, cert: bytes | None = None, key: bytes | None = None
    ) -> None:
        credentials = grpc.ssl_channel_credentials(ca, key, cert) if ca or cert else None
        self._channels = [self._open(url, credentials) for url in servers.split(",")]
        self._kv = [stubs.KVStub(channel) for channel in self._channels]
        self._at = 0

    @staticmethod
    def _open(url: str, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
        target, secure = _endpoint(url)
        if secure:
            return grpc.aio.secure_channel(target, credentials or grpc.ssl_channel_credentials(), options=_OPTIONS)
        return grpc.aio.insecure_channel(target, options=_OPTIONS)

    async def close(self) -> None:
        """Close all connections."""
        for channel in self._channels:
            await channel.close()

    async def _call(self, method: str, message: Any, *, again: bool, timeout: float = TIMEOUT) -> Any:
        """One unary call. `again`: it may be repeated on another endpoint even if this one may have carried it out."""
        attempts = len(self._kv)
        for attempt in range(attempts):
            at = self._at
            try:
                wait = len(self._kv) == 1
                return await getattr(self._kv[at], method)(message, timeout=timeout, wait_for_ready=wait)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.UNAVAILABLE and self._at == at:
                    self._at = (at + 1) % len(self._kv)
                lost = error.code() is grpc.StatusCode.UNAVAILABLE and (again or _never_sent(error))
                if not lost or attempt == attempts - 1:
                    raise _explain(error) from error
        raise errors.ServiceUnavailable("no etcd endpoint is configured")

    async def revision(self) -> int:
        """The store's revision now, by a linearizable read of nothing."""
        answer = await self._call("Range", rpc.RangeRequest(key=b"\0", count_only=True), again=True)
        return int(answer.header.revision)

    async def get(self, key: bytes) -> tuple[Any | None, int]:
        """One key (None when missing) and the store's revision, linearizable."""
        answer = await self._call("Range", rpc.RangeRequest(key=key), again=True)
        return (answer.kvs[0] if answer.kvs else None), int(answer.header.revision)

    async def range(
        self, start: bytes, end: bytes, *, limit: int = PAGE, revision: int = 0
    ) -> tuple[Sequence[Any], bool, int, int]:
        """One page of keys in order: (key-values, more, store's revision, count from `start` on).

        Raises Compacted or FutureRevision when `revision` cannot be read.
        """
        message = rpc.RangeRequest(key=start, range_end=end, limit=limit, revision=revision)
        answer = await self._call("Range", message, again=True, timeout=3 * TIMEOUT)
        return answer.kvs, bool(answer.more), int(answer.header.revision), int(answer.count)

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

    async def put(self, key: bytes, value: bytes, expected: int, lease: int = 0) -> Written:
        """Write a key if its mod revision is `expected` (0: if it does not exist)."""
        put = rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=value, lease=lease))
        return await self._guarded(key, expected, put)

    async def delete(self, key: bytes, expected: int) -> Written:
        """Delete a key if its mod revision is `expected`."""
        return await self._guarded(key, expected, rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=key)))

    async def _guarded(self, key: bytes, expected: int, operation: Any) -> Written:
        guard = rpc.Compare(result=rpc.Compare.EQUAL, target=rpc.Compare.MOD, key=key, mod_revision=expected)
        read = rpc.RequestOp(request_range=rpc.RangeRequest(key=key))
        message = rpc.TxnRequest(compare=[guard], success=[operation], failure=[read])
        answer = await self._call("Txn", message, again=False)
        if answer.succeeded:
            return Written(True, int(answer.header.revision))
        found = answer.responses[0].response_range.kvs
        return Written(False, int(answer.header.revision), found[0] if found else None)

    async def compact(self, revision: int) -> None:
        """Forget history before `revision`. Raises Compacted when another server was faster."""
        await self._call("Compact", rpc.CompactionRequest(revision=revision), again=False)

    async def grant(self, seconds: int) -> int:
        """A new lease's id."""
        stub = stubs.LeaseStub(self._channels[self._at])
        try:
            answer = await stub.LeaseGrant(rpc.LeaseGrantRequest(TTL=seconds), timeout=TIMEOUT)
        except grpc.aio.AioRpcError as error:
            raise _explain(error) from error
        return int(answer.ID)

    async def watch(self, after: int) -> AsyncIterator[Batch]:
        """Every change of the whole store after revision `after`, until the stream breaks.

        The whole store and not a prefix: so every revision arrives as an event, and the reader knows by events alone how
        far it is. Raises Compacted when `after` is no longer in history, ServiceUnavailable when the stream breaks.
        """
        call = stubs.WatchStub(self._channels[self._at]).Watch(wait_for_ready=len(self._channels) == 1)
        create = rpc.WatchCreateRequest(key=b"\0", range_end=b"\0", start_revision=after + 1)
        try:
            await call.write(rpc.WatchRequest(create_request=create))
            async for answer in call:
                if answer.compact_revision:
                    raise Compacted("the watch's start has been compacted")
                if answer.canceled:
                    raise errors.ServiceUnavailable(f"etcd ended the watch: {answer.cancel_reason}")
                if answer.events or answer.created:
                    yield Batch(int(answer.header.revision), answer.events)
        except grpc.aio.AioRpcError as error:
            self._at = (self._at + 1) % len(self._channels)
            raise _explain(error) from error
        finally:
            call.cancel()
        raise errors.ServiceUnavailable("etcd closed the watch")
