"""Lists and watches in whatever form the caller accepts, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from api.errors import ApiError
from api.types import Object, Resource
from client.rest import ApiClient

PAGE = 500
_SILENCE_SECONDS = 3600.0


@dataclass(frozen=True)
class Query:
    """What to list: selectors, and the media type to ask for."""

    label_selector: str = ""
    field_selector: str = ""
    accept: str = "application/json"
    page: int = PAGE
    extra: dict[str, str] = field(default_factory=dict)

    def params(self) -> dict[str, Any]:
        """The query parameters common to list and watch."""
        return {"labelSelector": self.label_selector, "fieldSelector": self.field_selector, **self.extra}


async def pages(client: ApiClient, path: str, query: Query) -> AsyncIterator[Object]:
    """The pages of a list, each a List or a Table."""
    token = ""
    while True:
        params = {**query.params(), "limit": query.page or "", "continue": token}
        response = await client.raw("GET", path, params=params, headers={"Accept": query.accept})
        page: Object = orjson.loads(response.content)
        yield page
        token = (page.get("metadata") or {}).get("continue") or ""
        if not token:
            return


async def whole(client: ApiClient, resource: Resource, namespace: str | None, query: Query) -> Object:
    """All pages as one List (or Table)."""
    first: Object | None = None
    async for page in pages(client, resource.path(namespace), query):
        part = "rows" if page.get("kind") == "Table" else "items"
        if first is None:
            first = {**page, part: page.get(part) or []}
        else:
            first[part] += page.get(part) or []
            first["metadata"] = {**first["metadata"], "resourceVersion": page["metadata"].get("resourceVersion", "")}
    return first or {"items": [], "metadata": {}}


async def watch(client: ApiClient, path: str, query: Query, version: str) -> AsyncIterator[Object]:
    """Watch events from a version on, in the accepted form, until the server ends the watch. Raises ApiError."""
    params = {**query.params(), "watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true"}
    rest = b""
    stream = client.stream(path, params=params, headers={"Accept": query.accept}, silence=_SILENCE_SECONDS)
    async for piece in stream:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if not line:
                continue
            event: Object = orjson.loads(line)
            if event["type"] == "ERROR":
                raise ApiError.from_status(event["object"])
            yield event
