"""The REST client's HTTP: aiohttp's connections and parser under httpx's interface (docs/decisions/0003).

Promises: a request that is given up, or whose response is not read to the end, closes its connection; a connection that the
server closed while idle is not used; nothing is sent twice behind the caller's back; every failure is an httpx.TransportError,
and ConnectError, ConnectTimeout or PoolTimeout only when nothing has been sent. The kernel closes a connection whose other
side has vanished after 25 seconds at most, also one on which nothing is being sent (a watch).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import sys
import time
import weakref
from collections.abc import AsyncIterator

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

_BUFFER_BYTES = 256 << 10
_HEADER_BYTES = 64 << 10
_PIECE_BYTES = 1 << 20  # aiohttp warns of more in one piece
_KEEPALIVE_SECONDS, _KEEPALIVE_INTERVAL, _UNACKNOWLEDGED_SECONDS = 10, 5, 20


class Transport(AiohttpTransport):
    """Connections to any number of origins, kept for `idle` seconds between requests; made in the loop of the first one.

    `outstanding` counts the requests that wait for an answer or read one, `waiting` those of them that wait for its head;
    `heard` is the monotonic time of the last answer or piece of one.
    """

    def __init__(self, context: ssl.SSLContext, *, max_connections: int = 256, idle: float = 60.0) -> None:
        def session() -> aiohttp.ClientSession:
            return aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    ssl=context,
                    limit=max_connections,
                    keepalive_timeout=idle,
                    socket_factory=self._socket,
                    # Older Pythons wait for a TLS farewell that may never come, and leak the socket.
                    enable_cleanup_closed=sys.version_info < (3, 12, 7),
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Accept-Encoding", "Content-Type", "User-Agent"),
                read_bufsize=_BUFFER_BYTES,
                max_line_size=_HEADER_BYTES,
                max_field_size=_HEADER_BYTES,
                middlewares=(_once,),
            )

        super().__init__(verify=context, trust_env=False, client=session)
        self.outstanding = self.waiting = 0
        self.heard = 0.0
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._closing: asyncio.Future[None] | None = None
        self._retired = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the response's body is still to be read. Raises httpx.TransportError."""
        body, extensions = await request.aread(), request.extensions
        if len(body) > _PIECE_BYTES:
            pieces = _pieces(body)
            request = httpx.Request(
                request.method, request.url, headers=request.headers, content=pieces, extensions=extensions
            )
        # aiohttp waits for ever for a server that takes nothing, so all limits together are one for the response's head.
        limits = list(extensions.get("timeout", {}).values())
        seconds = None if None in limits or not limits else sum(limits)
        self.outstanding += 1
        self.waiting += 1
        try:
            async with asyncio.timeout(seconds):
                response = await super().handle_async_request(request)
        except TimeoutError:
            self.left()
            raise httpx.WriteTimeout(f"no answer within {seconds:g} s") from None
        except BaseException:
            self.left()
            raise
        finally:
            self.waiting -= 1
        self.heard = time.monotonic()
        response.stream = _Body(response.stream, self)
        return response

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        """A socket that notices that its other side is gone: by probes when idle, by what is not acknowledged when not."""
        made = socket.socket(*address[:3])
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_SECONDS)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_INTERVAL)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_SECONDS * 1000)
        self._sockets.add(made)
        return made

    def left(self) -> None:
        """Count a request that is done (called by its response)."""
        self.outstanding -= 1
        self._close_if_idle()

    def retire(self) -> None:
        """Close as soon as no request is outstanding; no more are to be sent."""
        self._retired = True
        self._close_if_idle()

    def _close_if_idle(self) -> None:
        if self._retired and not self.outstanding and self._closing is None:
            self._closing = asyncio.ensure_future(super().aclose())

    def abort(self) -> None:
        """Cut every connection: what is outstanding fails now, whether or not the other side is there to hear of it."""
        for each in tuple(self._sockets):
            with contextlib.suppress(OSError):  # it is closed, or not yet connected
                # Without a wait for what was sent: the kernel would go on trying to send it.
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                each.shutdown(socket.SHUT_RDWR)

    async def aclose(self) -> None:
        """Close every connection."""
        self._retired = False
        if self._closing is not None:
            await self._closing
        await super().aclose()


class _Body(httpx.AsyncByteStream):
    """A response's body, whose failures cannot be taken for those of connecting."""

    def __init__(self, stream: object, transport: Transport) -> None:
        assert isinstance(stream, httpx.AsyncByteStream)  # noqa: S101 - said to the type checker
        self._stream = stream
        self._transport = transport
        self._open = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._stream:
                self._transport.heard = time.monotonic()
                yield piece
        except httpx.ReadTimeout:
            raise
        except (httpx.TransportError, aiohttp.ClientError, OSError, RuntimeError) as error:
            # aiohttp says by a RuntimeError that we closed the connection ourselves.
            raise httpx.ReadError(str(error)) from error

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            if self._open:
                self._open = False
                self._transport.left()


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), _PIECE_BYTES):
        yield body[start : start + _PIECE_BYTES]


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Tell errors before sending from those after. aiohttp would repeat a PUT, but only on errors of its own."""
    try:
        response = await handler(request)
    except aiohttp.ConnectionTimeoutError as error:
        raise httpx.ConnectTimeout(str(error)) from error
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError(str(error)) from error
    except aiohttp.ServerTimeoutError as error:
        raise httpx.ReadTimeout(str(error)) from error
    except OSError as error:
        raise httpx.ReadError(str(error)) from error
    except aiohttp.ClientError as error:
        raise httpx.RemoteProtocolError(str(error)) from error
    if response.status == 101:
        response.close()
        raise httpx.RemoteProtocolError("the server changed the protocol unasked")
    return response
