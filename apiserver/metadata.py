"""What the server does with the metadata of every object: names, uids, times, generation, what a writer may not touch.

Source: rest.BeforeCreate and rest.BeforeUpdate of Kubernetes.
"""

from __future__ import annotations

import secrets
from uuid import uuid4

from api import errors, timestamp
from api.errors import FieldError
from api.types import Object, Resource
from apiserver.strategies import Strategy

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_PREFIX_MAX = 58


def generate_name(prefix: str) -> str:
    """`prefix` and five random characters."""
    return prefix[:_PREFIX_MAX] + "".join(secrets.choice(_ALPHABET) for _ in range(5))


def check_place(resource: Resource, obj: Object, namespace: str, name: str = "") -> None:
    """Put the URL's namespace into the object; raise BadRequest when the object says another namespace or name."""
    meta = obj.setdefault("metadata", {})
    if resource.namespaced:
        if meta.setdefault("namespace", namespace) != namespace:
            raise errors.BadRequest(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
    elif meta.pop("namespace", ""):
        raise errors.BadRequest("namespace may not be set on an object that is not namespaced")
    if name and meta.setdefault("name", name) != name:
        raise errors.BadRequest(f"the name of the object ({meta['name']}) does not match the name on the URL ({name})")


def fill_new(resource: Resource, strategy: Strategy, obj: Object) -> None:
    """Set what a new object's metadata must hold; drop what only the server may set. Raises BadRequest, Invalid."""
    meta = obj["metadata"]
    if meta.get("resourceVersion"):
        raise errors.BadRequest("resourceVersion should not be set on objects to be created")
    for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion", "generation"):
        meta.pop(name, None)
    if not meta.get("name"):
        if not meta.get("generateName"):
            why = "name or generateName is required"
            raise errors.invalid(resource, "", [FieldError("metadata.name", "Required value", None, why)])
        meta["name"] = generate_name(meta["generateName"])
    meta["uid"] = str(uuid4())
    meta["creationTimestamp"] = timestamp.now()
    if strategy.generation:
        meta["generation"] = 1
    if "status" in resource.subresources and not strategy.keeps_status:
        obj.pop("status", None)


_FIXED = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink")


def keep_fixed(resource: Resource, new: Object, old: Object) -> None:
    """Take from the old object what no writer may change. Raises Conflict when the uid is another object's."""
    meta, before = new["metadata"], old["metadata"]
    if meta.get("uid") and meta["uid"] != before.get("uid"):
        raise errors.conflict(
            resource,
            before["name"],
            f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {before.get('uid')}",
        )
    for name in _FIXED:
        if name in before:
            meta[name] = before[name]
        else:
            meta.pop(name, None)
    if "generateName" in before:
        meta.setdefault("generateName", before["generateName"])


def check_version(resource: Resource, new: Object, old: Object) -> None:
    """Raise Conflict when the writer has seen another version than the one that is there."""
    wanted = new["metadata"].get("resourceVersion")
    if wanted and wanted != "0" and wanted != old["metadata"]["resourceVersion"]:
        raise errors.conflict(resource, old["metadata"]["name"])


def count_generation(new: Object, old: Object) -> None:
    """Move the generation when anything but metadata and status has changed."""
    if _wanted(new) != _wanted(old):
        new["metadata"]["generation"] = int(old["metadata"].get("generation", 0)) + 1


def _wanted(obj: Object) -> Object:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status", "kind", "apiVersion")}


def status_only(new: Object, old: Object) -> Object:
    """The old object with the new one's status, labels, annotations and other open metadata."""
    return old | {"metadata": new["metadata"], "status": new.get("status") or {}}
