"""What port-forward's two protocols have in common: bytes from a client to a pod and back, with bounded buffers.

Promises: what a pod does not take is held up to `BUFFER` bytes per connection, then the client is not read any further; a
connection that holds up all others for `STALL_SECONDS` is broken off. What a client sent before it left is still delivered.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

BUFFER = 256 << 10
STALL_SECONDS = 60.0
LINGER_SECONDS = 2.0
_CHUNK = 32 << 10

Dial = Callable[[int], Awaitable[socket.socket]]
"""Connects to a port of the pod. Raises OSError with a text for people."""
Send = Callable[[bytes], Awaitable[None]]


class Inbox:
    """What a client has sent and the pod has not taken yet."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._ended = self._closed = False
        self._filled, self._drained = asyncio.Event(), asyncio.Event()

    async def put(self, data: bytes) -> None:
        """Add a piece; returns when there is room for another. Raises TimeoutError when there is none for too long."""
        if self._closed or self._ended:
            return
        self._pieces.append(data)
        self._size += len(data)
        self._filled.set()
        if self._size > BUFFER:
            self._drained.clear()
            async with asyncio.timeout(STALL_SECONDS):
                await self._drained.wait()

    def end(self) -> None:
        """The client sends no more."""
        self._ended = True
        self._filled.set()

    def close(self) -> None:
        """Nobody takes any more: what comes is dropped."""
        self._closed = True
        self._drained.set()

    async def take(self) -> bytes:
        """All there is, empty at the end."""
        while not self._pieces and not self._ended:
            self._filled.clear()
            await self._filled.wait()
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        self._drained.set()
        return data


async def carry(connection: socket.socket, inbox: Inbox, send: Send) -> None:
    """Pass bytes both ways until the pod ends its side. Raises OSError when it breaks off."""
    reader, writer = await asyncio.open_connection(sock=connection, limit=_CHUNK)
    upward = asyncio.create_task(_upward(inbox, writer))
    try:
        while piece := await reader.read(_CHUNK):
            await send(piece)
    finally:
        inbox.close()
        upward.cancel()
        await asyncio.gather(upward, return_exceptions=True)
        writer.transport.abort()


async def _upward(inbox: Inbox, writer: asyncio.StreamWriter) -> None:
    # What goes wrong here goes wrong for the reader too, and is told there.
    with suppress(OSError):
        while data := await inbox.take():
            writer.write(data)
            await writer.drain()
        writer.write_eof()


class Session:
    """One WebSocket. Once the client has left, what is sent to it is dropped."""

    def __init__(self, client: WebSocket, dial: Dial, pod: str) -> None:
        self._client, self._dial, self._pod = client, dial, pod
        self._gone = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def _receive(self) -> bytes | None:
        """The next message, None when the client has left."""
        if self._gone:
            return None
        message = await self._client.receive()
        if message["type"] != "websocket.receive":
            return None
        return message.get("bytes") or b""

    async def _send(self, data: bytes) -> None:
        if self._gone:
            return
        try:
            await self._client.send_bytes(data)
        except (WebSocketDisconnect, RuntimeError):
            self._gone = True

    def _problem(self, port: int, error: object) -> bytes:
        return f"error forwarding port {port} to pod {self._pod}: {error}".encode()

    async def _finish(self, inboxes: Iterable[Inbox]) -> None:
        """The client has left: deliver what it sent, then end."""
        self._gone = True
        for inbox in inboxes:
            inbox.end()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LINGER_SECONDS)

    async def _cancel(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _close(self) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):
            await self._client.close()


def is_port(text: str) -> bool:
    """Whether a word is the number of a TCP port."""
    return text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536
