"""port-forward over WebSocket: connections of a client become connections to a pod's own loopback.

Two subprotocols. `SPDY/3.1+portforward.k8s.io` (KEP-4006, kubectl): binary messages are a SPDY byte stream; a connection is
a pair of streams, `error` and `data`, that share a request id; each direction of `data` may end by itself. `v4.channel.k8s.io`:
port n of the query has channels 2n (data) and 2n+1 (error), each begun by the server with the port (two bytes, little endian).

Promises: what a pod does not take is held up to `BUFFER` bytes per connection, then the client is not read any further; a
connection that holds up all others for `STALL_SECONDS` is broken off. What a client sent before it left is still delivered.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.errors import ApiError, BadRequest
from api.types import Object
from kubelet import netns, spdy
from kubelet.store import ContainerStore

SPDY, CHANNELS = "SPDY/3.1+portforward.k8s.io", "v4.channel.k8s.io"
BUFFER = 256 << 10
STALL_SECONDS = 60.0
PAIR_SECONDS = 30.0
LINGER_SECONDS = 2.0
MOST_CONNECTIONS = 256
_MOST_PORTS = 64
_CHUNK = 32 << 10

Dial = Callable[[int], Awaitable[socket.socket]]
Send = Callable[[bytes], Awaitable[None]]


class Target(Protocol):
    """The pod that is meant: a `PodWorker`."""

    pod: Object
    uid: str


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


class _Session:
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


@dataclass(eq=False, slots=True)
class _Request:
    """One connection of kubectl: two streams, 0 as long as they are not there."""

    port: int
    error: int = 0
    data: int = 0
    inbox: Inbox = field(default_factory=Inbox)
    paired: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class SpdySession(_Session):
    """Any number of connections, one after the other or at once, over SPDY."""

    def __init__(self, client: WebSocket, dial: Dial, pod: str) -> None:
        super().__init__(client, dial, pod)
        self._reader, self._writer = spdy.Reader(), spdy.Writer()
        self._requests: dict[str, _Request] = {}
        self._streams: dict[int, _Request] = {}
        self._last = 0

    async def run(self) -> None:
        """Returns when the client has left or does not keep to the protocol."""
        try:
            while (message := await self._receive()) is not None:
                for frame in self._reader.feed(message):
                    await self._take(frame)
            await self._finish(request.inbox for request in self._requests.values())
        except spdy.SpdyError:
            await self._frame(spdy.GoAway(self._last, spdy.PROTOCOL_ERROR))
            await self._close()
        finally:
            await self._cancel()

    async def _frame(self, *frames: spdy.Frame) -> None:
        for frame in frames:
            await self._send(self._writer.encode(frame))

    async def _take(self, frame: spdy.Frame) -> None:
        match frame:
            case spdy.SynStream(stream, headers, fin):
                self._last = max(self._last, stream)
                reason = self._open(stream, headers)
                await self._frame(spdy.Reset(stream, reason) if reason else spdy.SynReply(stream))
                if fin:
                    await self._take(spdy.Data(stream, fin=True))
            case spdy.Data(stream, data, fin):
                await self._data(stream, data, fin)
            case spdy.Reset(stream):
                await self._abort(stream)
            case spdy.Ping(number) if number % 2:
                await self._frame(frame)

    def _open(self, stream: int, headers: Any) -> int:
        """Note a new stream. Returns why it is refused, 0 if it is not."""
        kind, port = headers.get("streamtype", ""), headers.get("port", "")
        if kind not in ("error", "data") or not stream % 2 or stream in self._streams or not _is_port(port):
            return spdy.PROTOCOL_ERROR
        # Old clients give no id: their data stream comes right after the error stream, and ids grow by two.
        key = headers.get("requestid") or str(stream if kind == "error" else stream - 2)
        request = self._requests.get(key)
        if request is None:
            if len(self._requests) >= MOST_CONNECTIONS:
                return spdy.REFUSED_STREAM
            request = self._requests[key] = _Request(int(port))
            request.task = asyncio.create_task(self._serve(key, request), name=f"port-forward {self._pod} {port}")
            self._tasks.add(request.task)
            request.task.add_done_callback(self._tasks.discard)
        if getattr(request, kind) or request.port != int(port):
            return spdy.PROTOCOL_ERROR
        setattr(request, kind, stream)
        self._streams[stream] = request
        if request.error and request.data:
            request.paired.set()
        return 0

    async def _data(self, stream: int, data: bytes, fin: bool) -> None:
        request = self._streams.get(stream)
        if request is None or stream != request.data:
            # A connection that has ended while this was on its way; and nothing is read from error streams.
            return
        try:
            if data:
                await request.inbox.put(data)
        except TimeoutError:
            await self._abort(stream)
            await self._frame(spdy.Reset(stream, spdy.CANCEL))
        if fin:
            request.inbox.end()

    async def _abort(self, stream: int) -> None:
        request = self._streams.get(stream)
        if request is None or request.task is None:
            return
        request.task.cancel()
        self._forget(request)
        if request.error and stream != request.error:
            await self._frame(spdy.Data(request.error, fin=True))

    def _forget(self, request: _Request) -> None:
        request.inbox.close()
        for stream in (request.error, request.data):
            self._streams.pop(stream, None)
        for key in [key for key, each in self._requests.items() if each is request]:
            del self._requests[key]

    async def _serve(self, key: str, request: _Request) -> None:
        """One connection from its first stream to its end, which the error stream tells by ending, with or without text."""
        try:
            async with asyncio.timeout(PAIR_SECONDS):
                await request.paired.wait()
        except TimeoutError:
            self._forget(request)
            await self._frame(spdy.Reset(request.error or request.data, spdy.CANCEL))
            return
        end: spdy.Frame = spdy.Data(request.data, fin=True)
        problem = b""
        try:
            connection = await self._dial(request.port)
        except OSError as error:
            problem = self._problem(request.port, error)
        else:
            try:
                await carry(connection, request.inbox, lambda piece: self._frame(spdy.Data(request.data, piece)))
            except OSError:
                # The pod broke off: that is for the client's own connection to see, no failure of forwarding.
                end = spdy.Reset(request.data, spdy.CANCEL)
        self._forget(request)
        await self._frame(spdy.Data(request.error, problem, fin=True), end)


class ChannelSession(_Session):
    """One connection for each port of the query, made at once."""

    def __init__(self, client: WebSocket, dial: Dial, pod: str, ports: Sequence[int]) -> None:
        super().__init__(client, dial, pod)
        self._ports = ports
        self._inboxes = [Inbox() for _ in ports]

    async def run(self) -> None:
        """Returns when the client has left or all connections have ended."""
        serving = [asyncio.create_task(self._serve(*each)) for each in enumerate(self._ports)]
        self._tasks.update(serving)
        receiving = asyncio.create_task(self._feed(serving))
        everything = asyncio.gather(*serving, return_exceptions=True)
        try:
            await asyncio.wait((receiving, everything), return_when=asyncio.FIRST_COMPLETED)
            if everything.done():
                await self._close()
            else:
                await self._finish(self._inboxes)
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)
            await self._cancel()

    async def _feed(self, serving: Sequence[asyncio.Task[None]]) -> None:
        while (message := await self._receive()) is not None:
            number, kind = divmod(message[0], 2) if message else (0, 1)
            if kind or number >= len(self._inboxes) or len(message) < 2:
                continue
            try:
                await self._inboxes[number].put(message[1:])
            except TimeoutError:
                serving[number].cancel()
                self._inboxes[number].close()

    async def _serve(self, index: int, port: int) -> None:
        data, error = bytes((2 * index,)), bytes((2 * index + 1,))
        for channel in (data, error):
            await self._send(channel + struct.pack("<H", port))
        try:
            connection = await self._dial(port)
        except OSError as fault:
            self._inboxes[index].close()
            await self._send(error + self._problem(port, fault))
            return
        with suppress(OSError):
            await carry(connection, self._inboxes[index], lambda piece: self._send(data + piece))


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536


def _ports(words: Sequence[str]) -> list[int]:
    """The ports of the query, each of which may be a list. Raises BadRequest."""
    found = [port.strip() for word in words for port in word.split(",")]
    if not found:
        raise BadRequest('query parameter "port" is required')
    if len(found) > _MOST_PORTS or not all(_is_port(port) for port in found):
        raise BadRequest(f'query parameter "port" names up to {_MOST_PORTS} ports: {",".join(found)[:100]}')
    return [int(port) for port in found]


def routes(find: Callable[[dict[str, Any]], Target], store: ContainerStore) -> list[WebSocketRoute]:
    """The server's endpoint. `find` gives the pod of a path's parameters or raises NotFound."""

    async def endpoint(client: WebSocket) -> None:
        offered = client.scope.get("subprotocols") or ()
        ports: list[int] = []
        try:
            target = find(client.path_params)
            protocol = next((name for name in (SPDY, CHANNELS) if name in offered), None)
            if protocol is None:
                raise BadRequest(f"none of the offered subprotocols is one of {SPDY}, {CHANNELS}")
            if protocol == CHANNELS:
                ports = _ports(client.query_params.getlist("port"))
        except ApiError as error:
            await client.send_denial_response(PlainTextResponse(error.message, error.code))
            return

        async def dial(port: int) -> socket.socket:
            # Asked for each connection: the sandbox may be another one by now.
            for state in store.pod(target.uid):
                if state.is_sandbox and state.phase == "running" and state.pid:
                    return await netns.connect(state.pid, port)
            raise OSError("the pod does not run")

        await client.accept(subprotocol=protocol)
        name = f"{target.pod['metadata']['name']}, uid {target.uid}"
        session = ChannelSession(client, dial, name, ports) if ports else SpdySession(client, dial, name)
        await session.run()

    paths = ("/portForward/{namespace}/{pod}", "/portForward/{namespace}/{pod}/{uid}")
    return [WebSocketRoute(path, endpoint) for path in paths]
