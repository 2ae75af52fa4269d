"""create and update: decode → strategy → admission → validation → storage."""

from __future__ import annotations

import logging
from typing import Literal

import orjson

from api import errors, resources, validation
from api.errors import FieldError
from api.types import Object, Resource
from apiserver import body, codec, managed, metadata, params, present
from apiserver.core import Core, key_of
from apiserver.params import WriteOptions
from apiserver.plugins import AdmissionRequest
from apiserver.request import Reply, Request
from apiserver.store import Mutate, Remove, Result, Unchanged
from apiserver.strategies import Strategy, strategy
from apiserver.strategies import core as core_strategies

log = logging.getLogger("apiserver.write")

_NAME_ATTEMPTS = 8


def copied(obj: Object) -> Object:
    """A deep copy of plain JSON data."""
    found: Object = orjson.loads(orjson.dumps(obj))
    return found


def admission(
    core: Core,
    request: Request,
    resource: Resource,
    operation: Literal["CREATE", "UPDATE", "DELETE", "CONNECT"],
    obj: Object | None,
    old: Object | None,
    *,
    name: str = "",
    dry_run: bool = False,
    options: Object | None = None,
) -> AdmissionRequest:
    """The question to the admission plugins about one write of this request."""
    info = request.info
    return AdmissionRequest(
        core=core,
        operation=operation,
        resource=resource,
        subresource=info.subresource,
        namespace=info.namespace,
        name=name or info.name,
        object=obj,
        old=old,
        user=request.user,
        dry_run=dry_run,
        options=options or {},
        warnings=request.warnings,
        annotations=request.annotations,
        undo=request.undo,
    )


async def undo(request: Request) -> None:
    """Give back what admission has taken for a write that failed. What cannot be given back now is left to the repairers."""
    while request.undo:
        try:
            await request.undo.pop()()
        except errors.ApiError as error:
            log.warning("could not give back what admission took for %s: %s", request.info.path, error)


async def modify(core: Core, request: Request, resource: Resource, change: Mutate) -> Result:
    """Change the request's object in the store. Raises what `Store.modify` raises.

    What admission takes in `change` is given back when that try fails or loses its race; the next try is admitted anew.
    """
    info = request.info
    key = key_of(resource, info.namespace, info.name)
    result = await core.store.modify(core.cache(resource), key, info.name, change, lambda: undo(request))
    request.undo.clear()
    return result


async def create(core: Core, request: Request, resource: Resource) -> Reply:
    """POST to a collection."""
    options = params.write_options(request, "CreateOptions")
    given, twice = await body.read_object(request)
    obj = body.normalise(request, resource, given, options.validation, twice)
    result = await store_new(core, request, resource, obj, options)
    return present.one(request, resource, result.data, 201)


async def store_new(
    core: Core, request: Request, resource: Resource, obj: Object, options: WriteOptions, applied: Object | None = None
) -> Result:
    """Admit, validate and store a decoded object that should not exist yet. `applied`: the patch of an applier."""
    metadata.check_place(resource, obj, request.info.namespace, request.info.name)
    generated = not obj["metadata"].get("name") and bool(obj["metadata"].get("generateName"))
    plan = strategy(resource)
    metadata.fill_new(resource, plan, obj)
    plan.create(obj)
    asked = admission(
        core, request, resource, "CREATE", obj, None, name=obj["metadata"]["name"], dry_run=options.dry_run,
        options=options.as_object("CreateOptions"),
    )  # fmt: skip
    try:
        await _admit_new(core, asked, resource, obj)
        if applied is not None:
            managed.applied_new(resource, obj, applied, options.manager)
        else:
            managed.created(resource, obj, options.manager)
        if options.dry_run:
            return await _tried(core, resource, obj)
        result = await _insert(core, resource, obj, _NAME_ATTEMPTS if generated else 1)
    except BaseException:
        await undo(request)
        raise
    request.undo.clear()
    return result


async def _admit_new(core: Core, asked: AdmissionRequest, resource: Resource, obj: Object) -> None:
    for plugin in core.plugins.mutating:
        await plugin(asked)
    found = validation.validate_create(resource, obj)
    if found:
        raise errors.invalid(resource, obj["metadata"]["name"], found)
    for plugin in core.plugins.validating:
        await plugin(asked)


