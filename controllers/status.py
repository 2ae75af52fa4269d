"""Writing an object's status: only when it says something new, and again when somebody else wrote in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from api import meta
from api.errors import Conflict
from api.types import Object, Resource
from client.rest import ApiClient

_TRIES = 5


def pruned(value: Any) -> Any:
    """The value without members that say nothing (None, 0, "", [] and {}), so that two statuses can be compared."""
    if isinstance(value, dict):
        members = {k: pruned(v) for k, v in value.items()}
        return {k: v for k, v in members.items() if v or v is False}
    if isinstance(value, list):
        return [pruned(v) for v in value]
    return value


def same(one: Any, other: Any) -> bool:
    """Whether two statuses say the same."""
    return bool(pruned(one or {}) == pruned(other or {}))


async def write_status(client: ApiClient, resource: Resource, obj: Object, status: Object) -> Object:
    """Replace `obj`'s status unless it says the same already. Returns the object as it is now.

    A Conflict re-reads the object and tries again, but not when its name now belongs to another object. `obj` is not changed.
    """
    if same(obj.get("status"), status):
        return obj
    for attempt in range(_TRIES):
        try:
            return await client.update(resource, {**obj, "status": status}, subresource="status")
        except Conflict:
            fresh = await client.get(resource, meta.name(obj), meta.namespace(obj) or None)
            if attempt == _TRIES - 1 or meta.uid(fresh) != meta.uid(obj):
                raise
            obj = fresh
    return obj


async def update_with_retry(
    client: ApiClient,
    resource: Resource,
    obj: Object,
    change: Callable[[Object], Object | None],
    *,
    subresource: str | None = None,
) -> Object:
    """Update `change(obj)`; on Conflict `change` is asked again about the live object. None means nothing to do.

    `change` must return a copy. Raises Conflict after five lost races, NotFound when the object is gone.
    """
    for attempt in range(_TRIES):
        wanted = change(obj)
        if wanted is None:
            return obj
        try:
            return await client.update(resource, wanted, subresource=subresource)
        except Conflict:
            if attempt == _TRIES - 1:
                raise
            obj = await client.get(resource, meta.name(obj), meta.namespace(obj) or None)
    return obj
