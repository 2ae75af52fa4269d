"""Events: written in the background, counted when they repeat, dropped rather than in the way."""

from __future__ import annotations

import asyncio

import httpx
import orjson

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
    for number in range(2000):
        recorder.event(pod("a"), "Normal", "Pulled", str(number))
    await settle()
    assert recorder._queue.qsize() == 1000
