"""HTTP/1.1 for the REST client: httpx's transport interface over asyncio protocols and httptools.

Why not httpx's own: its pool looks at every connection for every request, and a daemon holds a dozen watches open; measured
here, a request costs a third of the time this way. Promises: a connection carries one request at a time and is kept for the
next only when its response was read to the end; one that the server closes while idle is never used again; a request that is
given up closes its connection; every failure is an httpx.TransportError, and ConnectError, ConnectTimeout or PoolTimeout
exactly when nothing has been sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import httptools
import httpx

_BUFFER_BYTES = 256 << 10
_IDLE_SECONDS = 60.0
_MAX_CONNECTIONS = 256
_HANGUP = "the server closed the connection before the response was complete"

_Origin = tuple[str, str, int, str]
"""Scheme, host, port, name to verify."""


class _Connection(asyncio.Protocol):
    """One socket: at most one request under way. `complete` once its response has been received whole."""

    def __init__(self, transport: Transport, origin: _Origin) -> None:
        self.pool, self.origin = transport, origin
        self.expiry: asyncio.TimerHandle | None = None
        self.closed = False
        self._socket: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._parser: Any = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._error: Exception | None = None
        self._begin("GET")
        self.complete = True

    def _begin(self, method: str) -> None:
        self.method = method
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.started = False
        self.complete = False
        self._delimited = False
        self._keep_alive = False
        self._body: deque[bytes] = deque()
        self._buffered = 0

    # --- what the event loop calls

    def connection_made(self, transport: Any) -> None:
        self._socket = transport

    def data_received(self, data: bytes) -> None:
        if self.complete:
            self.close()  # nobody asked: the server and we no longer agree on where a response begins
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._error = httpx.RemoteProtocolError(str(error))
            self.close()
        if self._buffered > _BUFFER_BYTES and self._socket is not None:
            self._socket.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        return None

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if self.started and not self._delimited and error is None:
            self.complete = True  # neither length nor chunks: the end of the stream is the end of the body
        if not self.complete and self._error is None:
            self._error = httpx.ReadError(str(error)) if error else httpx.RemoteProtocolError(_HANGUP)
        self.pool.discard(self)
        self._writable.set()
        self._wake()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # --- what the parser calls

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._delimited = True

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self.headers.clear()
            return
        self.status, self.started = status, True
        self._keep_alive = bool(self._parser.should_keep_alive())
        if self.method == "HEAD":
            self.complete = True

    def on_body(self, data: bytes) -> None:
        self._body.append(data)
        self._buffered += len(data)

    def on_message_complete(self) -> None:
        if self.started:
            self.complete = True

    # --- what a request does

    async def send(self, head: bytes, body: bytes, method: str, seconds: float | None) -> None:
        """Write a request whole. Raises httpx.WriteTimeout, ConnectError."""
        self._begin(method)
        if self._socket is None or self.closed:
            raise httpx.ConnectError("the connection is closed")
        self._socket.write(head + body)
        if not self._writable.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self._writable.wait()
            except TimeoutError:
                raise httpx.WriteTimeout(f"the server took nothing for {seconds:g} s") from None

    async def head(self, seconds: float | None) -> None:
        """Wait for status and headers. Raises httpx.ReadTimeout, ReadError, RemoteProtocolError."""
        while not self.started:
            await self._wait(seconds)

    async def chunks(self, seconds: float | None) -> AsyncIterator[bytes]:
        """The body as it arrives; `seconds` is the longest silence. Raises as `head` does."""
        while True:
            while self._body:
                piece = self._body.popleft()
                self._buffered -= len(piece)
                if not self._body and self._socket is not None and not self.closed:
                    self._socket.resume_reading()
                yield piece
            if self.complete:
                return
            await self._wait(seconds)

    async def _wait(self, seconds: float | None) -> None:
        if self._error is not None:
            raise self._error
        if self.closed:
            raise httpx.ReadError("the connection is closed")
        self._waiter = self._loop.create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._waiter
        except TimeoutError:
            raise httpx.ReadTimeout(f"nothing received for {seconds:g} s") from None
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    @property
    def reusable(self) -> bool:
        """Whether the next request may use it."""
        done = self.complete and not self.closed and not self._body and self.method != "HEAD"
        return done and self._keep_alive

    def close(self) -> None:
        """Give the socket up at once."""
        self.closed = True
        if self._socket is not None:
            self._socket.abort()


class _Body(httpx.AsyncByteStream):
    """A response's body; closing it returns the connection to the pool, or closes it too."""

    def __init__(self, connection: _Connection, seconds: float | None) -> None:
        self._connection, self._seconds = connection, seconds
        self._released = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._connection.chunks(self._seconds):
            yield piece

    async def aclose(self) -> None:
        if not self._released:
            self._released = True
            self._connection.pool.release(self._connection)