async def _tried(core: Core, resource: Resource, obj: Object) -> Result:
    """The end of a dry run: what would have been stored."""
    await core.feed.fresh()
    meta = obj["metadata"]
    if key_of(resource, meta.get("namespace", ""), meta["name"]) in core.cache(resource).entries:
        raise errors.already_exists(resource, meta["name"])
    return Result(codec.stored(obj), 0)


async def _insert(core: Core, resource: Resource, obj: Object, attempts: int) -> Result:
    meta = obj["metadata"]
    cache = core.cache(resource)
    for attempt in range(attempts):
        try:
            return await core.store.create(cache, key_of(resource, meta.get("namespace", ""), meta["name"]), obj)
        except errors.AlreadyExists:
            if attempt == attempts - 1:
                raise
            meta["name"] = metadata.generate_name(meta["generateName"])
    raise errors.already_exists(resource, meta["name"])


async def update(core: Core, request: Request, resource: Resource) -> Reply:
    """PUT of an object or of its status."""
    options = params.write_options(request, "UpdateOptions")
    given, twice = await body.read_object(request)
    obj = body.normalise(request, resource, given, options.validation, twice)
    info = request.info
    metadata.check_place(resource, obj, info.namespace, info.name)

    async def change(current: Object) -> Object:
        new = copied(obj)
        if strategy(resource).conditional and not new["metadata"].get("resourceVersion"):
            missing = FieldError("metadata.resourceVersion", "Invalid value", 0, "must be specified for an update")
            raise errors.invalid(resource, info.name, [missing])
        metadata.check_version(resource, new, current)
        return await prepared(core, request, resource, new, current, options, "UpdateOptions")

    try:
        result = await modify(core, request, resource, change)
    except errors.NotFound:
        if info.subresource or not strategy(resource).upsert or obj["metadata"].get("resourceVersion"):
            raise
        obj["metadata"].pop("uid", None)
        result = await store_new(core, request, resource, obj, options)
        return present.one(request, resource, result.data, 201)
    return present.one(request, resource, result.data)


async def prepared(
    core: Core,
    request: Request,
    resource: Resource,
    new: Object,
    old: Object,
    options: WriteOptions,
    kind: str,
    applied: Object | None = None,
) -> Object:
    """The object to store in place of `old`: strategy, admission, validation, ownership.

    `applied` is the patch of an applier. Raises Remove when the last finalizer of a deleted object went. What admission
    took stands in `request.undo`: call it from a change given to `modify`.
    """
    plan = strategy(resource)
    subresource = request.info.subresource
    metadata.keep_fixed(resource, new, old)
    new = _scoped(resource, plan, new, old, subresource)
    asked = admission(
        core, request, resource, "UPDATE", new, old, dry_run=options.dry_run, options=options.as_object(kind)
    )  # fmt: skip
    for plugin in core.plugins.mutating:
        await plugin(asked)
    if plan.generation and subresource != "status":
        metadata.count_generation(new, old)
    found = validation.validate_update(resource, new, old, subresource)
    if found:
        raise errors.invalid(resource, old["metadata"]["name"], found)
    for plugin in core.plugins.validating:
        await plugin(asked)
    manager = options.manager
    if applied is not None:
        managed.applied(resource, new, old, applied, manager, subresource, force=options.force)
    else:
        managed.updated(resource, new, old, manager, subresource)
    if options.dry_run:
        raise Unchanged(new)
    if finished(resource, new, old):
        raise Remove(new)
    return new


def _scoped(resource: Resource, plan: Strategy, new: Object, old: Object, subresource: str) -> Object:
    """Take from the old object what this endpoint does not write."""
    if subresource in ("status", "approval"):
        new = metadata.status_only(new, old)
        plan.status(new, old)
        return new
    if subresource == "finalize" and resource == resources.NAMESPACES:
        return core_strategies.finalize_namespace(new, old)
    if subresource in core_strategies.POD_SUBRESOURCES and resource == resources.PODS:
        return core_strategies.POD_SUBRESOURCES[subresource](new, old)
    if "status" in resource.subresources:
        new = {key: value for key, value in new.items() if key != "status"}
        if "status" in old:
            new["status"] = old["status"]
    plan.update(new, old)
    return new


def finished(resource: Resource, new: Object, old: Object) -> bool:
    """Whether a write takes away the last thing that kept a deleted object alive."""
    meta = new["metadata"]
    if not old["metadata"].get("deletionTimestamp") or meta.get("finalizers"):
        return False
    if resource == resources.NAMESPACES and (new.get("spec") or {}).get("finalizers"):
        return False
    return not meta.get("deletionGracePeriodSeconds")
