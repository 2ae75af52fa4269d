"""port-forward's two sessions over a WebSocket and a pod that exist in memory only."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette

from api.errors import NotFound
from api.types import Object
from kubelet import forward_spdy, forwarding, netns, port_forward
from kubelet.forward_channels import ChannelSession
from kubelet.forward_spdy import SpdySession
from kubelet.forwarding import Inbox
from kubelet.spdy import Data, Frame, GoAway, Ping, Reader, Reset, SynReply, SynStream, Writer
from kubelet.store import ContainerStore

pytestmark = pytest.mark.timeout(30)


class Client:
    """The WebSocket as the kubelet sees it."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.got: asyncio.Queue[bytes] = asyncio.Queue()
        self.unread = 0
        """How many messages waited when the last answer was given."""
        self.closed = False

    async def receive(self) -> dict[str, Any]:
        return await self.sent.get()

    async def send_bytes(self, data: bytes) -> None:
        self.unread = self.sent.qsize()
        self.got.put_nowait(data)

    async def close(self) -> None:
        self.closed = True

    def send(self, data: bytes) -> None:
        self.sent.put_nowait({"type": "websocket.receive", "bytes": data})

    def leave(self) -> None:
        self.sent.put_nowait({"type": "websocket.disconnect", "code": 1000})


class Pod:
    """What listens in the pod: each dial makes a pair of sockets, or fails."""

    def __init__(self) -> None:
        self.ends: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        self.dialled: list[int] = []
        self.fault: OSError | None = None

    async def dial(self, port: int) -> socket.socket:
        self.dialled.append(port)
        if self.fault:
            raise self.fault
        near, far = socket.socketpair()
        near.setblocking(False)
        self.ends.put_nowait(await asyncio.open_connection(sock=far))
        return near


class Spdy:
    """A client that speaks SPDY."""

    def __init__(self, client: Client, pod: Pod) -> None:
        self.client, self.pod = client, pod
        self._writer, self._reader = Writer(), Reader()
        self.session = asyncio.create_task(SpdySession(client, pod.dial, "a, uid u").run())  # type: ignore[arg-type]

    def send(self, *frames: Frame) -> None:
        for frame in frames:
            self.client.send(self._writer.encode(frame))

    async def frame(self) -> Frame:
        (found,) = self._reader.feed(await self.client.got.get())
        return found

    async def open(self, first: int = 1, port: str = "80") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for stream, kind in ((first, "error"), (first + 2, "data")):
            self.send(SynStream(stream, {"streamType": kind, "port": port, "requestID": str(first)}))
            assert await self.frame() == SynReply(stream)
        return await self.pod.ends.get()


@pytest.fixture
async def pod() -> Pod:
    return Pod()


@pytest.fixture
async def client(pod: Pod) -> AsyncIterator[Spdy]:
    made = Spdy(Client(), pod)
    yield made
    made.client.leave()
    await made.session


async def test_each_side_ends_by_itself(client: Spdy) -> None:
    reader, writer = await client.open()
    client.send(Data(3, b"ask"), Data(3, fin=True))
    assert await reader.read() == b"ask"
    writer.write(b"answer")
    assert await client.frame() == Data(3, b"answer")
    writer.close()
    assert [await client.frame(), await client.frame()] == [Data(1, fin=True), Data(3, fin=True)]


async def test_connections_do_not_mix(client: Spdy) -> None:
    one, other = await client.open(1), await client.open(5, "81")
    client.send(Data(7, b"other"), Data(3, b"one"))
    assert (await one[0].readexactly(3), await other[0].readexactly(5)) == (b"one", b"other")
    assert client.pod.dialled == [80, 81]
    other[1].close()
    assert [await client.frame(), await client.frame()] == [Data(5, fin=True), Data(7, fin=True)]
    one[1].write(b"still here")
    assert await client.frame() == Data(3, b"still here")
    one[1].close()


