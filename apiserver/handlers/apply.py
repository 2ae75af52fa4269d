"""Server-side apply: the patch type `application/apply-patch+yaml`."""

from __future__ import annotations

from api import errors
from api.errors import FieldError
from api.types import Object, Resource
from apiserver import body, managed, metadata, params, present
from apiserver.core import Core
from apiserver.handlers import write
from apiserver.params import WriteOptions
from apiserver.request import Reply, Request


def _checked(resource: Resource, patch: Object, request: Request) -> None:
    """Raise BadRequest when the body is no apply configuration of this object."""
    for name, wanted in (("kind", resource.kind), ("apiVersion", resource.group_version)):
        given = patch.get(name)
        if not given:
            raise errors.BadRequest(f"{name} must be set in the body of an apply patch")
        if given != wanted:
            raise errors.BadRequest(f"the {name} in the body ({given}) does not match the expected {name} ({wanted})")
    metadata.check_place(resource, patch, request.info.namespace, request.info.name)
    if patch["metadata"].get("managedFields"):
        raise errors.BadRequest("metadata.managedFields must be nil")


def _options(request: Request) -> WriteOptions:
    options = params.write_options(request, "PatchOptions")
    if not request.query.get("fieldManager"):
        missing = FieldError("fieldManager", "Required value", None, "is required for apply patch")
        raise params.bad_options("PatchOptions", [missing])
    return options


async def apply(core: Core, request: Request, resource: Resource) -> Reply:
    """PATCH with an apply configuration: creates the object when it is missing."""
    options = _options(request)
    raw = await request.read()
    data, twice = body.parse(raw, "application/yaml")
    if not isinstance(data, dict):
        raise errors.BadRequest("an apply patch is an object")
    _checked(resource, data, request)
    patch = write.copied(data)
    info = request.info
    said = len(request.warnings)

    async def change(current: Object) -> Object:
        del request.warnings[said:]
        wanted = managed.merged(resource, current, patch, options.manager, info.subresource)
        new = body.normalise(request, resource, write.copied(wanted), options.validation, twice)
        metadata.check_version(resource, patch, current)
        return await write.prepared(core, request, resource, new, current, options, "PatchOptions", patch)

    try:
        result = await write.modify(core, request, resource, change)
    except errors.NotFound:
        if info.subresource or patch["metadata"].get("resourceVersion"):
            raise
    else:
        return present.one(request, resource, result.data)
    new = body.normalise(request, resource, write.copied(patch), options.validation, twice)
    try:
        result = await write.store_new(core, request, resource, new, options, patch)
    except errors.AlreadyExists:
        result = await write.modify(core, request, resource, change)
    return present.one(request, resource, result.data, 201)
