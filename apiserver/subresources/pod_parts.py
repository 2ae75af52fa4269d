"""pods/ephemeralcontainers and pods/resize: updates of a pod that may change one part of its spec and nothing else."""

from __future__ import annotations

from collections.abc import Callable

from api import errors
from api.errors import FieldError
from api.resources import PODS
from api.types import Object, Resource
from apiserver import body, metadata, params, present
from apiserver.core import Core
from apiserver.handlers import read, write
from apiserver.handlers.patch import APPLY_PATCH, applier, media_type
from apiserver.request import Reply, Request

Scope = Callable[[Object, Object], Object]
"""(wanted, current): the current object with the part that this subresource writes taken from the wanted one."""


async def change_part(core: Core, request: Request, resource: Resource, scope: Scope) -> Reply | None:
    """Answer GET, PUT and PATCH of a subresource that shows the whole object and writes a part of it."""
    info = request.info
    if info.verb == "get":
        return await read.get(core, request, resource)
    if info.verb not in ("update", "patch"):
        raise errors.MethodNotAllowed("the server does not allow this method on the requested resource")
    kind = "PatchOptions" if info.verb == "patch" else "UpdateOptions"
    options = params.write_options(request, kind)
    wanted = await wanted_object(request, resource, options.validation)

    async def change(current: Object) -> Object:
        new = wanted(current)
        metadata.check_place(resource, new, info.namespace, info.name)
        metadata.check_version(resource, new, current)
        new = scope(new, current)
        return await write.prepared(core, request, resource, new, current, options, kind)

    result = await write.modify(core, request, resource, change)
    return present.one(request, resource, result.data)


async def wanted_object(request: Request, resource: Resource, validation: str) -> Callable[[Object], Object]:
    """Return what makes the wanted object from the current one: a body of its own, or a patch."""
    if request.info.verb == "update":
        given, twice = await body.read_object(request)
        return lambda current: write.copied(body.normalise(request, resource, given, validation, twice))
    kind = media_type(request)
    if kind == APPLY_PATCH:
        raise errors.UnsupportedMediaType("server-side apply of this subresource is not served")
    data, repeated = body.parse(await request.read(), body.JSON)
    apply = applier(kind, resource, data)
    return lambda current: body.normalise(request, resource, write.copied(apply(current)), validation, repeated)


async def ephemeral_containers(core: Core, request: Request, resource: Resource) -> Reply | None:
    """The subresource by which `kubectl debug` adds containers to a running pod."""
    return await change_part(core, request, resource, with_ephemeral)


async def resize(core: Core, request: Request, resource: Resource) -> Reply | None:
    """The subresource that changes CPU and memory of a running pod's containers (KEP-1287)."""
    return await change_part(core, request, resource, with_resources)


def with_ephemeral(wanted: Object, current: Object) -> Object:
    """Return the current pod with the wanted ephemeral containers; those it has may not change. Raises Invalid."""
    present_ones = current["spec"].get("ephemeralContainers") or []
    asked = wanted["spec"].get("ephemeralContainers") or []
    by_name = {container["name"]: container for container in asked}
    path = "spec.ephemeralContainers"
    found = [
        FieldError(
            path, "Forbidden", None, f"existing ephemeral containers \"{container['name']}\" may not be "
            f"{'changed' if container['name'] in by_name else 'removed'}\n"
        )
        for container in present_ones
        if not _same(by_name.get(container["name"]), container)
    ]  # fmt: skip
    if found:
        raise errors.invalid(PODS, current["metadata"]["name"], found)
    return {**current, "spec": {**current["spec"], "ephemeralContainers": asked}}


def _same(asked: Object | None, present_one: Object) -> bool:
    return asked is not None and {**present_one, **asked} == present_one


def with_resources(wanted: Object, current: Object) -> Object:
    """Return the current pod with the wanted resources of its containers. Raises Invalid for unknown containers."""
    spec = dict(current["spec"])
    for field in ("containers", "initContainers"):
        asked = {container["name"]: container for container in wanted["spec"].get(field) or ()}
        if unknown := asked.keys() - {container["name"] for container in spec.get(field) or ()}:
            why = "containers may not be added or removed on resize"
            raise errors.invalid(
                PODS, current["metadata"]["name"], [FieldError(f"spec.{field}", "Forbidden", sorted(unknown), why)]
            )
        if field in spec:
            spec[field] = [_resized(container, asked.get(container["name"])) for container in spec[field]]
    return {**current, "spec": spec}


def _resized(container: Object, asked: Object | None) -> Object:
    if asked is None:
        return container
    new = {**container, "resources": asked.get("resources") or {}}
    if asked.get("resizePolicy"):
        new["resizePolicy"] = asked["resizePolicy"]
    return new
