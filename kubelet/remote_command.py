"""exec and attach over WebSocket: the subprotocols v4 and v5 `channel.k8s.io`.

Each binary message begins with a channel: 0 stdin, 1 stdout, 2 stderr, 3 the final Status as JSON, 4 a terminal size as JSON;
in v5, 255 closes the channel that the next byte names. Source: KEP-4006 and the API's `exec` subresource.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.types import Object
from kubelet.runtime import RuntimeFault, Stream

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _STATUS, _RESIZE, _CLOSE = 0, 1, 3, 4, 255


def choose_protocol(offered: Sequence[str]) -> str | None:
    """The first of ours that the client offers."""
    return next((p for p in PROTOCOLS if p in offered), None)


def exit_status(code: int, argv: Sequence[str]) -> Object:
    """The Status a finished command answers with."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: error executing command [{' '.join(argv)}], exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def error_status(message: str) -> Object:
    """The Status of a command that could not be run."""
    return {"metadata": {}, "status": "Failure", "message": message, "reason": "InternalError", "code": 500}


class Session:
    """Joins a WebSocket to a container's stream until one of them ends."""

    def __init__(self, socket: WebSocket, stream: Stream, *, stdin: bool, tty: bool) -> None:
        self._socket, self._stream, self._stdin, self._tty = socket, stream, stdin, tty

    async def run(self, argv: Sequence[str]) -> None:
        """Returns when the command has ended and its Status is sent, or the client has left."""
        # An empty message tells the client that the connection stands.
        await self._socket.send_bytes(bytes((_STDOUT,)))
        incoming = asyncio.ensure_future(self._receive())
        outgoing = asyncio.ensure_future(self._deliver())
        try:
            await asyncio.wait((incoming, outgoing), return_when=asyncio.FIRST_COMPLETED)
            if not outgoing.done():
                return
            outgoing.result()
            await self._finish(argv)
        except WebSocketDisconnect:
            return
        finally:
            for task in (incoming, outgoing):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                    await task
            await self._stream.close()

    async def _finish(self, argv: Sequence[str]) -> None:
        try:
            status = exit_status(await self._stream.exit_code(), argv)
        except RuntimeFault as error:
            status = error_status(str(error))
        await self._socket.send_bytes(bytes((_STATUS,)) + orjson.dumps(status))
        await self._socket.close()

    async def _deliver(self) -> None:
        while (piece := await self._stream.read()) is not None:
            channel, data = piece
            await self._socket.send_bytes(bytes((channel,)) + data)

    async def _receive(self) -> None:
        """Until the client leaves."""
        while True:
            message = await self._socket.receive()
            if message["type"] != "websocket.receive":
                return
            data: bytes = message.get("bytes") or (message.get("text") or "").encode()
            if data:
                await self._take(data)

    async def _take(self, data: bytes) -> None:
        channel, rest = data[0], data[1:]
        if channel == _STDIN and self._stdin:
            await self._stream.write(rest)
        elif channel == _RESIZE and self._tty:
            with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError, ValueError, RuntimeFault):
                size = orjson.loads(rest)
                await self._stream.resize(int(size["Width"]), int(size["Height"]))
        elif channel == _CLOSE and rest[:1] == bytes((_STDIN,)):
            await self._stream.close_stdin()
