"""Events: what a component tells people about an object. Never blocks, never fails its caller.

The same event again raises `count` on the one Event object instead of writing another. Events of one object are written in
order, those of different objects beside each other. What cannot be queued or written in time is dropped and counted in the
log.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import time
from collections import OrderedDict
from typing import Literal

import structlog

from api import resources, timestamp
from api.errors import ApiError, NotFound, ServiceUnavailable
from api.types import Object
from client.backoff import Backoff
from client.rest import ApiClient

EventType = Literal["Normal", "Warning"]
_QUEUE_LIMIT = 5000
_WRITERS = 8
_REMEMBERED = 4096
_ATTEMPTS = 5


class EventRecorder:
    """Writes core/v1 Events in the background; `run` must be running."""

    def __init__(self, client: ApiClient, component: str, host: str = "") -> None:
        self._client, self._component, self._host = client, component, host
        self._lanes: list[asyncio.Queue[Object]] = [asyncio.Queue() for _ in range(_WRITERS)]
        self._seen: OrderedDict[tuple[str, ...], Object] = OrderedDict()
        self._log = structlog.get_logger("events")
        self._dropped = 0

    def event(self, obj: Object, kind: EventType, reason: str, message: str, *, field_path: str = "") -> None:
        """Say something about an object: `reason` in CamelCase for machines, `message` for people (1,024 bytes at most)."""
        meta = obj["metadata"]
        involved = {
            "apiVersion": obj.get("apiVersion", ""),
            "kind": obj.get("kind", ""),
            "name": meta.get("name", ""),
            "namespace": meta.get("namespace", ""),
            "uid": meta.get("uid", ""),
            "resourceVersion": meta.get("resourceVersion", ""),
            "fieldPath": field_path,
        }
        now = timestamp.now()
        event = {
            "metadata": {
                "name": f"{involved['name']}.{time.time_ns():x}",
                "namespace": involved["namespace"] or "default",
            },
            "involvedObject": {k: v for k, v in involved.items() if v},
            "type": kind,
            "reason": reason,
            "message": message[:1024],
            "source": {"component": self._component} | ({"host": self._host} if self._host else {}),
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "reportingComponent": self._component,
            "reportingInstance": self._host,
        }
        if self.waiting >= _QUEUE_LIMIT:
            self._dropped += 1
            if self._dropped.bit_count() == 1:  # a log that fills as fast as the queue would help nobody
                self._log.warning("events dropped, the queue is full", dropped=self._dropped, reason=reason)
            return
        self._lanes[hash(involved["uid"] or involved["name"]) % _WRITERS].put_nowait(event)

    @property
    def waiting(self) -> int:
        """How many events have not been taken up for writing yet."""
        return sum(lane.qsize() for lane in self._lanes)

    def named(self, component: str) -> EventRecorder:
        """The same queue and writer for another component of this process."""
        other = copy.copy(self)
        other._component = component
        return other

    async def run(self) -> None:
        """Write events until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for number, lane in enumerate(self._lanes):
                tasks.create_task(self._drain(lane), name=f"events {number}")

    async def _drain(self, lane: asyncio.Queue[Object]) -> None:
        while True:
            event = await lane.get()
            try:
                await self._try_to_write(event)
            finally:
                lane.task_done()

    async def _try_to_write(self, event: Object) -> None:
        backoff = Backoff(first=0.5, longest=8)
        for _ in range(_ATTEMPTS):
            try:
                await self._write(event)
                return
            except ServiceUnavailable:
                await asyncio.sleep(backoff.next())
            except ApiError as error:
                # A namespace that is going away takes no more events; nothing to mend.
                self._log.debug("event refused", error=error.message)
                return

    async def _write(self, event: Object) -> None:
        involved = event["involvedObject"]
        same = (involved.get("uid", ""), involved.get("name", ""), event["reason"], event["message"], event["type"])
        space, known = event["metadata"]["namespace"], self._seen.get(same)
        if known:
            change = {"count": known["count"] + 1, "lastTimestamp": event["lastTimestamp"]}
            try:
                written = await self._client.patch(resources.EVENTS, known["metadata"]["name"], change, space)
            except NotFound:
                del self._seen[same]
                written = await self._client.create(resources.EVENTS, event, space)
        else:
            written = await self._client.create(resources.EVENTS, event, space)
        self._seen[same] = {"metadata": {"name": written["metadata"]["name"]}, "count": written.get("count", 1)}
        self._seen.move_to_end(same)
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

    async def flush(self, timeout: float = 2.0) -> None:
        """Give what is queued a last chance to be written before the process ends; `run` must still be running."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await asyncio.gather(*(lane.join() for lane in self._lanes))
