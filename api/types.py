"""The two types every part of Cloudlet shares: an object as plain JSON data, and the description of a resource."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
"""One API object (or List, Status, ...) as decoded JSON. Objects that come from a cache are read-only."""

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Resource:
    """One row of the registry: the names by which clients know a kind, and where its model stands.

    `model` is "module:Class" and is imported only by those who need it, so that daemons and the CLI can use the
    registry without paying for the models.
    """

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    model: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = VERBS
    field_selectors: tuple[str, ...] = ()
    stored_as: str = ""
    """Plural of the storage prefix when several versions or groups share one store, else empty."""

    @property
    def group_version(self) -> str:
        """`v1` or `apps/v1`, as it stands in an object's `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def path_prefix(self) -> str:
        """`/api/v1` or `/apis/apps/v1`."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    @property
    def qualified(self) -> str:
        """`pods` or `deployments.apps`: the name used in messages, RBAC and quota."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def storage_prefix(self) -> str:
        """The etcd key under which all objects of the kind stand, with a closing slash."""
        return f"/registry/{self.stored_as or self.qualified}/"

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of the collection, of one object, or of an object's subresource."""
        parts = [self.path_prefix]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name:
            parts.append(name)
        if subresource:
            parts.append(subresource)
        return "/".join(parts)
