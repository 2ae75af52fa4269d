"""What every component reads from an object's metadata and conditions. All functions are pure; none changes its input,
but `set_condition`, which changes the list it is given."""

from typing import Any

from api.types import Object, Resource


def name(obj: Object) -> str:
    """`metadata.name`."""
    return str(obj["metadata"].get("name", ""))


def namespace(obj: Object) -> str:
    """`metadata.namespace`, empty for a cluster-scoped object."""
    return str(obj["metadata"].get("namespace", ""))


def key(obj: Object) -> str:
    """`namespace/name`, or `name` for a cluster-scoped object: what work queues and listers use."""
    meta = obj["metadata"]
    space = meta.get("namespace")
    return f"{space}/{meta['name']}" if space else str(meta["name"])


def split_key(text: str) -> tuple[str | None, str]:
    """The namespace (None if cluster-scoped) and name of a key."""
    space, slash, rest = text.partition("/")
    return (space, rest) if slash else (None, space)


def uid(obj: Object) -> str:
    """`metadata.uid`."""
    return str(obj["metadata"].get("uid", ""))


def resource_version(obj: Object) -> str:
    """`metadata.resourceVersion`."""
    return str(obj["metadata"].get("resourceVersion", ""))


def labels(obj: Object) -> dict[str, str]:
    """`metadata.labels`, empty if there are none. Read-only."""
    return obj["metadata"].get("labels") or {}


def annotations(obj: Object) -> dict[str, str]:
    """`metadata.annotations`, empty if there are none. Read-only."""
    return obj["metadata"].get("annotations") or {}


def is_deleting(obj: Object) -> bool:
    """Whether a deletion has been accepted (`metadata.deletionTimestamp`)."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def controller_of(obj: Object) -> Object | None:
    """The one ownerReference with `controller: true`, or None."""
    for ref in obj["metadata"].get("ownerReferences") or ():
        if ref.get("controller"):
            return dict(ref)
    return None


def is_controlled_by(obj: Object, owner: Object) -> bool:
    """Whether `owner`, by uid, is the object's controller."""
    ref = controller_of(obj)
    return ref is not None and ref.get("uid") == uid(owner)


def owner_reference(resource: Resource, obj: Object, *, controller: bool = True) -> Object:
    """The reference to put into a dependent's `metadata.ownerReferences`."""
    ref: Object = {"apiVersion": resource.group_version, "kind": resource.kind, "name": name(obj), "uid": uid(obj)}
    if controller:
        ref |= {"controller": True, "blockOwnerDeletion": True}
    return ref


def get_condition(obj: Object, kind: str) -> Object | None:
    """The entry of `status.conditions` with that `type`, or None."""
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition.get("type") == kind:
            return dict(condition)
    return None


def set_condition(
    conditions: list[Object], kind: str, status: str, reason: str = "", message: str = "", *, now: str, **more: Any
) -> bool:
    """Put a condition into the list; `lastTransitionTime` moves only when `status` does. Returns whether anything changed."""
    wanted: Object = {"type": kind, "status": status}
    wanted |= {k: v for k, v in (("reason", reason), ("message", message)) if v} | more
    for index, present in enumerate(conditions):
        if present.get("type") != kind:
            continue
        if all(present.get(k) == v for k, v in wanted.items()) and (reason or "reason" not in present):
            return False
        moved = present.get("status") != status
        conditions[index] = wanted | {"lastTransitionTime": now if moved else present.get("lastTransitionTime", now)}
        return True
    conditions.append(wanted | {"lastTransitionTime": now})
    return True
