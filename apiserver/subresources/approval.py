"""certificatesigningrequests/approval: approve or deny, once and for good. Source: certificates.k8s.io/v1."""

from __future__ import annotations

from api import errors, timestamp, validation
from api.errors import FieldError
from api.resources import CERTIFICATESIGNINGREQUESTS as REQUESTS
from api.types import Object, Resource
from apiserver import metadata, params, present
from apiserver.core import Core
from apiserver.handlers import read, write
from apiserver.request import Reply, Request
from apiserver.store import Unchanged
from apiserver.subresources.pod_parts import wanted_object

DECISIONS = ("Approved", "Denied")


async def approval(core: Core, request: Request, resource: Resource) -> Reply | None:
    """GET, PUT and PATCH of .../approval."""
    info = request.info
    if info.verb == "get":
        return await read.get(core, request, resource)
    if info.verb not in ("update", "patch"):
        raise errors.MethodNotAllowed("the server does not allow this method on the requested resource")
    options = params.write_options(request, "UpdateOptions")
    wanted = await wanted_object(request, resource, options.validation)

    async def change(current: Object) -> Object:
        new = wanted(current)
        metadata.check_place(resource, new, info.namespace, info.name)
        metadata.check_version(resource, new, current)
        new = decided(new, current, timestamp.now())
        asked = write.admission(core, request, resource, "UPDATE", new, current, dry_run=options.dry_run)
        await core.admit(asked)
        found = validation.validate_update(resource, new, current, "approval")
        if found:
            raise errors.invalid(resource, info.name, found)
        if options.dry_run:
            raise Unchanged(new)
        return new

    result = await write.modify(core, request, resource, change)
    return present.one(request, resource, result.data)


def decided(wanted: Object, current: Object, now: str) -> Object:
    """Return the current request with the wanted conditions. Raises Invalid when a decision is undone or contradicted."""
    before = (current.get("status") or {}).get("conditions") or []
    after = [dict(condition) for condition in (wanted.get("status") or {}).get("conditions") or ()]
    had = {condition["type"]: condition for condition in before}
    types = [condition.get("type") for condition in after]
    name, path = current["metadata"]["name"], "status.conditions"
    found = []
    if all(decision in types for decision in DECISIONS):
        found.append(FieldError(path, "Invalid value", None, "Approved and Denied conditions are mutually exclusive"))
    for kind in had:
        if kind in (*DECISIONS, "Failed") and kind not in types:
            found.append(FieldError(path, "Forbidden", None, f'updates may not remove a condition of type "{kind}"'))
    if found:
        raise errors.invalid(REQUESTS, name, found)
    for condition in after:
        condition.setdefault("lastUpdateTime", now)
        old = had.get(condition.get("type", ""))
        moved = old is None or old.get("status") != condition.get("status")
        condition["lastTransitionTime"] = condition.get("lastTransitionTime") or (
            now if moved or not old else old.get("lastTransitionTime", now)
        )
    return {**current, "status": {**(current.get("status") or {}), "conditions": after}}
