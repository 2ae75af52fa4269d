"""Waiting for objects to become as wanted: one list, then a watch, until a predicate holds or the deadline passes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from api.errors import Expired, Gone, ServiceUnavailable
from api.meta import key
from api.types import Object, Resource
from client.rest import ApiClient

_RETRY_SECONDS = 0.1

T = TypeVar("T")


@dataclass(frozen=True)
class Scope:
    """Which objects: a resource, within a namespace and selectors."""

    resource: Resource
    namespace: str | None = None
    label_selector: str = ""
    field_selector: str = ""

    @classmethod
    def one(cls, resource: Resource, name: str, namespace: str | None = None) -> Scope:
        """The one object of this name."""
        return cls(resource, namespace, field_selector=f"metadata.name={name}")


async def until(
    client: ApiClient, scope: Scope, judge: Callable[[dict[str, Object]], T | None], timeout: float | None
) -> T:
    """Follow the objects of `scope` (by key) until `judge` returns something else than None, and return that.

    Raises TimeoutError after `timeout` seconds, and what the server says when it refuses the list.
    """
    async with asyncio.timeout(timeout):
        while True:
            try:
                found = await _follow(client, scope, judge)
            except (Expired, Gone):
                continue
            except ServiceUnavailable:
                # A server that is away sends no event when it returns.
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if found is not None:
                return found


async def _follow(client: ApiClient, scope: Scope, judge: Callable[[dict[str, Object]], T | None]) -> T | None:
    answer = await client.list(
        scope.resource, scope.namespace, label_selector=scope.label_selector, field_selector=scope.field_selector
    )
    objects = {key(item): item for item in answer.get("items") or ()}
    found = judge(objects)
    if found is not None:
        return found
    version = answer["metadata"].get("resourceVersion", "")
    stream = client.watch(
        scope.resource,
        scope.namespace,
        resource_version=version,
        label_selector=scope.label_selector,
        field_selector=scope.field_selector,
    )
    async for event in stream:
        if event["type"] == "BOOKMARK":
            continue
        if event["type"] == "DELETED":
            objects.pop(key(event["object"]), None)
        else:
            objects[key(event["object"])] = event["object"]
        found = judge(objects)
        if found is not None:
            return found
    return None
