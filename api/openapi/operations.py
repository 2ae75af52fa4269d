"""The operations that a resource's rows stand for: which path, which verb, which parameters, which bodies.

Pure description, shared by both versions of OpenAPI. `x-kubernetes-action` and the group-version-kind of an operation
are what kubectl reads.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from api.kinds import core
from api.kinds.authentication import TokenRequest
from api.kinds.autoscaling import Scale
from api.kinds.base import Model
from api.kinds.policy import Eviction
from api.types import Resource

Parameters = tuple[tuple[str, str, str], ...]
"""Name, type and meaning of each query parameter."""

READ: Parameters = (("pretty", "string", "Whether the answer is indented."),)
WRITE = (
    *READ,
    ("dryRun", "string", "With `All`, everything is checked and nothing is stored."),
    ("fieldManager", "string", "The name under which the fields written are owned."),
    ("fieldValidation", "string", "What unknown and duplicate fields do: `Ignore`, `Warn` or `Strict`."),
)
APPLY = (*WRITE, ("force", "boolean", "Whether an apply takes fields over from other managers."))
LIST = (
    *READ,
    ("allowWatchBookmarks", "boolean", "Whether a watch sends bookmarks."),
    ("continue", "string", "The token with which the previous page ended."),
    ("fieldSelector", "string", "Selects objects by their fields."),
    ("labelSelector", "string", "Selects objects by their labels."),
    ("limit", "integer", "The most objects on one page."),
    ("resourceVersion", "string", "The version to read at or to watch from."),
    ("resourceVersionMatch", "string", "How `resourceVersion` is meant: `Exact` or `NotOlderThan`."),
    ("sendInitialEvents", "boolean", "Whether a watch starts with the present objects."),
    ("timeoutSeconds", "integer", "How long a list or watch may take."),
    ("watch", "boolean", "Whether changes are sent as they come."),
)
DELETE = (
    *READ,
    ("dryRun", "string", "With `All`, everything is checked and nothing is deleted."),
    ("gracePeriodSeconds", "integer", "Seconds the object has left; 0 means now."),
    ("ignoreStoreReadErrorWithClusterBreakingPotential", "boolean", "Whether an unreadable object may be deleted."),
    ("orphanDependents", "boolean", "The old form of `propagationPolicy`."),
    ("propagationPolicy", "string", "What becomes of dependents: `Orphan`, `Background` or `Foreground`."),
)
CONNECT: Parameters = ()

_CONNECT_VERBS = {
    "log": ("get",),
    "exec": ("get", "post"),
    "attach": ("get", "post"),
    "portforward": ("get", "post"),
    "proxy": ("get", "post", "put", "patch", "delete"),
}
_BODIES: dict[str, tuple[type[Model], str, str]] = {
    "scale": (Scale, "autoscaling", "v1"),
    "eviction": (Eviction, "policy", "v1"),
    "binding": (core.Binding, "", "v1"),
    "token": (TokenRequest, "authentication.k8s.io", "v1"),
}
_POST_ONLY = ("eviction", "binding", "token")
_PUT_ONLY = ("finalize",)


@dataclass(frozen=True, slots=True)
class Operation:
    """One verb on one path. `body` and `answer` are `self`, `list`, `options`, `status`, `patch`, `other`, `text` or empty."""

    path: str
    method: str
    action: str
    resource: Resource
    subresource: str
    parameters: Parameters
    body: str
    answer: str

    @property
    def identity(self) -> str:
        """A name for the operation that no other has: `createAppsV1NamespacedDeployment`."""
        group = "".join(part.capitalize() for part in (self.resource.group or "core").split(".")[0].split("-"))
        version = self.resource.version.capitalize()
        verb = {"get": "read", "put": "replace", "post": "create", "deletecollection": "deleteCollection"}.get(
            self.action, self.action
        )
        if self.action == "connect":
            verb = f"connect{self.method.capitalize()}"
        scope = "Namespaced" if "{namespace}" in self.path else ""
        everywhere = "ForAllNamespaces" if self.resource.namespaced and not scope and self.action == "list" else ""
        below = "".join(part.capitalize() for part in self.subresource.split("/"))
        return f"{verb}{group}{version}{scope}{self.resource.kind}{below}{everywhere}"

    @property
    def other(self) -> tuple[type[Model], str, str] | None:
        """The model, group and version of a subresource's own kind of body, if it has one."""
        return _BODIES.get(self.subresource)


def operations(resource: Resource) -> Iterator[Operation]:
    """Every operation that is served for a resource and its subresources."""
    top = resource.path("{namespace}" if resource.namespaced else None)
    one = f"{top}/{{name}}"

    def op(
        path: str, method: str, action: str, parameters: tuple[tuple[str, str, str], ...], body: str, answer: str
    ) -> Operation:
        return Operation(path, method, action, resource, "", parameters, body, answer)

    verbs = resource.verbs
    if "list" in verbs:
        yield op(top, "get", "list", LIST, "", "list")
        if resource.namespaced:
            yield op(resource.path(), "get", "list", LIST, "", "list")
    if "create" in verbs:
        yield op(top, "post", "post", WRITE, "self", "self")
    if "deletecollection" in verbs:
        yield op(top, "delete", "deletecollection", LIST + DELETE[1:], "options", "status")
    if "get" in verbs:
        yield op(one, "get", "get", READ, "", "self")
    if "update" in verbs:
        yield op(one, "put", "put", WRITE, "self", "self")
    if "patch" in verbs:
        yield op(one, "patch", "patch", APPLY, "patch", "self")
    if "delete" in verbs:
        yield op(one, "delete", "delete", DELETE, "options", "status")
    for name in resource.subresources:
        yield from _subresource(resource, f"{one}/{name}", name)


def _subresource(resource: Resource, path: str, name: str) -> Iterator[Operation]:
    connect = _CONNECT_VERBS.get(name)
    if connect:
        for method in connect:
            action = "get" if name == "log" else "connect"
            yield Operation(path, method, action, resource, name, CONNECT, "", "text")
        return
    kind = "other" if name in _BODIES else "self"
    if name in _POST_ONLY:
        yield Operation(path, "post", "post", resource, name, WRITE, kind, kind)
        return
    if name in _PUT_ONLY:
        yield Operation(path, "put", "put", resource, name, WRITE, kind, kind)
        return
    yield Operation(path, "get", "get", resource, name, READ, "", kind)
    yield Operation(path, "put", "put", resource, name, WRITE, kind, kind)
    yield Operation(path, "patch", "patch", resource, name, APPLY, "patch", kind)
