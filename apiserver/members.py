"""The members of an etcd cluster: which one is asked, and what a failed call says about what etcd has done.

One member is asked until it fails a call; then the next one, and the first of the list (the one on this machine) again once
it answers a linearizable read. A call says `hasleader`: a member that is cut off from the others refuses it instead of keeping
it. A member that is stopped or behind a dead network refuses nothing, so an attempt is short and the call as a whole bounded:

- A read, or a write that may be done twice, goes to one member after the other, then round again with longer attempts, while
  the members elect a leader.
- Any other write is sent again only if it was certainly not carried out: no connection, or refused for want of a leader.
  Else it raises `Doubt`: it may have taken place, and even take place later, when the member that holds it is let go on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
from etcd3.etcdrpc import rpc_pb2 as rpc
from etcd3.etcdrpc import rpc_pb2_grpc as stubs

from api import errors
from client.backoff import Backoff

log = logging.getLogger("apiserver.etcd")

ATTEMPT = 1.0
"""Seconds a member has for its answer at first, if there is another one to ask; twice that in the next round."""
ALONE, TOGETHER = 10.0, 6.0
"""Seconds a call may take in all with one member and with several."""
LOOK = 30.0
"""Seconds between two looks at who is a member."""
HOME = 10.0
"""Seconds after which the first member is tried again."""
GRACE = 40.0
"""Seconds that calls on a replaced connection may still take."""
LEADER = (("hasleader", "true"),)
"""Metadata: refuse this call, or end this stream, while there is no leader."""
_OPTIONS = (
    ("grpc.max_receive_message_length", 512 * 1024 * 1024),
    ("grpc.max_send_message_length", 16 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.use_local_subchannel_pool", 1),  # a new certificate must not share the old one's connection
)
_SILENT = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    # A member that stops cuts a call off in the middle: "No status received", "Stream removed".
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
)
_EXPIRED = ("context deadline exceeded", "context canceled")
"""What etcd says, by the code UNKNOWN, when it has seen a call's deadline pass before we have."""
_REFUSALS = ("failed to connect", "etcdserver: no leader", "etcdserver: too many requests", "not supported for learner")


class Compacted(errors.Expired):
    """The revision asked for is no longer in etcd."""


class FutureRevision(errors.Timeout):
    """The revision asked for does not exist yet."""


class Doubt(errors.Timeout):
    """Nobody knows whether a write has taken place, or will. `since`: it has not at or before this revision of the store.

    `fence`: what the write was fenced by (see `Etcd.fence`).
    """

    def __init__(self, why: str, since: int = 0, fence: int = 0) -> None:
        super().__init__(f"etcd did not say whether it has carried out a write: {why}", {"retryAfterSeconds": 1})
        self.since = since
        self.fence = fence


def _unanswered(error: grpc.aio.AioRpcError) -> bool:
    """Whether the member did not answer in time or in full, or is not there, so that another one should be asked."""
    return error.code() in _SILENT


def _refused(error: grpc.aio.AioRpcError) -> bool:
    """Whether the call was certainly not carried out, and another member or a later time may be better."""
    details = (error.details() or "").lower()
    return any(words in details for words in _REFUSALS)


def explain(error: grpc.aio.AioRpcError) -> errors.ApiError:
    """What a failed call of etcd means to a client of the API server."""
    code, details = error.code(), error.details() or ""
    if code is grpc.StatusCode.OUT_OF_RANGE:
        if "future" in details:
            return FutureRevision(f"Too large resource version: {details}")
        return Compacted("The resourceVersion for the provided list is too old.")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED or any(words in details for words in _EXPIRED):
        return errors.Timeout("etcd did not answer in time", {"retryAfterSeconds": 1})
    if code is grpc.StatusCode.INVALID_ARGUMENT and "too large" in details:
        return errors.RequestEntityTooLarge("Request entity too large: the object exceeds the limit of etcd")
    if code in _SILENT or _refused(error):
        return errors.ServiceUnavailable(f"etcd is not reachable: {details}", {"retryAfterSeconds": 1})
    return errors.InternalError(f"etcd: {code.name}: {details}")


class Member:
    """One member and the connection to it."""

    def __init__(self, url: str, credentials: grpc.ChannelCredentials | None) -> None:
        self.url = url
        scheme, separator, rest = url.strip().rpartition("://")
        self.target = rest.rstrip("/")
        if separator and scheme == "https":
            trusted = credentials or grpc.ssl_channel_credentials()
            self.channel = grpc.aio.secure_channel(self.target, trusted, options=_OPTIONS)
        else:
            self.channel = grpc.aio.insecure_channel(self.target, options=_OPTIONS)
        self.kv = stubs.KVStub(self.channel)
        self.lease = stubs.LeaseStub(self.channel)
        self.watch = stubs.WatchStub(self.channel)


