"""Says for every PodDisruptionBudget how many of its pods may be evicted now; the eviction subresource holds to it.

Source: the Kubernetes documentation, "Specifying a Disruption Budget for your Application".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from api import meta, resources, selectors, timestamp
from api.types import Object, Resource
from client.controller import Context, Controller
from controllers import ownership
from controllers.percent import resolve
from controllers.podstate import is_ready, wall
from controllers.scale import replicas_wanted
from controllers.status import write_status

_DELETION_SECONDS = 120
"""How long an eviction may take to be seen as a deletion."""
_ALLOWED = "DisruptionAllowed"
_SCALED: tuple[Resource, ...] = (
    resources.REPLICASETS,
    resources.REPLICATIONCONTROLLERS,
    resources.STATEFULSETS,
    resources.DEPLOYMENTS,
)


@dataclass(frozen=True, slots=True)
class Budget:
    """Pods that should be there, and how many of them must be healthy."""

    expected: int
    desired_healthy: int


def budget(pdb: Object, pods: int, scale: int) -> Budget:
    """`pods` match the selector now; `scale` is what their controllers ask for in sum."""
    spec = pdb.get("spec") or {}
    if (most := spec.get("maxUnavailable")) is not None:
        return Budget(scale, max(0, scale - resolve(most, scale, round_up=True)))
    least = spec.get("minAvailable", 1)
    if isinstance(least, int):
        return Budget(pods, least)
    return Budget(scale, resolve(least, scale, round_up=True))


def in_disruption(
    pdb: Object, pods: Iterable[Object], now: datetime
) -> tuple[dict[str, str], list[Object], float | None]:
    """(evictions still under way by pod name, pods whose eviction came to nothing, seconds until the next may have)"""
    noted = (pdb.get("status") or {}).get("disruptedPods") or {}
    under_way: dict[str, str] = {}
    failed: list[Object] = []
    again: float | None = None
    for pod in pods:
        if meta.is_deleting(pod) or meta.name(pod) not in noted:
            continue
        until = timestamp.parse(noted[meta.name(pod)]) + timedelta(seconds=_DELETION_SECONDS)
        if until < now:
            failed.append(pod)
            continue
        under_way[meta.name(pod)] = noted[meta.name(pod)]
        left = (until - now).total_seconds()
        again = left if again is None else min(again, left)
    return under_way, failed, again


def status_of(pdb: Object, pods: Sequence[Object], scale: int, now: datetime) -> Object:
    """The new status."""
    wanted = budget(pdb, len(pods), scale)
    evicted, _, _ = in_disruption(pdb, pods, now)
    healthy = sum(is_ready(pod) and not meta.is_deleting(pod) and meta.name(pod) not in evicted for pod in pods)
    allowed = max(0, healthy - wanted.desired_healthy) if wanted.expected > 0 else 0
    conditions = [dict(c) for c in (pdb.get("status") or {}).get("conditions") or ()]
    generation = int(pdb["metadata"].get("generation") or 0)
    meta.set_condition(
        conditions,
        _ALLOWED,
        "True" if allowed else "False",
        "SufficientPods" if allowed else "InsufficientPods",
        now=timestamp.format(now),
        observedGeneration=generation,
    )
    for condition in conditions:
        condition.setdefault("message", "")
    status: Object = {
        "currentHealthy": healthy,
        "desiredHealthy": wanted.desired_healthy,
        "expectedPods": wanted.expected,
        "disruptionsAllowed": allowed,
        "observedGeneration": generation,
        "conditions": conditions,
    }
    if evicted:
        status["disruptedPods"] = evicted
    return status


class DisruptionController(Controller):
    """Keys are PodDisruptionBudgets."""

    name = "disruption"

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        budgets = ctx.informers.informer(resources.PODDISRUPTIONBUDGETS)
        pods = ctx.informers.informer(resources.PODS)
        self.budgets, self.pods = budgets.lister, pods.lister
        self.owners = {resource.kind: ctx.informers.informer(resource) for resource in _SCALED}
        budgets.add_handler(self.enqueue, lambda _, new: self.enqueue(new))
        pods.add_handler(self._pod_seen, self._pod_changed, self._pod_seen)
        for informer in self.owners.values():
            informer.add_handler(on_update=self._owner_changed)

    def _pod_seen(self, pod: Object) -> None:
        for pdb in self.budgets.list(meta.namespace(pod)):
            if selects(pdb, pod):
                self.enqueue(pdb)

    def _pod_changed(self, old: Object, new: Object) -> None:
        said = [(is_ready(p), meta.is_deleting(p), meta.labels(p), meta.controller_of(p)) for p in (old, new)]
        if said[0] != said[1]:
            self._pod_seen(old)
            self._pod_seen(new)

    def _owner_changed(self, old: Object, new: Object) -> None:
        if old["spec"].get("replicas") != new["spec"].get("replicas"):
            for pdb in self.budgets.list(meta.namespace(new)):
                self.enqueue(pdb)

    async def reconcile(self, key: str) -> None:
        """Count and write."""
        pdb = self.budgets.get(key)
        if pdb is None:
            return
        pods = [pod for pod in self.pods.list(meta.namespace(pdb)) if selects(pdb, pod)]
        if not pods:
            self.recorder.event(pdb, "Normal", "NoPods", "No matching pods found")
        now = wall()
        _, failed, again = in_disruption(pdb, pods, now)
        for pod in failed:
            message = "Pod was expected by PDB to be deleted but it wasn't"
            self.recorder.event(pod, "Warning", "NotDeleted", message)
        status = status_of(pdb, pods, self._scale(pods), now)
        await write_status(self.client, resources.PODDISRUPTIONBUDGETS, pdb, status)
        if again is not None:
            self.queue.add_after(key, again + 0.1)

    def _scale(self, pods: Sequence[Object]) -> int:
        """What the controllers of the pods ask for; a pod without one that can be scaled does not count."""
        scales: dict[str, int] = {}
        for pod in pods:
            owner = self._scaled_owner(pod)
            if owner is not None:
                scales[meta.uid(owner)] = replicas_wanted(owner)
        return sum(scales.values())

    def _scaled_owner(self, obj: Object) -> Object | None:
        """The top of the chain pod → ReplicaSet → Deployment."""
        ref = meta.controller_of(obj)
        informer = self.owners.get(str(ref["kind"])) if ref is not None else None
        owner = ownership.resolve(informer.lister, informer.resource, obj) if informer is not None else None
        if owner is None:
            return None
        return self._scaled_owner(owner) or owner


def selects(pdb: Object, pod: Object) -> bool:
    """Whether the budget covers the pod; `{}` covers all of its namespace, no selector none."""
    return selectors.from_object((pdb.get("spec") or {}).get("selector")).matches(meta.labels(pod))
