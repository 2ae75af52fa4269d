"""patch: JSON patch, merge patch, strategic merge patch; server-side apply stands in `apply`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from api import errors, kinds, merge
from api.types import Object, Resource
from apiserver import body, metadata, params, present
from apiserver.core import Core
from apiserver.handlers import apply as apply_
from apiserver.handlers import write
from apiserver.request import Reply, Request

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
_TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)

Apply = Callable[[Object], Object]


def applier(kind: str, resource: Resource, patch: Any) -> Apply:
    """The function that applies a parsed patch to an object of the resource."""
    if kind == JSON_PATCH:
        return lambda current: merge.json_patch(current, patch)
    if not isinstance(patch, dict):
        raise errors.BadRequest("the patch is not a JSON object")
    if kind == MERGE_PATCH:
        return lambda current: _object(merge.json_merge(current, patch))
    model = kinds.load(resource)
    return lambda current: merge.strategic_merge(model, current, patch)


def _object(value: Any) -> Object:
    if not isinstance(value, dict):
        raise errors.BadRequest("the patch leaves no object")
    return value


def media_type(request: Request) -> str:
    """The patch's checked media type. Raises UnsupportedMediaType."""
    kind = body.media_type(request)
    if kind not in _TYPES:
        raise errors.UnsupportedMediaType(
            f"the body of the request was in an unknown format - accepted media types include: {', '.join(_TYPES)}"
        )
    return kind


async def patch(core: Core, request: Request, resource: Resource) -> Reply:
    """PATCH of an object or of its status."""
    kind = media_type(request)
    if kind == APPLY_PATCH:
        return await apply_.apply(core, request, resource)
    options = params.write_options(request, "PatchOptions")
    raw = await request.read()
    data, twice = body.parse(raw, body.JSON)
    apply = applier(kind, resource, data)
    info = request.info
    said = len(request.warnings)

    async def change(current: Object) -> Object:
        del request.warnings[said:]
        changed = write.copied(apply(current))
        new = body.normalise(request, resource, changed, options.validation, twice)
        metadata.check_place(resource, new, info.namespace, info.name)
        metadata.check_version(resource, new, current)
        return await write.prepared(core, request, resource, new, current, options, "PatchOptions")

    result = await write.modify(core, request, resource, change)
    return present.one(request, resource, result.data)