class Members:
    """See the module. Make it inside a running event loop; `await close()` when done."""

    def __init__(self, servers: str, credentials: grpc.ChannelCredentials | None = None) -> None:
        self._listed = [url for url in servers.split(",") if url.strip()]
        self._credentials = credentials
        self._all = [Member(url, credentials) for url in self._listed]
        self._at = 0
        self._well = True
        self._home = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self.on_leave: Callable[[], None] = lambda: None
        """Called when another member is asked from now on."""

    @property
    def current(self) -> Member:
        """The member that is asked."""
        return self._all[self._at]

    def replace(self, credentials: grpc.ChannelCredentials | None) -> None:
        """Use these credentials from now on; what is under way on the old connections may end there."""
        self._credentials = credentials
        old, self._all = self._all, [Member(member.url, credentials) for member in self._all]
        for member in old:
            self._spawn(member.channel.close(GRACE))
        self.on_leave()

    async def close(self) -> None:
        """Close all connections."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for member in self._all:
            await member.channel.close()

    async def follow(self) -> None:
        """Ask those members, too, that etcd names besides the listed ones; until cancelled.

        The first of the list is the one on this machine, under whatever address etcd knows it. etcd tells nobody when its
        members change, so it is asked now and then.
        """
        backoff = Backoff(1.0, LOOK)
        while True:
            try:
                cluster = stubs.ClusterStub(self._all[0].channel)
                answer = await cluster.MemberList(rpc.MemberListRequest(), timeout=ATTEMPT)
            except grpc.aio.AioRpcError as error:
                log.debug("etcd does not say who its members are: %s", error.details())
                await asyncio.sleep(backoff.next())
                continue
            own = answer.header.member_id
            self.know([one.clientURLs[0] for one in answer.members if own != one.ID and one.clientURLs])
            backoff.reset()
            await asyncio.sleep(LOOK)

    def know(self, urls: list[str]) -> None:
        """Have the listed members and these, and no others."""
        present, asked = {member.url: member for member in self._all}, self.current
        wanted = [*self._listed, *(url for url in sorted(urls) if url not in self._listed)]
        if wanted == list(present):
            return
        log.info("etcd's members are %s", ", ".join(wanted))
        self._all = [present.pop(url) if url in present else Member(url, self._credentials) for url in wanted]
        self._at = self._all.index(asked) if asked in self._all else 0
        for member in present.values():
            self._spawn(member.channel.close(GRACE))

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def leave(self, member: Member, why: str) -> None:
        """Ask the next member, unless another one than `member` is asked already."""
        if member is not self.current:
            return
        now = asyncio.get_running_loop().time()
        if self._well:
            self._well = False
            log.warning("etcd member %s does not serve: %s", member.target, why)
        self._at = (self._at + 1) % len(self._all)
        self._home = now + HOME
        if len(self._all) > 1:
            self.on_leave()

    def _served(self, member: Member) -> None:
        """Take note of an answer; look after the first member now and then if it came from another one."""
        if not self._well and member is self.current:
            self._well = True
            log.warning("etcd member %s serves", member.target)
        now = asyncio.get_running_loop().time()
        if self._at and now >= self._home:
            self._home = now + HOME
            self._spawn(self._go_home())

    async def _go_home(self) -> None:
        first = self._all[0]
        try:
            await first.kv.Range(rpc.RangeRequest(key=b"\0", count_only=True), timeout=ATTEMPT, metadata=LEADER)
        except grpc.aio.AioRpcError as error:
            log.debug("etcd member %s does not serve yet: %s", first.target, error.details())
            return
        if self._at and first is self._all[0]:
            log.warning("etcd member %s serves again", first.target)
            self._at = 0

    async def call(
        self,
        method: Callable[[Member], Any],
        message: Any,
        *,
        again: bool = True,
        seconds: float = 0.0,
        patience: float = ATTEMPT,
    ) -> Any:
        """One unary call. `again`: it may be done twice. Raises Doubt, ServiceUnavailable, Timeout and etcd's own refusals.

        `seconds` bounds the whole, by default ALONE or TOGETHER; `patience` the first attempts where there are several members.
        """
        loop, alone = asyncio.get_running_loop(), len(self._all) == 1
        seconds = seconds or (ALONE if alone else TOGETHER)
        ends, attempt, pauses = loop.time() + seconds, seconds if alone else patience, Backoff(0.05, 0.4)
        failures = 0
        while True:
            member = self.current
            limit = min(attempt, max(ends - loop.time(), 0.05))
            try:
                answer = await method(member)(message, timeout=limit, metadata=LEADER, wait_for_ready=alone)
                self._served(member)
                return answer
            except grpc.aio.AioRpcError as error:
                if not _unanswered(error) and not _refused(error):
                    raise explain(error) from error
                self.leave(member, error.details() or error.code().name)
                if not again and not _refused(error):
                    raise Doubt(error.details() or error.code().name) from error
                failures += 1
                pause = 0.0
                if failures % len(self._all) == 0:  # all have been asked: they elect a leader, or are too few
                    attempt, pause = attempt * 2, pauses.next()
                if loop.time() + pause >= ends:
                    raise explain(error) from error
            await asyncio.sleep(pause)
