"""The REST client's HTTP: aiohttp's connections and parser under httpx's interface (docs/decisions/0003).

Promises: a request that is given up, or whose response is not read to the end, closes its connection; a connection that the
server closed while idle is not used; nothing is sent twice behind the caller's back; every failure is an httpx.TransportError,
and ConnectError, ConnectTimeout or PoolTimeout only when nothing has been sent.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

_BUFFER_BYTES = 256 << 10
_HEADER_BYTES = 64 << 10
_PIECE_BYTES = 1 << 20  # aiohttp warns of more in one piece


class Transport(AiohttpTransport):
    """Connections to any number of origins, kept for `idle` seconds between requests; made in the loop of the first one."""

    def __init__(self, context: ssl.SSLContext, *, max_connections: int = 256, idle: float = 60.0) -> None:
        def session() -> aiohttp.ClientSession:
            return aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    ssl=context,
                    limit=max_connections,
                    keepalive_timeout=idle,
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
        try:
            async with asyncio.timeout(seconds):
                response = await super().handle_async_request(request)
        except TimeoutError:
            raise httpx.WriteTimeout(f"no answer within {seconds:g} s") from None
        response.stream = _Body(response.stream)
        return response


class _Body(httpx.AsyncByteStream):
    """A response's body, whose failures cannot be taken for those of connecting."""

    def __init__(self, stream: object) -> None:
        assert isinstance(stream, httpx.AsyncByteStream)  # noqa: S101 - said to the type checker
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._stream:
                yield piece
        except httpx.ReadTimeout:
            raise
        except (httpx.TransportError, aiohttp.ClientError, OSError, RuntimeError) as error:
            # aiohttp says by a RuntimeError that we closed the connection ourselves.
            raise httpx.ReadError(str(error)) from error

    async def aclose(self) -> None:
        await self._stream.aclose()


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
