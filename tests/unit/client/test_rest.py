"""The REST client: paths, failures as exceptions, and which requests are tried elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import orjson
import pytest

from api import errors, resources
from client.rest import ApiClient
from tests.unit.client.conftest import FakeServer, pod


async def test_a_status_becomes_the_exception_of_its_reason(server: FakeServer, api: ApiClient) -> None:
    server.serve = lambda _: httpx.Response(409, json=errors.conflict(resources.PODS, "a").status())
    with pytest.raises(errors.Conflict, match="the object has been modified"):
        await api.update(resources.PODS, pod("a"))


async def test_an_answer_that_is_no_status_still_becomes_an_exception(server: FakeServer, api: ApiClient) -> None:
    server.serve = lambda _: httpx.Response(503, text="upstream down")
    with pytest.raises(errors.ServiceUnavailable, match="upstream down"):
        await api.get(resources.PODS, "a", "ns")


async def test_a_subresource_is_part_of_the_path(server: FakeServer, api: ApiClient) -> None:
    server.serve = lambda _: httpx.Response(200, json={})
    await api.update(resources.DEPLOYMENTS, pod("a"), subresource="scale")
    assert server.requests[0].url.path == "/apis/apps/v1/namespaces/ns/deployments/a/scale"


async def test_preconditions_and_grace_travel_in_the_body(server: FakeServer, api: ApiClient) -> None:
    server.serve = lambda _: httpx.Response(200, json={})
    await api.delete(resources.PODS, "a", "ns", grace_period_seconds=0, uid="u")
    body = orjson.loads(server.requests[0].content)
    assert body["gracePeriodSeconds"] == 0
    assert body["preconditions"] == {"uid": "u"}


async def test_a_request_that_reached_no_server_goes_to_the_next(server: FakeServer) -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.host == "one":
            raise httpx.ConnectError("refused")
        return httpx.Response(201, json=pod("a"))

    server.serve = serve
    async with server.client("https://one:1", "https://two:2") as client:
        await client.create(resources.PODS, pod("a"))
        await client.get(resources.PODS, "a", "ns")
    assert [r.url.host for r in server.requests] == ["one", "two", "two"]


async def test_a_write_that_may_have_arrived_is_not_repeated(server: FakeServer) -> None:
    def serve(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("reset")

    server.serve = serve
    async with server.client("https://one:1", "https://two:2") as client:
        with pytest.raises(errors.ServiceUnavailable, match="does not answer"):
            await client.create(resources.PODS, pod("a"))
    assert len(server.requests) == 1


async def test_a_read_is_repeated_elsewhere(server: FakeServer) -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.host == "one":
            raise httpx.ReadError("reset")
        return httpx.Response(200, json=pod("a"))

    server.serve = serve
    async with server.client("https://one:1", "https://two:2") as client:
        assert (await client.get(resources.PODS, "a", "ns"))["kind"] == "Pod"


async def test_a_watch_joins_events_split_over_chunks(server: FakeServer, api: ApiClient) -> None:
    text = b"".join(orjson.dumps({"type": "ADDED", "object": pod(n)}) + b"\n" for n in ("a", "b"))

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(text), 7):
            yield text[start : start + 7]

    server.serve = lambda _: httpx.Response(200, content=pieces())
    names = [e["object"]["metadata"]["name"] async for e in api.watch(resources.PODS)]
    assert names == ["a", "b"]


async def test_an_answer_that_is_no_json_is_an_error_of_the_api(server: FakeServer, api: ApiClient) -> None:
    """A proxy's page, say: a reflector survives it."""
    server.serve = lambda _: httpx.Response(200, text="<html>welcome</html>")
    with pytest.raises(errors.InternalError, match="not JSON"):
        await api.get(resources.PODS, "a", "ns")
    with pytest.raises(errors.InternalError, match="not JSON"):
        await api.list(resources.PODS)
    server.serve = lambda _: httpx.Response(200, text="<html>\n")
    with pytest.raises(errors.InternalError, match="not JSON"):
        await anext(api.watch(resources.PODS))


async def test_a_fence_stops_what_would_change_something(server: FakeServer, api: ApiClient) -> None:
    def fence() -> None:
        raise errors.ServiceUnavailable("not the leader")

    server.serve = lambda _: httpx.Response(200, json=pod("a"))
    api.fence = fence
    assert await api.get(resources.PODS, "a", "ns")
    for write in (api.create(resources.PODS, pod("a")), api.delete(resources.PODS, "a", "ns")):
        with pytest.raises(errors.ServiceUnavailable, match="not the leader"):
            await write
    assert [r.method for r in server.requests] == ["GET"]
