"""ResourceQuota: a namespace uses no more than its quotas allow, whatever races with whatever.

Usage is charged to `status.used` in a guarded write before the object is stored, and given back when the write fails; what was
charged for objects since deleted is put right by the quota controller, which counts.
"""

from collections.abc import Awaitable, Callable
from decimal import Decimal

from api import errors, quantity, quota
from api.quota import Usage
from api.resources import RESOURCEQUOTAS
from api.types import Object
from apiserver.plugins import AdmissionRequest

_UPDATED = frozenset({"pods", "services", "persistentvolumeclaims"})
"""Kinds whose updates can use more."""


class ResourceQuota:
    """Promises: a write that would pass a quota is Forbidden with the amounts requested, used and limited, and changes no
    usage; a pod that does not state what a quota limits is Forbidden; dry runs are checked and charge nothing."""

    async def __call__(self, request: AdmissionRequest) -> None:
        """Check and charge one write. Must be the last plugin that may refuse."""
        obj = request.object
        if obj is None or not request.namespace or "get" not in request.resource.verbs or not _concerns(request):
            return
        quotas = sorted(
            request.core.lookup.list(RESOURCEQUOTAS, request.namespace), key=lambda q: str(q["metadata"]["name"])
        )
        if not quotas:
            return
        before = quota.usage(request.resource, request.old) if request.operation == "UPDATE" and request.old else {}
        after = quota.usage(request.resource, obj)
        for one in quotas:
            if not quota.applies(one, request.resource, obj):
                continue
            old = before if before and request.old and quota.applies(one, request.resource, request.old) else {}
            delta = {name: amount - old.get(name, Decimal(0)) for name, amount in after.items()}
            await self._charge(request, one, {name: amount for name, amount in delta.items() if amount})

    async def _charge(self, request: AdmissionRequest, one: Object, delta: Usage) -> None:
        hard = one["spec"].get("hard") or {}
        if request.resource.plural == "pods" and request.operation == "CREATE" and not request.resource.group:
            _require_said(request, one, hard)
        wanted = {name: amount for name, amount in delta.items() if name in hard}
        if not any(amount > 0 for amount in wanted.values()):
            return
        name = one["metadata"]["name"]
        check(request, one, wanted)
        if request.dry_run:
            return

        def add(current: Object) -> Object:
            check(request, current, wanted)
            return charged(current, wanted)

        await request.core.update(RESOURCEQUOTAS, request.namespace, name, add)
        request.undo.append(_refund(request, name, wanted))


def _refund(request: AdmissionRequest, name: str, wanted: Usage) -> Callable[[], Awaitable[None]]:
    """Return what gives a charge back when the write fails after all."""

    async def give_back() -> None:
        back = {resource: -amount for resource, amount in wanted.items()}
        await request.core.update(RESOURCEQUOTAS, request.namespace, name, lambda current: charged(current, back))

    return give_back


def _concerns(request: AdmissionRequest) -> bool:
    if request.operation == "CREATE":
        return not request.subresource
    if request.operation != "UPDATE" or request.resource.group or request.resource.plural not in _UPDATED:
        return False
    return not request.subresource or (request.resource.plural == "pods" and request.subresource == "resize")


def _require_said(request: AdmissionRequest, one: Object, hard: Object) -> None:
    missing = quota.unsaid(hard, request.object or {})
    if missing:
        said = "; ".join(f"{name} for: {','.join(sorted(set(names)))}" for name, names in missing.items())
        why = f"failed quota: {one['metadata']['name']}: must specify {said}"
        raise errors.forbidden(request.resource, request.name, why)


def _show(amounts: Usage) -> str:
    return ",".join(f"{name}={quota.text(name, amounts[name])}" for name in sorted(amounts))


def check(request: AdmissionRequest, one: Object, wanted: Usage) -> None:
    """Raise Forbidden when the amounts do not fit into the quota, or its usage has not been counted yet."""
    name, status = one["metadata"]["name"], one.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    unknown = sorted(resource for resource in wanted if resource not in hard or resource not in used)
    if unknown:
        why = f"status unknown for quota: {name}, resources: {','.join(unknown)}"
        raise errors.forbidden(request.resource, request.name, why)
    passed = [
        resource
        for resource, amount in wanted.items()
        if amount > 0 and quantity.parse(used[resource]) + amount > quantity.parse(hard[resource])
    ]
    if passed:
        requested = {resource: wanted[resource] for resource in passed}
        now = {resource: quantity.parse(used[resource]) for resource in passed}
        limit = {resource: quantity.parse(hard[resource]) for resource in passed}
        why = f"exceeded quota: {name}, requested: {_show(requested)}, used: {_show(now)}, limited: {_show(limit)}"
        raise errors.forbidden(request.resource, request.name, why)


def charged(current: Object, wanted: Usage) -> Object:
    """Return the quota with the amounts added to its usage; never below nothing."""
    status = current.get("status") or {}
    used = dict(status.get("used") or {})
    for name, amount in wanted.items():
        total = max(quantity.parse(used.get(name, "0")) + amount, Decimal(0))
        used[name] = quota.text(name, total)
    return {**current, "status": {**status, "used": used}}
