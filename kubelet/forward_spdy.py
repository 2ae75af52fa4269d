"""port-forward as kubectl speaks it: SPDY in WebSocket messages, which cut its bytes anywhere. Source: KEP-4006.

A connection is a pair of streams, `error` and `data`, that share a request id. Each direction of `data` may end by itself;
`error` carries text if the connection could not be made, and ends when it is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.websockets import WebSocket

from kubelet import spdy
from kubelet.forwarding import Dial, Inbox, Session, carry, is_port

PAIR_SECONDS = 30.0
MOST_CONNECTIONS = 256


@dataclass(eq=False, slots=True)
class _Request:
    """One connection of kubectl: two streams, 0 as long as they are not there."""

    key: str
    port: int
    error: int = 0
    data: int = 0
    inbox: Inbox = field(default_factory=Inbox)
    paired: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class SpdySession(Session):
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

    def _open(self, stream: int, headers: Mapping[str, str]) -> int:
        """Note a new stream. Returns why it is refused, 0 if it is not."""
        kind, port = headers.get("streamtype", ""), headers.get("port", "")
        if kind not in ("error", "data") or not stream % 2 or stream in self._streams or not is_port(port):
            return spdy.PROTOCOL_ERROR
        # Old clients give no id: their data stream comes right after the error stream, and ids grow by two.
        key = headers.get("requestid") or str(stream if kind == "error" else stream - 2)
        request = self._requests.get(key)
        if request is None:
            if len(self._requests) >= MOST_CONNECTIONS:
                return spdy.REFUSED_STREAM
            request = self._requests[key] = _Request(key, int(port))
            request.task = asyncio.create_task(self._serve(request), name=f"port-forward {self._pod} {port}")
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
        self._requests.pop(request.key, None)

    async def _serve(self, request: _Request) -> None:
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
