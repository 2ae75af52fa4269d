"""From a request about a resource to its handler."""

from __future__ import annotations

from api import errors
from api.types import Resource
from apiserver.core import Core
from apiserver.handlers import delete, patch, read, scale, watch, write
from apiserver.plugins import Handler
from apiserver.request import Reply, Request

VERBS: dict[str, Handler] = {
    "get": read.get,
    "list": read.list_,
    "watch": watch.watch,
    "create": write.create,
    "update": write.update,
    "patch": patch.patch,
    "delete": delete.delete,
    "deletecollection": delete.delete_collection,
}
_STATUS: dict[str, Handler] = {"get": read.get, "update": write.update, "patch": patch.patch}


class Dispatch:
    """Answers every path below /api/VERSION and /apis/GROUP/VERSION."""

    def __init__(self, core: Core) -> None:
        self.core = core

    async def __call__(self, request: Request) -> Reply | None:
        info = request.info
        resource = self.core.find(info.group, info.version, info.resource)
        if resource is None:
            raise errors.NotFound("the server could not find the requested resource")
        return await self._handler(request, resource)(self.core, request, resource)

    def _handler(self, request: Request, resource: Resource) -> Handler:
        info, plugins = request.info, self.core.plugins
        if info.subresource:
            return self._subresource(request, resource)
        special = plugins.resources.get((resource.group, resource.plural))
        if special is not None:
            if info.verb != "create":
                raise _not_allowed(request)
            return special
        if info.verb not in resource.verbs:
            raise _not_allowed(request)
        if info.name and not info.namespace and resource.namespaced:
            raise errors.NotFound("the server could not find the requested resource")
        if info.verb == "create" and (info.name or (resource.namespaced and not info.namespace)):
            raise _not_allowed(request)
        if info.verb in ("update", "patch") and not info.name:
            raise _not_allowed(request)
        if info.verb == "deletecollection" and resource.namespaced and not info.namespace:
            raise _not_allowed(request)
        return VERBS[info.verb]

    def _subresource(self, request: Request, resource: Resource) -> Handler:
        info = request.info
        custom = self.core.plugins.subresources.get((resource.plural, info.subresource))
        if custom is not None:
            return custom
        if info.subresource not in resource.subresources:
            raise errors.NotFound("the server could not find the requested resource")
        if info.subresource == "scale":
            return scale.scale
        handler = _STATUS.get(info.verb)
        if handler is None or info.subresource not in (
            "status",
            "finalize",
            "ephemeralcontainers",
            "resize",
            "approval",
        ):
            raise _not_allowed(request)
        return handler


def _not_allowed(request: Request) -> errors.MethodNotAllowed:
    details = {"kind": request.info.resource}
    return errors.MethodNotAllowed("the server does not allow this method on the requested resource", details)
