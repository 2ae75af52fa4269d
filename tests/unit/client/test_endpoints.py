"""A client of several API servers, of which some are killed, stopped, cut off or ended in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest
import uvloop

from api import resources
from api.errors import ServiceUnavailable
from api.types import Object
from client.kubeconfig import Kubeconfig
from client.reflector import Reflector
from client.rest import ApiClient
from tests.unit.client.conftest import pod
from tests.unit.client.servers import Blackhole, Servers

T = TypeVar("T")


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    made = Servers(tmp_path)
    yield made
    made.stop()


@asynccontextmanager
async def client_of(servers: Servers, *urls: str) -> AsyncIterator[ApiClient]:
    """A client that begins at the first address."""
    async with ApiClient(Kubeconfig(servers=list(urls), ca=servers.authority.bundle)) as client:
        client._endpoints.roster.use(urls[0])
        yield client


async def soon(work: Awaitable[T]) -> T:
    """Far later than promised, far sooner than without the promise."""
    async with asyncio.timeout(15):
        return await work


async def who(client: ApiClient) -> str:
    """The server that answers."""
    return server_of(await soon(client.get(resources.PODS, "a", "ns")))


def server_of(obj: Object) -> str:
    return str(obj["metadata"]["labels"]["server"])


async def watching(client: ApiClient) -> tuple[AsyncIterator[Object], str]:
    """A watch that has begun, and the server that it is on."""
    events = client.watch(resources.PODS, "ns")
    return events, server_of((await soon(anext(events)))["object"])


async def test_a_killed_server_is_followed_by_the_next(servers: Servers) -> None:
    one, two = servers.start("one"), servers.start("two")
    async with client_of(servers, one.url, two.url) as client:
        assert await who(client) == "one"
        events, _ = await watching(client)
        one.signal(signal.SIGKILL)
        with pytest.raises(ServiceUnavailable, match="broke off"):
            await soon(anext(events))
        assert (await watching(client))[1] == "two"
        assert await who(client) == "two"


@pytest.mark.parametrize("begun", [False, True])
async def test_a_read_from_a_stopped_server_is_answered_by_the_next(servers: Servers, begun: bool) -> None:
    one, two = servers.start("one"), servers.start("two")
    async with client_of(servers, one.url, two.url) as client:
        if begun:
            assert await who(client) == "one"
        one.signal(signal.SIGSTOP)
        assert await who(client) == "two"
        await one.has_connections(0)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_watches_of_a_stopped_server_end_and_their_connections_are_closed(
    servers: Servers, run: Callable[[Coroutine[None, None, None]], None]
) -> None:
    one, two = servers.start("one"), servers.start("two")

    async def main() -> None:
        async with client_of(servers, one.url, two.url) as client:
            watches = [await watching(client) for _ in range(3)]
            assert [server for _, server in watches] == ["one"] * 3
            one.signal(signal.SIGSTOP)
            for events, _ in watches:
                with pytest.raises(ServiceUnavailable, match="broke off"):
                    await soon(anext(events))
            await one.has_connections(0)
            assert (await watching(client))[1] == "two"

    run(main())


async def test_a_write_that_a_stopped_server_may_have_got_is_reported_and_not_repeated(servers: Servers) -> None:
    one, two = servers.start("one"), servers.start("two")
    async with client_of(servers, one.url, two.url) as client:
        writing = asyncio.ensure_future(client.create(resources.PODS, pod("a"), "ns", name="hang", subresource="x"))
        assert await soon(asyncio.to_thread(one.line))
        one.signal(signal.SIGSTOP)
        with pytest.raises(ServiceUnavailable, match="does not answer"):
            await soon(writing)
        assert await who(client) == "two"


async def test_a_write_that_was_never_sent_goes_to_the_next(servers: Servers) -> None:
    one, two = servers.start("one"), servers.start("two")
    async with client_of(servers, one.url, two.url) as client:
        one.signal(signal.SIGSTOP)
        assert server_of(await soon(client.create(resources.PODS, pod("a"), "ns"))) == "two"


async def test_an_address_without_an_answer_is_followed_by_the_next(servers: Servers) -> None:
    hole, two = Blackhole(), servers.start("two")
    async with client_of(servers, hole.url, two.url) as client:
        assert await who(client) == "two"
        assert client.server == two.url
    hole.close()


async def test_a_server_is_not_given_up_while_no_other_answers(servers: Servers) -> None:
    one, two = servers.start("one"), servers.start("two")
    async with client_of(servers, one.url, two.url) as client:
        events, _ = await watching(client)
        two.signal(signal.SIGSTOP)
        one.signal(signal.SIGSTOP)
        waiting = asyncio.ensure_future(anext(events))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await asyncio.shield(waiting)
        assert client.server == one.url
        one.signal(signal.SIGCONT)
        assert await who(client) == "one"
        one.signal(signal.SIGTERM)
        with pytest.raises(StopAsyncIteration):
            await soon(waiting)


async def test_a_server_that_says_it_is_not_ready_is_left(servers: Servers) -> None:
    one, two = servers.start("one"), servers.start("two")
    async with client_of(servers, one.url, two.url) as client:
        events, _ = await watching(client)
        one.signal(signal.SIGUSR1)
        with pytest.raises(ServiceUnavailable, match="broke off"):
            await soon(anext(events))
        assert await who(client) == "two"


async def test_a_read_that_one_server_refuses_for_now_is_answered_by_the_next(servers: Servers) -> None:
    one, two = servers.start("one"), servers.start("two")
    async with client_of(servers, one.url, two.url) as client:
        assert await who(client) == "one"
        one.signal(signal.SIGUSR2)
        while client.server == one.url:  # a signal is not there at once
            await who(client)
        assert await who(client) == "two"


async def test_when_all_refuse_the_caller_hears_it(servers: Servers) -> None:
    one = servers.start("one")
    one.signal(signal.SIGUSR2)
    async with client_of(servers, one.url, one.url.replace("127.0.0.1", "127.0.0.1.")) as client:
        with pytest.raises(ServiceUnavailable):
            while True:
                await who(client)


class Sink:
    """Remembers lists and the servers that events came from."""

    def __init__(self) -> None:
        self.seen: asyncio.Queue[str] = asyncio.Queue()

    def replace(self, objects: list[Object]) -> None:
        self.seen.put_nowait("list")

    def apply(self, kind: str, obj: Object) -> None:
        self.seen.put_nowait(server_of(obj))


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP])
async def test_a_reflector_goes_on_at_the_next_server_without_listing_again(
    servers: Servers, end: signal.Signals
) -> None:
    one, two = servers.start("one"), servers.start("two")
    sink = Sink()
    async with client_of(servers, one.url, two.url) as client:
        task = asyncio.ensure_future(Reflector(client, resources.PODS, sink, namespace="ns").run())
        assert [await soon(sink.seen.get()) for _ in range(2)] == ["list", "one"]
        one.signal(end)
        assert await soon(sink.seen.get()) == "two"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_lone_server_is_not_asked_for_its_health(servers: Servers) -> None:
    one, two = servers.start("one"), servers.start("two")

    async def asked(*urls: str) -> int:
        async with client_of(servers, *urls) as client:
            events, _ = await watching(client)
            await asyncio.sleep(1.5)
            answer = await soon(client.get(resources.PODS, "a", "ns"))
            await events.aclose()  # type: ignore[attr-defined]
            return int(answer["metadata"]["labels"]["asked"])

    assert await asked(one.url) == 0
    assert await asked(two.url, one.url) > 0
