"""The /scale subresource: an autoscaling/v1 Scale in front of spec.replicas."""

from __future__ import annotations

from api import errors, merge, selectors
from api.errors import FieldError
from api.types import Object, Resource
from apiserver import body, codec, metadata, params
from apiserver.core import Core
from apiserver.handlers import write
from apiserver.handlers.patch import APPLY_PATCH, JSON_PATCH, media_type
from apiserver.request import Reply, Request

_API = "autoscaling/v1"


def of(obj: Object) -> Object:
    """The Scale of a Deployment, ReplicaSet, ReplicationController or StatefulSet."""
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    selector = spec.get("selector") or {}
    plain = obj["kind"] == "ReplicationController"
    chosen = selectors.from_map(selector) if plain else selectors.from_object(selector)
    names = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    shown: Object = {"replicas": status.get("replicas", 0)}
    if str(chosen):
        shown["selector"] = str(chosen)
    return {
        "kind": "Scale",
        "apiVersion": _API,
        "metadata": {name: meta[name] for name in names if name in meta},
        "spec": {"replicas": spec.get("replicas", 1)},
        "status": shown,
    }


def _replicas(resource: Resource, name: str, scale: Object) -> int:
    count = (scale.get("spec") or {}).get("replicas", 0)
    if not isinstance(count, int) or isinstance(count, bool):
        raise errors.BadRequest("Scale.spec.replicas must be a whole number")
    if count < 0:
        wrong = FieldError("spec.replicas", "Invalid value", count, "must be greater than or equal to 0")
        raise errors.invalid(resource, name, [wrong])
    return count


async def scale(core: Core, request: Request, resource: Resource) -> Reply:
    """GET, PUT and PATCH of /scale."""
    info = request.info
    if info.verb == "get":
        return Reply.of(of(await core.get(resource, info.namespace, info.name)))
    kind = ""
    if info.verb == "patch":
        kind = media_type(request)
        if kind == APPLY_PATCH:
            raise errors.UnsupportedMediaType("server-side apply of a Scale is not served")
        given = body.parse(await request.read(), body.JSON)[0]
    elif info.verb == "update":
        given = (await body.read_object(request))[0]
    else:
        raise errors.MethodNotAllowed(f"{info.verb} is not supported on {resource.plural}/scale")
    options = params.write_options(request, "UpdateOptions")

    async def change(current: Object) -> Object:
        wanted = given
        if kind:
            shown = of(current)
            wanted = merge.json_patch(shown, given) if kind == JSON_PATCH else merge.json_merge(shown, given)
        if wanted.get("kind", "Scale") != "Scale":
            raise errors.BadRequest(f"{wanted['kind']} is not a Scale")
        metadata.check_version(resource, {"metadata": wanted.get("metadata") or {}}, current)
        new = write.copied(current)
        new["spec"]["replicas"] = _replicas(resource, info.name, wanted)
        return await write.prepared(core, request, resource, new, current, options, "UpdateOptions")

    result = await write.modify(core, request, resource, change)
    return Reply.of(of(codec.loads(result.data)))