class Transport(httpx.AsyncBaseTransport):
    """Connections to any number of origins, kept alive between requests."""

    def __init__(
        self, context: ssl.SSLContext, *, max_connections: int = _MAX_CONNECTIONS, idle: float = _IDLE_SECONDS
    ) -> None:
        self._context, self._idle_seconds = context, idle
        self._free: dict[_Origin, list[_Connection]] = {}
        self._all: set[_Connection] = set()
        self._places = asyncio.Semaphore(max_connections)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the response's body is still to be read. Raises httpx.TransportError."""
        timeouts: dict[str, float | None] = request.extensions.get("timeout", {})
        body = await request.aread()
        connection = await self._connection(_origin(request), timeouts)
        try:
            await connection.send(_head(request), body, request.method, timeouts.get("write"))
            await connection.head(timeouts.get("read"))
        except BaseException:
            connection.complete = False
            self.release(connection)
            raise
        stream = _Body(connection, timeouts.get("read"))
        return httpx.Response(connection.status, headers=connection.headers, stream=stream)

    async def _connection(self, origin: _Origin, timeouts: dict[str, float | None]) -> _Connection:
        seconds = timeouts.get("pool")
        try:
            async with asyncio.timeout(seconds):
                await self._places.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout(f"no connection came free within {seconds:g} s") from None
        free = self._free.get(origin)
        while free:
            connection = free.pop()
            if connection.expiry is not None:
                connection.expiry.cancel()
            if not connection.closed:
                return connection
        try:
            return await self._connect(origin, timeouts.get("connect"))
        except BaseException:
            self._places.release()
            raise

    async def _connect(self, origin: _Origin, seconds: float | None) -> _Connection:
        scheme, host, port, name = origin
        secure = scheme == "https"
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                _, connection = await loop.create_connection(
                    lambda: _Connection(self, origin),
                    host,
                    port,
                    ssl=self._context if secure else None,
                    server_hostname=name if secure else None,
                )
        except TimeoutError:
            raise httpx.ConnectTimeout(f"no connection within {seconds:g} s") from None
        except (OSError, ssl.SSLError) as error:
            raise httpx.ConnectError(str(error)) from error
        self._all.add(connection)
        return connection

    def release(self, connection: _Connection) -> None:
        """Take a connection back after its request."""
        self._places.release()
        if not connection.reusable:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        connection.expiry = loop.call_later(self._idle_seconds, connection.close)
        self._free.setdefault(connection.origin, []).append(connection)

    def discard(self, connection: _Connection) -> None:
        """Forget a connection that is closed."""
        self._all.discard(connection)
        if connection.expiry is not None:
            connection.expiry.cancel()
        with contextlib.suppress(ValueError):
            self._free.get(connection.origin, []).remove(connection)

    async def aclose(self) -> None:
        """Close every connection."""
        for connection in list(self._all):
            connection.close()
        self._free.clear()
        await asyncio.sleep(0)  # the loop tells each connection that it is lost in its next turn


def _origin(request: httpx.Request) -> _Origin:
    url = request.url
    port = url.port or (443 if url.scheme == "https" else 80)
    return url.scheme, url.host, port, request.extensions.get("sni_hostname") or url.host


def _head(request: httpx.Request) -> bytes:
    lines = [b"%s %s HTTP/1.1\r\n" % (request.method.encode(), request.url.raw_path)]
    lines += [b"%s: %s\r\n" % pair for pair in request.headers.raw]
    lines.append(b"\r\n")
    return b"".join(lines)
