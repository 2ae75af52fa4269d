"""The promises of the HTTP transport, against a server on loopback whose every answer is written by the test."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from client.transport import Transport

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def request_of(reader: asyncio.StreamReader) -> bytes:
    """One request: its head, and its body if it has a length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = [line.split(b":")[1] for line in head.lower().splitlines() if line.startswith(b"content-length:")]
    return head + (await reader.readexactly(int(length[0])) if length else b"")


class Server:
    """Counts connections and hands each to `talk`; the default answers every request with 200."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self.talk: Talk = self.answer
        self.url = ""
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await self.talk(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        self._tasks.discard(task)

    async def stop(self) -> None:
        self.hang_up()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes = OK) -> None:
        while True:
            self.requests.append(await request_of(reader))
            writer.write(body)
            await writer.drain()

    def always(self, response: bytes) -> None:
        """Answer every request with these bytes."""
        self.talk = lambda reader, writer: self.answer(reader, writer, response)

    def once(self, response: bytes) -> None:
        """Answer the first request of a connection, then hang up."""

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.requests.append(await request_of(reader))
            writer.write(response)
            await writer.drain()

        self.talk = talk

    def hang_up(self) -> None:
        """Close every connection, as a server that stops does."""
        for writer in self._writers:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    listening = await made.start()
    yield made
    listening.close()
    await made.stop()
    await listening.wait_closed()


def client_of(server: Server, **options: float) -> httpx.AsyncClient:
    transport = Transport(ssl.create_default_context(), **options)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url=server.url, timeout=5)


async def no_connections(transport: Transport) -> None:
    async with asyncio.timeout(5):
        while transport._all:  # noqa: ASYNC110 - the transport has no event for this
            await asyncio.sleep(0)


@pytest.fixture
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(server) as made:
        yield made


async def test_a_connection_is_used_again(server: Server, client: httpx.AsyncClient) -> None:
    for _ in range(3):
        assert (await client.get("/a?b=c")).text == "ok"
    assert server.connections == 1
    assert server.requests[0].startswith(b"GET /a?b=c HTTP/1.1\r\n")
    assert b"host: 127.0.0.1" in server.requests[0].lower()


async def test_a_body_is_sent(server: Server, client: httpx.AsyncClient) -> None:
    await client.post("/", content=b"x" * 3_000_000)
    assert server.requests[0].endswith(b"\r\n\r\n" + b"x" * 3_000_000)


async def test_requests_at_once_have_a_connection_each(server: Server, client: httpx.AsyncClient) -> None:
    together = asyncio.Barrier(3)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        await together.wait()
        writer.write(OK)
        await server.answer(reader, writer)

    server.talk = talk
    await asyncio.gather(*(client.get("/") for _ in range(3)))
    assert server.connections == 3
    await client.get("/")
    assert server.connections == 3


async def test_chunks_and_bodies_that_end_with_the_connection(server: Server, client: httpx.AsyncClient) -> None:
    server.always(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert (await client.get("/")).text == "abcde"
    assert (await client.get("/")).text == "abcde"
    assert server.connections == 1
    server.hang_up()
    await no_connections(client._transport)  # type: ignore[arg-type]
    server.once(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
    assert (await client.get("/")).text == "until the end"


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_statuses_without_a_body(server: Server, client: httpx.AsyncClient, status: bytes) -> None:
    server.always(b"HTTP/1.1 %s\r\n\r\n" % status)
    await client.get("/")
    assert (await client.get("/")).content == b""
    assert server.connections == 1


async def test_head_has_a_length_and_no_body(server: Server, client: httpx.AsyncClient) -> None:
    server.always(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
    assert (await client.head("/")).headers["content-length"] == "5"
    server.always(OK)
    assert (await client.get("/")).text == "ok"


async def test_informational_responses_are_skipped(server: Server, client: httpx.AsyncClient) -> None:
    server.always(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
    assert (await client.get("/")).text == "ok"


async def test_connection_close_is_obeyed(server: Server, client: httpx.AsyncClient) -> None:
    server.always(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
    await client.get("/")
    await client.get("/")
    assert server.connections == 2


async def test_a_stream_arrives_piece_by_piece(server: Server, client: httpx.AsyncClient) -> None:
    gate = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await gate.wait()
        writer.write(b"6\r\nsecond\r\n0\r\n\r\n")
        await server.answer(reader, writer)

    server.talk = talk
    async with client.stream("GET", "/") as response:
        pieces = response.aiter_bytes()
        assert await anext(pieces) == b"first"
        gate.set()
        assert await anext(pieces) == b"second"
        with pytest.raises(StopAsyncIteration):
            await anext(pieces)
    await client.get("/")
    assert server.connections == 1


async def test_a_stream_given_up_closes_its_connection(server: Server, client: httpx.AsyncClient) -> None:
    gone = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await reader.read()
        gone.set()

    server.talk = talk
    async with client.stream("GET", "/") as response:
        await anext(response.aiter_bytes())
    await asyncio.wait_for(gone.wait(), 5)


async def test_a_cancelled_request_closes_its_connection(server: Server, client: httpx.AsyncClient) -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        asked.set()
        await reader.read()
        gone.set()

    server.talk = talk
    task = asyncio.ensure_future(client.get("/"))
    await asyncio.wait_for(asked.wait(), 5)
    task.cancel()
    await asyncio.wait_for(gone.wait(), 5)
    server.talk = server.answer
    assert (await client.get("/")).text == "ok"


async def test_a_reader_that_is_slow_stops_the_server(server: Server, client: httpx.AsyncClient) -> None:
    """The window closes: what nobody reads is not buffered without bound, and nothing is lost."""
    size = 8 << 20
    server.always(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"y" * size)
    received = 0
    async with client.stream("GET", "/") as response:
        async for piece in response.aiter_raw():
            received += len(piece)
            connection = next(iter(client._transport._all))  # type: ignore[attr-defined]
            assert connection._buffered < 2 << 20
            await asyncio.sleep(0)
    assert received == size


async def test_a_connection_closed_while_idle_is_not_used(server: Server, client: httpx.AsyncClient) -> None:
    server.once(OK)
    for _ in range(5):
        assert (await client.post("/", content=b"x")).text == "ok"
        transport: Transport = client._transport  # type: ignore[assignment]
        await no_connections(transport)
    assert server.connections == 5


async def test_idle_connections_are_closed_after_a_while(server: Server) -> None:
    async with client_of(server, idle=0.01) as client:
        await client.get("/")
        transport: Transport = client._transport  # type: ignore[assignment]
        await no_connections(transport)


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (b"", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n", httpx.RemoteProtocolError),
        (b"SSH-2.0 hello\r\n\r\n", httpx.RemoteProtocolError),
        (b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", httpx.RemoteProtocolError),
    ],
)
async def test_broken_answers(
    server: Server, client: httpx.AsyncClient, response: bytes, error: type[Exception]
) -> None:
    server.once(response)
    with pytest.raises(error):
        await client.get("/")
    server.always(OK)
    assert (await client.get("/")).text == "ok"


async def test_a_silent_server_times_out(server: Server, client: httpx.AsyncClient) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    server.talk = talk
    with pytest.raises(httpx.ReadTimeout):
        await client.get("/", timeout=httpx.Timeout(5, read=0.02))


async def test_nobody_listens(client: httpx.AsyncClient, server: Server) -> None:
    closed = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = closed.sockets[0].getsockname()[1]
    closed.close()
    await closed.wait_closed()
    with pytest.raises(httpx.ConnectError):
        await client.get(f"http://127.0.0.1:{port}/")


async def test_all_connections_in_use(server: Server) -> None:
    async with client_of(server, max_connections=1) as client:
        gate = asyncio.Event()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request_of(reader)
            await gate.wait()
            writer.write(OK)
            await server.answer(reader, writer)

        server.talk = talk
        first = asyncio.ensure_future(client.get("/"))
        await asyncio.sleep(0)
        with pytest.raises(httpx.PoolTimeout):
            await client.get("/", timeout=httpx.Timeout(5, pool=0.02))
        gate.set()
        assert (await first).text == "ok"
        assert (await client.get("/")).text == "ok"


async def test_a_server_that_speaks_no_tls() -> None:
    """TLS errors are ConnectErrors: nothing has been sent."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    plain = Server()
    plain.talk = talk
    listening = await plain.start()
    async with httpx.AsyncClient(transport=Transport(ssl.create_default_context()), timeout=5) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(plain.url.replace("http:", "https:"))
    listening.close()
    await plain.stop()