async def test_a_port_where_nobody_listens(client: Spdy) -> None:
    client.pod.fault = OSError("failed to connect: connection refused")
    for stream, kind in ((1, "error"), (3, "data")):
        client.send(SynStream(stream, {"streamtype": kind, "port": "81", "requestid": "0"}))
        assert await client.frame() == SynReply(stream)
    text = b"error forwarding port 81 to pod a, uid u: failed to connect: connection refused"
    assert [await client.frame(), await client.frame()] == [Data(1, text, fin=True), Data(3, fin=True)]


async def test_a_reset_ends_one_connection(client: Spdy) -> None:
    reader, writer = await client.open()
    client.send(Reset(3), Data(3, b"late"), Ping(1))
    assert [await client.frame(), await client.frame()] == [Data(1, fin=True), Ping(1)]
    assert await reader.read() == b""
    writer.close()
    _, writer = await client.open(5)
    writer.close()


@pytest.mark.parametrize(
    ("stream", "headers"),
    [
        (1, {}),
        (1, {"streamtype": "data", "port": "0"}),
        (1, {"streamtype": "data", "port": "65536"}),
        (1, {"streamtype": "data", "port": "http"}),
        (1, {"streamtype": "data"}),
        (1, {"streamtype": "stdin", "port": "80"}),
        (2, {"streamtype": "data", "port": "80"}),
    ],
)
async def test_refused_streams(client: Spdy, stream: int, headers: dict[str, str]) -> None:
    client.send(SynStream(stream, headers))
    assert await client.frame() == Reset(stream, 1)


async def test_a_stream_is_opened_once(client: Spdy) -> None:
    headers = {"streamtype": "error", "port": "80", "requestid": "0"}
    client.send(SynStream(1, headers), SynStream(1, headers), SynStream(3, headers))
    assert [await client.frame() for _ in range(3)] == [SynReply(1), Reset(1, 1), Reset(3, 1)]


async def test_old_clients_give_no_request_id(client: Spdy) -> None:
    client.send(SynStream(1, {"streamtype": "error", "port": "80"}), SynStream(3, {"streamtype": "data", "port": "80"}))
    assert [await client.frame(), await client.frame()] == [SynReply(1), SynReply(3)]
    _, writer = await client.pod.ends.get()
    writer.close()


async def test_too_many_connections(client: Spdy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward_spdy, "MOST_CONNECTIONS", 1)
    _, writer = await client.open()
    client.send(SynStream(5, {"streamtype": "error", "port": "80", "requestid": "5"}))
    assert await client.frame() == Reset(5, 3)
    writer.close()


async def test_a_stream_that_stays_alone(client: Spdy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward_spdy, "PAIR_SECONDS", 0.01)
    client.send(SynStream(1, {"streamtype": "error", "port": "80", "requestid": "0"}))
    assert [await client.frame(), await client.frame()] == [SynReply(1), Reset(1, 5)]


async def test_rubbish_ends_the_session(client: Spdy) -> None:
    _, writer = await client.open()
    client.client.send(b"GET / HTTP/1.1\r\n")
    assert await client.frame() == GoAway(3, 1)
    await client.session
    assert client.client.closed
    writer.close()


async def test_what_was_sent_before_leaving_arrives(client: Spdy) -> None:
    reader, writer = await client.open()
    data = os.urandom(1 << 20)
    for start in range(0, len(data), 1 << 15):
        client.send(Data(3, data[start : start + (1 << 15)]))
    client.client.leave()
    assert await reader.read() == data
    writer.close()


async def test_a_pod_that_takes_nothing_stops_the_client_and_in_the_end_loses_it(
    client: Spdy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "STALL_SECONDS", 0.05)
    reader, writer = await client.open()
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    count = 1 << 10
    client.send(*(Data(3, bytes(1 << 15)) for _ in range(count)))
    assert [await client.frame(), await client.frame()] == [Data(1, fin=True), Reset(3, 5)]
    assert client.client.unread > count // 2
    client.send(Ping(1))
    assert await client.frame() == Ping(1)
    writer.transport.resume_reading()  # type: ignore[attr-defined]
    assert 0 < len(await reader.read()) < 8 << 20
    writer.close()


