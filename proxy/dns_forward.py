"""Names that are not the cluster's: asked of the host's own resolvers, kept for a short while.

Promises: one answer per question within `DEADLINE` or SERVFAIL; the same question asked by many is asked upstream once; each
question has a socket and an identity of its own, so that a forged answer is a long shot (RFC 5452); memory is bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import struct
from collections import OrderedDict
from pathlib import Path
from typing import cast

import structlog

from client.clock import Clock
from proxy import dns_wire

DEADLINE, TRY_SECONDS = 4.0, 1.5
_CACHED, _IN_FLIGHT, _KEEP_SECONDS = 4096, 512, 30


class Unanswered(Exception):
    """No upstream gave an answer in time, or there is none."""


def upstreams(path: Path, own: str) -> list[tuple[str, int]]:
    """The nameservers of a resolv.conf (resolver(5)), without ourselves."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return []
    words = [line.split() for line in lines]
    return [(w[1], 53) for w in words if len(w) > 1 and w[0] == "nameserver" and w[1] != own][:3]


class _Exchange(asyncio.DatagramProtocol):
    """One question on its way, and the answer to it."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._question = dns_wire.question_of(message).lower()
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not every loop's transport inherits from the class it implements.
        cast(asyncio.DatagramTransport, transport).sendto(self._message)

    def datagram_received(self, data: bytes, addr: object) -> None:
        matches = data[:2] == self._message[:2] and dns_wire.question_of(data).lower() == self._question
        if matches and not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


class Forwarder:
    """Asks upstream. `resolv_conf` is read anew when it has changed."""

    def __init__(self, clock: Clock, own_address: str, resolv_conf: Path = Path("/etc/resolv.conf")) -> None:
        self._clock, self._own, self._path = clock, own_address, resolv_conf
        self._upstreams: list[tuple[str, int]] | None = None
        self._found: list[tuple[str, int]] = []
        self._stamp = 0
        self._cache: OrderedDict[tuple[bool, bytes], tuple[float, bytes]] = OrderedDict()
        self._asking: dict[tuple[bool, bytes], asyncio.Task[bytes]] = {}
        self._log = structlog.get_logger("dns")

    def use(self, servers: list[tuple[str, int]]) -> None:
        """Ask these from now on instead of those of resolv.conf."""
        self._upstreams = servers

    async def ask(self, message: bytes, *, tcp: bool) -> bytes:
        """The upstream's answer to a query, under the query's own identity. Raises Unanswered."""
        wanted = (tcp, message[2:])
        kept = self._cache.get(wanted)
        if kept and kept[0] > self._clock.now():
            self._cache.move_to_end(wanted)
            return dns_wire.renumber(kept[1], message[:2])
        task = self._asking.get(wanted)
        if task is None:
            if len(self._asking) >= _IN_FLIGHT:
                raise Unanswered("too many questions under way")
            task = asyncio.ensure_future(self._ask_upstreams(message, tcp))
            self._asking[wanted] = task
            task.add_done_callback(lambda done: self._finish(wanted, done))
        # One asker that goes away must not take the answer from the others.
        return dns_wire.renumber(await asyncio.shield(task), message[:2])

    def _finish(self, wanted: tuple[bool, bytes], task: asyncio.Task[bytes]) -> None:
        del self._asking[wanted]
        if task.cancelled() or task.exception():
            return
        seconds = min(dns_wire.min_ttl(task.result()), _KEEP_SECONDS)
        if seconds > 0:
            self._cache[wanted] = (self._clock.now() + seconds, task.result())
            while len(self._cache) > _CACHED:
                self._cache.popitem(last=False)

    def _servers(self) -> list[tuple[str, int]]:
        if self._upstreams is not None:
            return self._upstreams
        with contextlib.suppress(OSError):
            stamp = self._path.stat().st_mtime_ns
            if stamp != self._stamp:
                self._stamp, self._found = stamp, upstreams(self._path, self._own)
        return self._found

    async def _ask_upstreams(self, message: bytes, tcp: bool) -> bytes:
        servers = self._servers()
        if not servers:
            raise Unanswered("no nameserver is configured on this machine")
        message = dns_wire.renumber(message, secrets.token_bytes(2))
        last: BaseException | None = None
        try:
            async with asyncio.timeout(DEADLINE):
                while True:
                    for server in servers:
                        try:
                            async with asyncio.timeout(TRY_SECONDS):
                                return await (_over_tcp if tcp else _over_udp)(server, message)
                        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                            last = error
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise Unanswered(f"no answer within {DEADLINE:g} s: {last!r}") from None


async def _over_udp(server: tuple[str, int], message: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    transport, exchange = await loop.create_datagram_endpoint(lambda: _Exchange(message), remote_addr=server)
    try:
        return await exchange.answer
    finally:
        transport.close()


async def _over_tcp(server: tuple[str, int], message: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*server)
    try:
        writer.write(struct.pack("!H", len(message)) + message)
        await writer.drain()
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        answer = await reader.readexactly(length)
        if answer[:2] != message[:2]:
            raise OSError("the answer is to another question")
        return answer
    finally:
        writer.close()
