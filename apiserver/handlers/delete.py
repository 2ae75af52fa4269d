"""delete and deletecollection: preconditions, grace, finalizers, propagation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from api import errors, pods, resources, timestamp
from api.types import Object, Resource
from apiserver import body, codec, params, present
from apiserver.core import Core, key_of
from apiserver.handlers.write import admission
from apiserver.params import DeleteOptions
from apiserver.request import Reply, Request
from apiserver.store import Remove, Result, Unchanged

_DEFAULT_GRACE = 30
_FINALIZERS = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}
_RETURNED = frozenset(
    ("pods", "podtemplates", "persistentvolumes", "persistentvolumeclaims", "resourcequotas", "serviceaccounts", "services",
     "storageclasses", "csidrivers", "csinodes", "volumeattachments")
)  # fmt: skip
"""Resources whose deletion answers with the object instead of a Status."""


async def delete(core: Core, request: Request, resource: Resource) -> Reply:
    """DELETE of one object."""
    options = params.delete_options(request, await body.read_options(request))
    info = request.info
    result = await delete_one(core, request, resource, info.namespace, info.name, options)
    if result.removed and resource.plural not in _RETURNED:
        return Reply.of(_success(resource, codec.loads(result.data)))
    later = not result.removed and options.propagation == "Foreground"
    return present.one(request, resource, result.data, 202 if later else 200)


def _success(resource: Resource, obj: Object) -> Object:
    details: Object = {"name": obj["metadata"]["name"], "kind": resource.plural, "uid": obj["metadata"].get("uid", "")}
    if resource.group:
        details["group"] = resource.group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


async def delete_one(
    core: Core, request: Request, resource: Resource, namespace: str, name: str, options: DeleteOptions
) -> Result:
    """Delete an object as its options, grace and finalizers demand."""

    async def change(current: Object) -> Object:
        _preconditions(resource, current, options)
        asked = admission(
            core, request, resource, "DELETE", None, current, name=name, dry_run=options.dry_run,
            options=options.as_object(),
        )  # fmt: skip
        await core.admit(asked)
        new = marked(resource, current, options)
        if options.dry_run:
            raise Unchanged(new or current)
        if new is None:
            raise Remove(current)
        return new

    return await core.store.modify(core.cache(resource), key_of(resource, namespace, name), name, change)


def _preconditions(resource: Resource, current: Object, options: DeleteOptions) -> None:
    meta = current["metadata"]
    if options.uid and options.uid != meta.get("uid"):
        why = f"Precondition failed: UID in precondition: {options.uid}, UID in object meta: {meta.get('uid')}"
        raise errors.conflict(resource, meta["name"], why)
    if options.version and options.version != meta["resourceVersion"]:
        why = (
            f"Precondition failed: ResourceVersion in precondition: {options.version}, "
            f"ResourceVersion in object meta: {meta['resourceVersion']}"
        )
        raise errors.conflict(resource, meta["name"], why)


def _grace(resource: Resource, obj: Object, options: DeleteOptions) -> int:
    """Seconds of grace: only pods that run somewhere have any."""
    if resource != resources.PODS:
        return 0
    seconds = options.grace
    if seconds is None:
        seconds = (obj.get("spec") or {}).get("terminationGracePeriodSeconds")
        seconds = _DEFAULT_GRACE if seconds is None else seconds
    if not (obj.get("spec") or {}).get("nodeName") or pods.is_terminal(obj):
        return 0
    return 1 if seconds < 0 else int(seconds)


def _finalizers(obj: Object, options: DeleteOptions) -> list[str]:
    present_ones = list(obj["metadata"].get("finalizers") or ())
    if not options.propagation:
        return present_ones
    kept = [name for name in present_ones if name not in _FINALIZERS.values()]
    wanted = _FINALIZERS.get(options.propagation)
    return [*kept, wanted] if wanted else kept


def marked(resource: Resource, current: Object, options: DeleteOptions) -> Object | None:
    """The object marked as being deleted, or None when nothing keeps it and it can go at once."""
    grace, finalizers = _grace(resource, current, options), _finalizers(current, options)
    meta = dict(current["metadata"])
    waits = bool(finalizers) or (
        resource == resources.NAMESPACES and bool((current.get("spec") or {}).get("finalizers"))
    )
    deleting = meta.get("deletionTimestamp")
    if deleting:
        grace = min(grace, int(meta.get("deletionGracePeriodSeconds") or 0))
    if not grace and not waits:
        return None
    if finalizers:
        meta["finalizers"] = finalizers
    else:
        meta.pop("finalizers", None)
    if not deleting or grace < int(meta.get("deletionGracePeriodSeconds") or 0):
        if deleting:
            start = timestamp.parse(deleting) - timedelta(seconds=int(meta.get("deletionGracePeriodSeconds") or 0))
        else:
            start = datetime.now(UTC)
            if meta.get("generation"):
                meta["generation"] += 1
        meta["deletionTimestamp"] = timestamp.format(start + timedelta(seconds=grace))
        meta["deletionGracePeriodSeconds"] = grace
    new = current | {"metadata": meta}
    if resource == resources.NAMESPACES:
        new["status"] = (current.get("status") or {}) | {"phase": "Terminating"}
    return new


async def delete_collection(core: Core, request: Request, resource: Resource) -> Reply:
    """DELETE of a collection: every object the selectors hold, one after the other."""
    options = params.delete_options(request, await body.read_options(request))
    listed = params.list_options(request, resource)
    await core.feed.fresh()
    entries = list(core.cache(resource).select(listed.selection))
    gone = []
    for entry in entries[: listed.limit or None]:
        try:
            gone.append((await delete_one(core, request, resource, entry.namespace, entry.name, options)).data)
        except errors.NotFound:
            continue
    return present.many(request, resource, gone, {"resourceVersion": str(core.feed.revision)})