async def test_inbox_waits_for_room() -> None:
    inbox = Inbox()
    await inbox.put(bytes(forwarding.BUFFER))
    putting = asyncio.create_task(inbox.put(b"x"))
    await asyncio.sleep(0)
    assert not putting.done()
    assert len(await inbox.take()) == forwarding.BUFFER + 1
    await putting
    inbox.end()
    assert await inbox.take() == b""


# --- channels ---------------------------------------------------------------------------------------------------------


async def test_channels(pod: Pod) -> None:
    client = Client()
    session = asyncio.create_task(ChannelSession(client, pod.dial, "a, uid u", [80, 8080]).run())  # type: ignore[arg-type]
    greetings = {await client.got.get() for _ in range(4)}
    assert greetings == {b"\x00P\x00", b"\x01P\x00", b"\x02\x90\x1f", b"\x03\x90\x1f"}
    ends = dict(zip(pod.dialled, [await pod.ends.get(), await pod.ends.get()], strict=True))
    client.send(b"\x02hi")
    client.send(b"")
    client.send(b"\x01ignored")
    client.send(b"\x09ignored")
    assert await ends[8080][0].readexactly(2) == b"hi"
    ends[80][1].write(b"answer")
    assert await client.got.get() == b"\x00answer"
    for _, writer in ends.values():
        writer.close()
    await session
    assert client.closed


async def test_channels_tell_of_a_port_where_nobody_listens(pod: Pod) -> None:
    client, pod.fault = Client(), OSError("connection refused")
    await ChannelSession(client, pod.dial, "a, uid u", [81]).run()  # type: ignore[arg-type]
    found = [client.got.get_nowait() for _ in range(3)]
    assert found[2] == b"\x01error forwarding port 81 to pod a, uid u: connection refused" and client.closed


async def test_channels_deliver_what_was_sent_before_leaving(pod: Pod) -> None:
    client = Client()
    session = asyncio.create_task(ChannelSession(client, pod.dial, "a, uid u", [80]).run())  # type: ignore[arg-type]
    reader, writer = await pod.ends.get()
    client.send(b"\x00last words")
    client.leave()
    assert await reader.read() == b"last words"
    writer.close()
    await session


# --- the endpoint and the namespace -----------------------------------------------------------------------------------


class Target:
    def __init__(self) -> None:
        self.pod: Object = {"metadata": {"name": "a"}}
        self.uid = "u"


def _find(parameters: dict[str, Any]) -> Target:
    if parameters["pod"] != "a":
        raise NotFound("no such pod")
    return Target()


@pytest.mark.parametrize(
    ("path", "protocols", "code"),
    [
        ("/portForward/n/b", [port_forward.SPDY], 404),
        ("/portForward/n/a", ["v9"], 400),
        ("/portForward/n/a", [port_forward.CHANNELS], 400),
        ("/portForward/n/a?port=0", [port_forward.CHANNELS], 400),
        ("/portForward/n/a/u?port=x", [port_forward.CHANNELS], 400),
    ],
)
async def test_refused_handshakes(path: str, protocols: list[str], code: int) -> None:
    app = Starlette(routes=port_forward.routes(_find, ContainerStore(lambda uid: None)))
    where, _, query = path.partition("?")
    scope = {
        "type": "websocket", "path": where, "query_string": query.encode(), "headers": [], "subprotocols": protocols,
        "extensions": {"websocket.http.response": {}},
    }  # fmt: skip
    answers: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        answers.append(message)

    await app(scope, receive, send)
    assert answers[0]["type"] == "websocket.http.response.start" and answers[0]["status"] == code


async def test_connecting_in_this_very_namespace() -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    before = threading.active_count()
    try:
        made = await netns.connect(os.getpid(), port)
        assert made.getpeername() == ("127.0.0.1", port)
        made.close()
    finally:
        server.close()
        await server.wait_closed()
    assert threading.active_count() <= before + 1
    with pytest.raises(OSError, match=f"localhost:{port}.*127.0.0.1: connection refused"):
        await netns.connect(os.getpid(), port)
    with pytest.raises(OSError, match="No such file"):
        await netns.connect(2**30, port)
