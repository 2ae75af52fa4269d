"""Events: written in the background, counted when they repeat, dropped rather than in the way."""

from __future__ import annotations

import asyncio

import httpx
import orjson
import pytest

from api.types import Object, Resource
from client.clock import settle
from client.events import EventRecorder
from client.rest import ApiClient
from tests.unit.client.conftest import FakeServer, pod


def _echo(request: httpx.Request) -> httpx.Response:
    body = orjson.loads(request.content)
    if request.method == "PATCH":
        body = {"metadata": {"name": request.url.path.rsplit("/", 1)[1]}} | body
    return httpx.Response(200, json=body)


async def _run(recorder: EventRecorder) -> None:
    task = asyncio.ensure_future(recorder.run())
    await recorder.flush()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_event_names_its_object_its_reason_and_its_source(server: FakeServer, api: ApiClient) -> None:
    server.serve = _echo
    recorder = EventRecorder(api, "kubelet", "node-1")
    recorder.event(pod("a"), "Warning", "Failed", "no image")
    await _run(recorder)
    event = orjson.loads(server.requests[0].content)
    assert event["involvedObject"]["uid"] == "uid-a"
    assert (event["type"], event["reason"], event["message"]) == ("Warning", "Failed", "no image")
    assert event["source"] == {"component": "kubelet", "host": "node-1"}


async def test_a_repeated_event_raises_the_count(server: FakeServer, api: ApiClient) -> None:
    server.serve = _echo
    recorder = EventRecorder(api, "kubelet")
    for _ in range(3):
        recorder.event(pod("a"), "Normal", "Pulled", "present")
    await _run(recorder)
    assert [r.method for r in server.requests] == ["POST", "PATCH", "PATCH"]
    assert orjson.loads(server.requests[2].content)["count"] == 3


async def test_too_many_events_are_dropped_not_waited_for(api: ApiClient) -> None:
    recorder = EventRecorder(api, "kubelet")
    for number in range(6000):
        recorder.event(pod("a"), "Normal", "Pulled", str(number))
    await settle()
    assert recorder.waiting == 5000


async def test_events_of_one_object_keep_their_order(server: FakeServer, api: ApiClient) -> None:
    server.serve = _echo
    recorder = EventRecorder(api, "kubelet")
    for number in range(20):
        for name in ("a", "b", "c"):
            recorder.event(pod(name), "Normal", "Step", str(number))
    await _run(recorder)
    events = [orjson.loads(r.content) for r in server.requests]
    for name in ("a", "b", "c"):
        steps = [e["message"] for e in events if e["involvedObject"]["uid"] == f"uid-{name}"]
        assert steps == [str(n) for n in range(20)]


async def test_a_slow_write_holds_up_its_own_object_only(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck, written = asyncio.Event(), []

    async def create(resource: Resource, event: Object, namespace: str) -> Object:
        if event["involvedObject"]["name"] == "a":
            await stuck.wait()
        written.append(event["involvedObject"]["name"])
        return event

    monkeypatch.setattr(api, "create", create)
    recorder = EventRecorder(api, "kubelet")
    running = asyncio.ensure_future(recorder.run())
    for number in range(16):  # more objects than writers: at least one other has a lane of its own
        recorder.event(pod("a" if number == 0 else f"b{number}"), "Normal", "Step", "1")
    await settle()
    assert written
    assert "a" not in written
    stuck.set()
    await recorder.flush()
    assert len(written) == 16
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
