"""The promises of the HTTP transport, against a server on loopback whose every answer is written by the test."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import parse_qsl, urlsplit

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
        self.left = asyncio.Event()  # a client has closed a connection
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
        try:
            while True:
                self.requests.append(await request_of(reader))
                writer.write(body)
                await writer.drain()
        finally:
            self.left.set()

    def always(self, response: bytes) -> None:
        """Answer every request with these bytes."""
        self.talk = lambda reader, writer: self.answer(reader, writer, response)

    def once(self, response: bytes) -> None:
        """Answer the first request of a connection, then hang up; `left` is set when the client has, too."""

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.requests.append(await request_of(reader))
            writer.write(response)
            writer.write_eof()
            await reader.read()
            self.left.set()

        self.talk = talk

    async def client_left(self) -> None:
        """Wait until the client has closed a connection."""
        await asyncio.wait_for(self.left.wait(), 5)
        self.left.clear()

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


UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""What a caller takes for leave to send again, whatever the method."""


async def fails(request: Awaitable[httpx.Response], error: type[httpx.TransportError] = httpx.TransportError) -> None:
    """Check that a request which the server may have got fails, and that the caller can tell."""
    with pytest.raises(error) as failure:
        await request
    assert not isinstance(failure.value, UNSENT)


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
    await server.client_left()
    server.once(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
    assert (await client.get("/")).text == "until the end"


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_statuses_without_a_body(server: Server, client: httpx.AsyncClient, status: bytes) -> None:
    server.always(b"HTTP/1.1 %s\r\n\r\n" % status)
    await client.get("/")
    assert (await client.get("/")).content == b""
    assert server.connections == 1


async def test_head_has_a_length_and_no_body(server: Server, client: httpx.AsyncClient) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
        await server.answer(reader, writer)

    server.talk = talk
    assert (await client.head("/")).headers["content-length"] == "5"
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
    size, piece = 32 << 20, b"y" * (1 << 20)
    held, done, written = asyncio.Event(), asyncio.Event(), 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        while written < size:
            writer.write(piece)
            written += len(piece)
            drained = asyncio.ensure_future(writer.drain())
            if not (await asyncio.wait([drained], timeout=0.3))[0]:
                held.set()
            await drained
        done.set()

    server.talk = talk
    async with client.stream("GET", "/") as response:
        await asyncio.wait_for(held.wait(), 5)
        assert not done.is_set()
        assert sum([len(part) async for part in response.aiter_raw()]) == size


async def test_a_connection_closed_while_idle_is_not_used(server: Server, client: httpx.AsyncClient) -> None:
    server.once(OK)
    for _ in range(5):
        assert (await client.post("/", content=b"x")).text == "ok"
        await server.client_left()
    assert server.connections == 5


async def test_idle_connections_are_closed_after_a_while(server: Server) -> None:
    async with client_of(server, idle=0.01) as client:
        await client.get("/")
        await server.client_left()


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_nothing_is_sent_twice(server: Server, client: httpx.AsyncClient, method: str) -> None:
    """A kept connection that dies under a request: the caller hears of it, as of a request that may have arrived."""
    asked = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await request_of(reader)
        writer.write(OK)
        await request_of(reader)
        asked += 1

    server.talk = talk
    await client.get("/")
    await fails(client.request(method, "/", content=b"x"))
    assert asked == 1
    assert server.connections == 1


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"])
async def test_a_reset_is_not_taken_for_a_refused_connection(
    server: Server, client: httpx.AsyncClient, answer: bytes
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(answer)
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    server.talk = talk
    await fails(client.post("/", content=b"x"))


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n",
        b"SSH-2.0 hello\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    ],
)
async def test_broken_answers(server: Server, client: httpx.AsyncClient, response: bytes) -> None:
    server.once(response)
    await fails(client.get("/"))
    server.always(OK)
    assert (await client.get("/")).text == "ok"


async def test_a_silent_server_times_out(server: Server, client: httpx.AsyncClient) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    server.talk = talk
    await fails(client.get("/", timeout=httpx.Timeout(5, read=0.02)), httpx.ReadTimeout)


async def test_a_stream_that_falls_silent_times_out(server: Server, client: httpx.AsyncClient) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await reader.read()

    server.talk = talk
    async with client.stream("GET", "/", timeout=httpx.Timeout(5, read=0.05)) as response:
        pieces = response.aiter_bytes()
        assert await anext(pieces) == b"first"
        with pytest.raises(httpx.ReadTimeout):
            await anext(pieces)


async def test_a_stream_may_last_longer_than_any_of_its_timeouts(server: Server, client: httpx.AsyncClient) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(5):
            writer.write(b"1\r\nx\r\n")
            await asyncio.sleep(0.1)
        writer.write(b"0\r\n\r\n")

    server.talk = talk
    assert (await client.get("/", timeout=httpx.Timeout(0.02, read=0.3, connect=0.1, pool=0.1))).text == "xxxxx"


async def test_a_server_that_takes_nothing_times_out(server: Server, client: httpx.AsyncClient) -> None:
    gone = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()

    server.talk = talk
    await fails(client.post("/", content=b"x" * (32 << 20), timeout=0.1))
    gone.set()


async def test_what_is_sent_means_what_was_asked(server: Server, client: httpx.AsyncClient) -> None:
    """Encoding may differ where the meaning does not; no header is added, no cookie kept, nothing unpacked on the way."""
    params = {"labelSelector": "a in (b,c),d!=e", "continue": "x+/=&y", "é": "%2F"}
    server.always(b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\nx-long: " + b"y" * 20_000 + b"\r\ncontent-length: 0\r\n\r\n")
    for _ in range(2):
        await client.put("/apis/x%2Fy/system:node:a/https:b:443%20c", params=params, content=b"{}", headers={"x": "y"})
        client.cookies.clear()  # httpx keeps some itself
    head, _, body = server.requests[1].partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    target = urlsplit(line.split()[1])
    assert target.path == "/apis/x%2Fy/system:node:a/https:b:443%20c"
    assert dict(parse_qsl(target.query)) == params
    names = sorted(header.partition(":")[0].lower() for header in headers)
    assert names == ["accept", "accept-encoding", "connection", "content-length", "host", "user-agent", "x"]
    assert body == b"{}"


async def test_closing_closes_connections_in_use_and_idle(server: Server) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        await reader.read()
        server.left.set()

    async with client_of(server) as client:
        await client.get("/")
    await server.client_left()
    server.talk = talk
    client = client_of(server)
    response = await client.send(client.build_request("GET", "/"), stream=True)
    await client.aclose()
    await server.client_left()
    with pytest.raises(httpx.TransportError):
        await response.aread()
    await response.aclose()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes everything and answers nothing, as a stopped process does."""
    while await reader.read(1 << 16):
        pass


async def test_what_is_outstanding_is_counted_until_its_body_is_done(server: Server) -> None:
    transport = Transport(ssl.create_default_context())
    async with httpx.AsyncClient(transport=transport, base_url=server.url, timeout=5) as client:
        response = await client.send(client.build_request("GET", "/"), stream=True)
        assert (transport.outstanding, transport.heard > 0) == (1, True)
        await response.aread()
        await response.aclose()
        assert transport.outstanding == 0
        server.talk = silent
        server.hang_up()
        with pytest.raises(httpx.TransportError):
            await client.get("/", timeout=0.02)
        assert transport.outstanding == 0


async def test_an_abort_fails_what_is_outstanding_and_serves_what_comes_later(server: Server) -> None:
    asked = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"stream" in await request_of(reader):
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        else:
            asked.set()
        await silent(reader, writer)

    server.talk = talk
    transport = Transport(ssl.create_default_context())
    async with httpx.AsyncClient(transport=transport, base_url=server.url, timeout=30) as client:
        stream = await client.send(client.build_request("GET", "/stream"), stream=True)
        waiting = asyncio.ensure_future(client.get("/"))
        await asyncio.wait_for(asked.wait(), 5)
        transport.abort()
        await asyncio.wait_for(fails(waiting), 5)
        with pytest.raises(httpx.ReadError):
            await asyncio.wait_for(stream.aread(), 5)
        await stream.aclose()
        server.talk = server.answer
        assert (await client.get("/")).text == "ok"


async def test_a_retired_transport_closes_after_the_last_answer(server: Server) -> None:
    transport = Transport(ssl.create_default_context())
    client = httpx.AsyncClient(transport=transport, base_url=server.url, timeout=5)
    response = await client.send(client.build_request("GET", "/"), stream=True)
    transport.retire()
    assert (await response.aread()) == b"ok"
    await response.aclose()
    await server.client_left()
    await transport.aclose()


async def test_the_kernel_watches_over_connections(server: Server) -> None:
    made = Transport(ssl.create_default_context())._socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("", 0)))
    with made:
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        idle = made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        assert idle + made.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) / 1000 < 45


async def test_a_transport_that_was_never_used_needs_no_loop_to_be_made() -> None:
    transport = await asyncio.to_thread(Transport, ssl.create_default_context())
    await transport.aclose()


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
        with pytest.raises((httpx.PoolTimeout, httpx.ConnectTimeout)):
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
