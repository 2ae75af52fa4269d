"""Reflectors: list, watch, and when to list again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import orjson

from api import errors, resources
from api.types import Object
from client.clock import FakeClock, settle
from client.reflector import Reflector
from client.rest import ApiClient
from tests.unit.client.conftest import FakeServer, pod


class Recorder:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def replace(self, objects: list[Object]) -> None:
        self.seen.append("list " + ",".join(o["metadata"]["name"] for o in objects))

    def apply(self, kind: str, obj: Object) -> None:
        self.seen.append(f"{kind} {obj['metadata']['name']}")


class _Hang(httpx.AsyncByteStream):
    """A watch that stays open after its events."""

    def __init__(self, lines: bytes) -> None:
        self._lines = lines

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._lines
        await asyncio.Event().wait()


def _events(*events: Object) -> bytes:
    return b"".join(orjson.dumps(e) + b"\n" for e in events)


def _event(kind: str, name: str, version: int) -> Object:
    return {"type": kind, "object": pod(name, version)}


def _list(version: int, *names: str) -> httpx.Response:
    items = [pod(n) for n in names]
    return httpx.Response(200, json={"kind": "PodList", "metadata": {"resourceVersion": str(version)}, "items": items})


async def _mirror(server: FakeServer, answers: Iterator[httpx.Response], clock: FakeClock | None = None) -> list[str]:
    """Run a reflector against the answers in order; the one after the last is a watch that stays silent."""
    server.serve = lambda request: next(answers, httpx.Response(200, stream=_Hang(b"")))
    sink = Recorder()
    async with server.client() as client:
        task = asyncio.ensure_future(Reflector(client, resources.PODS, sink, clock=clock).run())
        await settle(200)
        if clock:
            await clock.advance(60)
            await settle(200)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return sink.seen


def _versions(server: FakeServer) -> list[str]:
    return [r.url.params.get("resourceVersion", "list") for r in server.requests]


async def test_it_lists_and_then_applies_events_in_order(server: FakeServer) -> None:
    watch = httpx.Response(200, content=_events(_event("ADDED", "b", 11), _event("DELETED", "a", 12)))
    assert await _mirror(server, iter([_list(10, "a"), watch])) == ["list a", "ADDED b", "DELETED a"]


async def test_a_watch_that_ends_is_resumed_from_the_last_version_seen(server: FakeServer) -> None:
    watch = httpx.Response(200, content=_events(_event("ADDED", "b", 11)))
    await _mirror(server, iter([_list(10, "a"), watch]))
    assert _versions(server)[:3] == ["list", "10", "11"]


async def test_a_bookmark_moves_the_version_and_nothing_else(server: FakeServer) -> None:
    bookmark = {"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": {"resourceVersion": "99"}}}
    seen = await _mirror(server, iter([_list(10), httpx.Response(200, content=_events(bookmark))]))
    assert seen == ["list "]
    assert _versions(server)[2] == "99"


async def test_an_expired_version_means_a_new_list(server: FakeServer) -> None:
    gone = httpx.Response(410, json=errors.Expired("too old resource version").status())
    seen = await _mirror(server, iter([_list(10, "a"), gone, _list(50, "b")]))
    assert seen == ["list a", "list b"]


async def test_an_error_event_of_expiry_means_a_new_list(server: FakeServer) -> None:
    event = {"type": "ERROR", "object": errors.Expired("too old resource version").status()}
    seen = await _mirror(server, iter([_list(10, "a"), httpx.Response(200, content=_events(event)), _list(50, "b")]))
    assert seen == ["list a", "list b"]


async def test_a_refused_watch_backs_off_and_lists_again(server: FakeServer, clock: FakeClock) -> None:
    refused = httpx.Response(403, json=errors.Forbidden("no").status())
    seen = await _mirror(server, iter([_list(10, "a"), refused, _list(50, "b")]), clock)
    assert seen == ["list a", "list b"]


async def test_events_carry_no_managed_fields(server: FakeServer, api: ApiClient) -> None:
    managed = pod("a")
    managed["metadata"]["managedFields"] = [{"manager": "x"}]
    kept: list[Object] = []

    class Keep(Recorder):
        def replace(self, objects: list[Object]) -> None:
            kept.extend(objects)

    body = {"metadata": {"resourceVersion": "1"}, "items": [managed]}
    server.serve = lambda r: (
        httpx.Response(200, stream=_Hang(b"")) if "watch" in r.url.params else httpx.Response(200, json=body)
    )
    task = asyncio.ensure_future(Reflector(api, resources.PODS, Keep()).run())
    await settle(100)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert "managedFields" not in kept[0]["metadata"]


async def _requests_within(server: FakeServer, seconds: int, serve: Callable[[bool], httpx.Response]) -> list[str]:
    """What a reflector asks in that time: "list" or the version it watches from; `serve` is told which of them it is."""
    server.serve = lambda request: serve("watch" in request.url.params)
    clock = FakeClock()
    async with server.client() as client:
        task = asyncio.ensure_future(Reflector(client, resources.PODS, Recorder(), clock=clock).run())
        for _ in range(seconds * 10):
            await settle(50)
            await clock.advance(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return _versions(server)


async def test_watches_that_end_at_once_are_not_asked_for_in_a_loop(server: FakeServer) -> None:
    asked = await _requests_within(server, 10, lambda watch: httpx.Response(200, content=b"") if watch else _list(10))
    assert asked[0] == "list"
    assert set(asked[1:]) == {"10"}
    assert 3 <= len(asked) <= 8


async def test_versions_that_expire_again_and_again_are_not_asked_for_in_a_loop(server: FakeServer) -> None:
    gone = errors.Expired("too old resource version").status()
    asked = await _requests_within(server, 10, lambda watch: httpx.Response(410, json=gone) if watch else _list(10))
    assert 6 <= len(asked) <= 18


async def test_lists_that_succeed_do_not_hide_watches_that_fail(server: FakeServer) -> None:
    failure = errors.InternalError("broken").status()
    asked = await _requests_within(server, 10, lambda watch: httpx.Response(500, json=failure) if watch else _list(10))
    assert asked.count("list") <= 8


async def test_a_busy_server_is_asked_again_when_it_said_so_and_not_for_a_list(server: FakeServer) -> None:
    busy = errors.TooManyRequests("later", {"retryAfterSeconds": 4}).status()
    asked = await _requests_within(server, 10, lambda watch: httpx.Response(429, json=busy) if watch else _list(10))
    assert asked == ["list", "10", "10", "10"]
