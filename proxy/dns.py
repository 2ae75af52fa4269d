"""Cluster DNS: UDP and TCP on one address, the cluster's names from the zone, all others forwarded.

An answer with at most one record is kept as bytes until the zone changes, so that the same question again costs a look-up;
answers with several addresses are turned round each time, for clients that take the first.
"""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Callable
from typing import Any, cast

import structlog
from dnslib import QTYPE, RR, DNSRecord
from prometheus_client import Counter

from proxy import dns_wire
from proxy.dns_forward import Forwarder, Unanswered
from proxy.dns_records import Answer, Zone

_KEPT, _TCP_SECONDS, _TCP_CONNECTIONS = 8192, 10.0, 256
QUERIES = Counter("cloudlet_dns_queries_total", "DNS questions by who answered.", ["by"])


class Resolver:
    """Turns a query message into an answer message."""

    def __init__(self, zone: Zone, forwarder: Forwarder) -> None:
        self._zone, self._forwarder = zone, forwarder
        self._kept: dict[bytes, bytes] = {}
        self._kept_for = -1
        self._log = structlog.get_logger("dns")

    def kept(self, message: bytes) -> bytes | None:
        """The answer over UDP if it was given before and still holds."""
        if self._kept_for != self._zone.generation:
            self._kept.clear()
            self._kept_for = self._zone.generation
        body = self._kept.get(message[2:])
        return message[:2] + body if body is not None else None

    async def resolve(self, message: bytes, *, tcp: bool = False) -> bytes:
        """The answer, ready to send; empty when there is nothing to say."""
        try:
            query = dns_wire.read(message)
        except dns_wire.Malformed as error:
            return error.reply
        if query.kind in ("AXFR", "IXFR"):
            return dns_wire.refuse(query, "REFUSED")
        try:
            if not self._zone.covers(query.name):
                QUERIES.labels("upstream").inc()
                reply = await self._forwarder.ask(message, tcp=tcp)
                return reply if tcp else dns_wire.fit(reply, query.limit)
            QUERIES.labels("zone").inc()
            return await self._own(message, query, tcp)
        except Unanswered as error:
            self._log.info("not resolved", name=query.name, why=str(error))
            return dns_wire.refuse(query, "SERVFAIL")

    async def _own(self, message: bytes, query: dns_wire.Query, tcp: bool) -> bytes:
        generation = self._zone.generation
        answer = self._zone.answer(query.name, query.kind)
        extra = await self._beyond(answer.outside, query.kind) if answer.outside else ()
        reply = dns_wire.write(query, _turned(answer), self._zone.domain, generation, extra)
        if tcp:
            return reply
        reply = dns_wire.fit(reply, query.limit)
        if len(answer.records) < 2 and not answer.outside and len(self._kept) < _KEPT and self._kept_for == generation:
            self._kept[message[2:]] = reply[2:]
        return reply

    async def _beyond(self, name: str, kind: str) -> tuple[RR, ...]:
        """What a CNAME out of the cluster leads to."""
        asked = DNSRecord.question(name, kind if kind != "ANY" else "A")
        reply = DNSRecord.parse(await self._forwarder.ask(bytes(asked.pack()), tcp=False))
        return tuple(rr for rr in reply.rr if rr.rtype != QTYPE.OPT)


def _turned(answer: Answer) -> Answer:
    """The same records, beginning anywhere; a CNAME stays in front of what it leads to."""
    records = answer.records
    if len(records) < 2 or any(kind == "CNAME" for _, kind, _ in records):
        return answer
    start = random.randrange(len(records))  # noqa: S311 (spreads load, no secret)
    return Answer(answer.exists, records[start:] + records[:start], answer.additional)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, resolver: Resolver, track: Callable[[asyncio.Task[None]], None]) -> None:
        self._resolver, self._track = resolver, track
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not every loop's transport inherits from the class it implements.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        kept = self._resolver.kept(data)
        if kept is not None:
            self._send(kept, addr)
        else:
            self._track(asyncio.ensure_future(self._answer(data, addr)))

    async def _answer(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._send(await self._resolver.resolve(data), addr)

    def _send(self, reply: bytes, addr: tuple[str | Any, int]) -> None:
        if reply and self._transport and not self._transport.is_closing():
            self._transport.sendto(reply, addr)


class DnsServer:
    """Serves a resolver on an address; use as an async context manager. Raises OSError when it cannot bind."""

    def __init__(self, resolver: Resolver, address: str, port: int = 53) -> None:
        self._resolver, self._address, self.port = resolver, address, port
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections = 0
        self._log = structlog.get_logger("dns")

    async def __aenter__(self) -> DnsServer:
        self._tcp = await asyncio.start_server(self._serve, self._address, self.port)
        self.port = self._tcp.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        try:
            self._udp, _ = await loop.create_datagram_endpoint(
                lambda: _Udp(self._resolver, self._track), local_addr=(self._address, self.port)
            )
        except OSError:
            self._tcp.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._udp.close()
        self._tcp.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _track(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            self._log.error("query failed", exc_info=task.exception())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Questions of one TCP connection, one after the other."""
        self._connections += 1
        try:
            while self._connections <= _TCP_CONNECTIONS:
                async with asyncio.timeout(_TCP_SECONDS):
                    (length,) = struct.unpack("!H", await reader.readexactly(2))
                    reply = await self._resolver.resolve(await reader.readexactly(length), tcp=True)
                    if not reply:
                        break
                    writer.write(struct.pack("!H", len(reply)) + reply)
                    await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            pass  # the client went away, or said nothing for too long
        finally:
            self._connections -= 1
            writer.close()
