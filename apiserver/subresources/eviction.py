"""pods/eviction: delete a pod if its disruption budget allows. Source: Kubernetes, "API-initiated Eviction"; policy/v1.

The budget is charged in a guarded write before the pod is deleted, so that two evictions never share one allowance.
"""

from __future__ import annotations

from api import errors, pods, selectors, timestamp
from api.decode import decode_as
from api.kinds.policy import Eviction
from api.meta import set_condition
from api.resources import PODDISRUPTIONBUDGETS as BUDGETS
from api.resources import PODS
from api.types import Object, Resource
from apiserver import body, params
from apiserver.core import Core, key_of
from apiserver.handlers import delete, write
from apiserver.params import DeleteOptions
from apiserver.request import Reply, Request
from apiserver.subresources.binding import SUCCESS

MAX_DISRUPTED = 2000
RETRY_SECONDS = 10
REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."


async def eviction(core: Core, request: Request, resource: Resource) -> Reply:
    """POST .../pods/NAME/eviction."""
    info = request.info
    if info.verb != "create":
        raise errors.MethodNotAllowed("an eviction is only created")
    given, twice = await body.read_object(request)
    wanted, warnings = decode_as(Eviction, given, "Warn", "Eviction", "policy/v1", twice)
    request.warnings += warnings
    meta = wanted.get("metadata") or {}
    if meta.get("name", info.name) != info.name:
        raise errors.BadRequest(f"name in URL does not match name in Eviction object: {meta['name']}")
    options = params.delete_options(request, wanted.get("deleteOptions") or {})
    asked = write.admission(core, request, PODS, "CREATE", wanted, None, dry_run=options.dry_run)
    await core.admit(asked)
    pod = await core.get(PODS, info.namespace, info.name)
    budget = None if ignores_budget(pod) else matching(core, pod)
    if budget is not None:
        await _charge(core, info.namespace, pod, budget, options.dry_run)
    if not options.dry_run:
        await _note_target(core, pod, options)
    await delete.delete_one(core, request, PODS, info.namespace, info.name, options)
    return Reply.of(SUCCESS, 201)


def ignores_budget(pod: Object) -> bool:
    """Tell whether a pod counts for no budget: it has not begun, has ended, or is being deleted."""
    phase = (pod.get("status") or {}).get("phase")
    return bool(pod["metadata"].get("deletionTimestamp")) or phase in ("Pending", "Succeeded", "Failed")


def matching(core: Core, pod: Object) -> Object | None:
    """Return the budget that covers a pod. Raises InternalError when there are several."""
    meta = pod["metadata"]
    labels = meta.get("labels") or {}
    found = [
        budget
        for budget in core.lookup.list(BUDGETS, meta["namespace"])
        if budget["spec"].get("selector") is not None
        and selectors.from_object(budget["spec"]["selector"]).matches(labels)
    ]
    if len(found) > 1:
        raise errors.InternalError(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        )
    return found[0] if found else None


async def _charge(core: Core, namespace: str, pod: Object, budget: Object, dry_run: bool) -> None:
    now = timestamp.now()
    name = budget["metadata"]["name"]
    if charged(budget, pod, now) is None:
        return
    if dry_run:
        return

    def charge(current: Object) -> Object:
        return charged(current, pod, now) or current

    await core.update(BUDGETS, namespace, name, charge)


def charged(budget: Object, pod: Object, now: str) -> Object | None:
    """Return the budget with one disruption less; None when this pod's eviction costs nothing.

    Raises TooManyRequests when the budget is spent or has not been counted since it changed.
    """
    status, spec = budget.get("status") or {}, budget["spec"]
    name = budget["metadata"]["name"]
    if not pods.is_ready(pod):
        healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
        always = spec.get("unhealthyPodEvictionPolicy") == "AlwaysAllow"
        if always or (healthy >= desired and desired > 0):
            return None
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        raise refused(f"The disruption budget {name} is still being processed by the server.", RETRY_SECONDS)
    allowed, disrupted = int(status.get("disruptionsAllowed", 0)), dict(status.get("disruptedPods") or {})
    if allowed < 0:
        raise errors.forbidden(BUDGETS, name, "pdb disruptions allowed is negative")
    if len(disrupted) > MAX_DISRUPTED:
        raise errors.forbidden(
            BUDGETS, name, "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        )
    if allowed == 0:
        desired, healthy = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
        raise refused(f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently", 0)
    disrupted[pod["metadata"]["name"]] = now
    new = {**status, "disruptionsAllowed": allowed - 1, "disruptedPods": disrupted}
    if allowed == 1:
        conditions = list(status.get("conditions") or ())
        generation = budget["metadata"].get("generation", 0)
        set_condition(
            conditions, "DisruptionAllowed", "False", "InsufficientPods", now=now, observedGeneration=generation
        )
        new["conditions"] = conditions
    return {**budget, "status": new}


def refused(why: str, seconds: int) -> errors.TooManyRequests:
    """Return the 429 that tells a client to try again, with the cause DisruptionBudget."""
    details: Object = {"causes": [{"reason": "DisruptionBudget", "message": why}]}
    if seconds:
        details["retryAfterSeconds"] = seconds
    return errors.TooManyRequests(REFUSED, details)


async def _note_target(core: Core, pod: Object, options: DeleteOptions) -> None:
    """Write the condition DisruptionTarget into the pod, so that its owner knows why it went (KEP-3329)."""
    if ignores_budget(pod) and (pod.get("status") or {}).get("phase") != "Pending":
        return
    meta = pod["metadata"]

    async def note(current: Object) -> Object:
        if options.uid and current["metadata"]["uid"] != options.uid:
            return current
        status = dict(current.get("status") or {})
        conditions = list(status.get("conditions") or ())
        set_condition(
            conditions,
            "DisruptionTarget",
            "True",
            "EvictionByEvictionAPI",
            "Eviction API: evicting",
            now=timestamp.now(),
        )
        return {**current, "status": {**status, "conditions": conditions}}

    await core.store.modify(core.cache(PODS), key_of(PODS, meta["namespace"], meta["name"]), meta["name"], note)
