"""List, watch, list again: keeps a sink equal to a resource on the server.

Promises: the sink sees one `replace` per list and then every change in order; after an expired version, a refused watch or
an error the reflector lists again rather than resume at a version it cannot trust; a watch that merely ended or broke off, or
that a busy server put off, is resumed from the last version seen; attempts back off with jitter, also when lists succeed and
watches do not, and start afresh after an event.
"""

from __future__ import annotations

import random
from typing import Protocol

import structlog

from api.errors import ApiError, Expired, Gone, ServiceUnavailable, TooManyRequests
from api.types import Object, Resource
from client.backoff import Backoff
from client.clock import Clock, RealClock
from client.rest import ApiClient

_WATCH_SECONDS = (300, 600)
_SHORT_SECONDS = 1.0
"""A watch that ends sooner and without an event is a failure, whatever its status said."""


class Sink(Protocol):
    """Where the reflector puts what it learns."""

    def replace(self, objects: list[Object]) -> None: ...

    def apply(self, kind: str, obj: Object) -> None: ...


class Reflector:
    """Mirrors one resource (or one namespace or selection of it) into a sink until cancelled."""

    def __init__(
        self,
        client: ApiClient,
        resource: Resource,
        sink: Sink,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self._client, self._resource, self._sink = client, resource, sink
        self._namespace, self._metadata_only = namespace, metadata_only
        self._label_selector, self._field_selector = label_selector, field_selector
        self._clock = clock or RealClock()
        self._backoff = Backoff()
        self._version = ""
        self._moved = False
        self._expiries = 0
        self._log = structlog.get_logger("reflector").bind(resource=resource.qualified)

    async def run(self) -> None:
        """Mirror until cancelled. Only errors of the API are survived; anything else is a bug and is raised."""
        while True:
            try:
                if not self._version:
                    await self._list()
                began = self._clock.now()
                await self._watch()
                if not self._moved and self._clock.now() - began < _SHORT_SECONDS:
                    await self._pause("the watch ended at once")
            except (Expired, Gone) as error:
                self._log.info("resource version expired, listing again", version=self._version)
                self._version = ""
                self._expiries += 1
                if self._expiries > 1:  # not even the version of a fresh list is good enough
                    await self._pause(error.message)
            except (ServiceUnavailable, TooManyRequests) as error:
                await self._pause(error.message, error.retry_after or 0)
            except ApiError as error:
                self._version = ""
                await self._pause(error.message)

    async def _pause(self, why: str, least: float = 0.0) -> None:
        delay = max(self._backoff.next(), least)
        self._log.warning("list or watch failed", error=why, retry_in=round(delay, 2))
        await self._clock.sleep(delay)

    async def _list(self) -> None:
        listed = await self._client.list(
            self._resource,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            metadata_only=self._metadata_only,
        )
        items = listed.get("items") or []
        for item in items:
            # Items of a typed list do not say what they are; events do.
            item.setdefault("apiVersion", self._resource.group_version)
            item.setdefault("kind", self._resource.kind)
            item["metadata"].pop("managedFields", None)
        self._sink.replace(items)
        self._version = listed["metadata"]["resourceVersion"]

    async def _watch(self) -> None:
        self._moved = False
        seconds = random.randint(*_WATCH_SECONDS)  # noqa: S311 (spreads the reconnects, no secret)
        async for event in self._client.watch(
            self._resource,
            self._namespace,
            resource_version=self._version,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            timeout_seconds=seconds,
            metadata_only=self._metadata_only,
        ):
            obj = event["object"]
            if event["type"] != "BOOKMARK":
                # Managers' fields are half of an object's size and no daemon reads them; the server keeps them on update.
                obj["metadata"].pop("managedFields", None)
                self._sink.apply(event["type"], obj)
            self._version = obj["metadata"]["resourceVersion"]
            self._moved, self._expiries = True, 0
            self._backoff.reset()
