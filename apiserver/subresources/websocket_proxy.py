"""One WebSocket behind another: the handshake is made with what the far side accepts, then messages go through unchanged."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import Any, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from api import errors
from apiserver.request import Reply, Request

OPEN_TIMEOUT = 15.0
SUBPROTOCOL = "Sec-WebSocket-Protocol"
_REASON_MAX = 120


class AnyProtocol(ClientConnection):
    """A connection that takes the subprotocol the far side has chosen as it stands.

    The library checks names against RFC 6455, which `SPDY/3.1+portforward.k8s.io` does not follow; client and kubelet agree
    on it all the same.
    """

    def __init__(self, protocol: ClientProtocol, **settings: Any) -> None:
        super().__init__(protocol, **settings)
        setattr(protocol, "process_subprotocol", _as_it_stands)  # noqa: B010 a method of one object


def _as_it_stands(headers: Headers) -> Subprotocol | None:
    found = headers.get(SUBPROTOCOL)
    return Subprotocol(found) if found else None


async def pass_through(
    request: Request, url: str, context: ssl.SSLContext | None, headers: Sequence[tuple[str, str]] = ()
) -> Reply | None:
    """Connect `url` (wss:// or ws://) with the client's subprotocols, accept the client with the one chosen, and relay.

    Returns the far side's answer when it refuses the handshake. Raises ServiceUnavailable when it cannot be reached.
    """
    offered = ", ".join(request.scope.get("subprotocols") or ())
    try:
        far = await connect(
            url,
            ssl=context,
            additional_headers=[*headers, *([(SUBPROTOCOL, offered)] if offered else [])],
            create_connection=AnyProtocol,
            compression=None,
            max_size=None,
            open_timeout=OPEN_TIMEOUT,
            ping_interval=None,
            close_timeout=5,
            proxy=None,
        )
    except InvalidStatus as error:
        response = error.response
        kind = response.headers.get("Content-Type", "text/plain")
        return Reply(response.status_code, bytes(response.body or b""), kind)
    except (OSError, TimeoutError, InvalidHandshake) as error:
        raise errors.ServiceUnavailable(f"error dialing backend: {error}") from error
    try:
        first = await request.receive()
        if first["type"] != "websocket.connect":
            return None
        await request.send({"type": "websocket.accept", "subprotocol": far.subprotocol})
        request.status = 101
        await _relay(request, far)
    finally:
        await far.close()
    return None


async def _relay(request: Request, far: ClientConnection) -> None:
    inward = asyncio.create_task(_inward(request, far))
    outward = asyncio.create_task(_outward(request, far))
    try:
        await asyncio.wait({inward, outward}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (inward, outward):
            task.cancel()
        results = await asyncio.gather(inward, outward, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, ConnectionClosed):
            raise result


async def _inward(request: Request, far: ClientConnection) -> None:
    """Client to far side, until the client closes."""
    while True:
        message = await request.receive()
        if message["type"] == "websocket.disconnect":
            await far.close(_code(message.get("code")), str(message.get("reason") or "")[:_REASON_MAX])
            return
        data = message.get("bytes")
        await far.send(cast(str, message["text"]) if data is None else data)


async def _outward(request: Request, far: ClientConnection) -> None:
    """Far side to client, until the far side closes; its closing code is passed on."""
    try:
        async for message in far:
            if isinstance(message, str):
                await request.send({"type": "websocket.send", "text": message})
            else:
                await request.send({"type": "websocket.send", "bytes": message})
    except ConnectionClosed:
        pass
    code = _code(far.close_code)
    await request.send({"type": "websocket.close", "code": code, "reason": (far.close_reason or "")[:_REASON_MAX]})


def _code(code: int | None) -> int:
    """Return a closing code that may be sent (RFC 6455, 7.4): the reserved ones are only ever observed."""
    return 1000 if code is None or code in (1005, 1015) else 1011 if code == 1006 else code
