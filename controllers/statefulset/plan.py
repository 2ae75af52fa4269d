"""What to do next for a StatefulSet. Pure.

With podManagementPolicy OrderedReady one step at a time, lowest ordinal first up and highest first down, each only when all pods
before it run and are available. With Parallel all creations and deletions at once; updates stay ordered.
Source: the Kubernetes documentation, "StatefulSets: Deployment and Scaling Guarantees, Update strategies"; KEP-961, KEP-2599.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from api import meta
from api.types import Object
from controllers.percent import resolve
from controllers.podstate import is_available, is_ready, is_terminal, phase
from controllers.scale import replicas_wanted
from controllers.statefulset.identity import in_range, ordinal_of, revision_of, start_of


@dataclass(frozen=True, slots=True)
class Revisions:
    """Names of the revision that pods came from and the one they go to."""

    current: str
    update: str


@dataclass(slots=True)
class Plan:
    """Steps in order: ordinals to create with their revision, pods to keep in shape, pods to delete, ended pods to replace."""

    create: list[tuple[int, str]] = field(default_factory=list)
    keep: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)
    ended: list[Object] = field(default_factory=list)


def is_parallel(owner: Object) -> bool:
    """Whether pods may be started and stopped all at once."""
    return bool(owner["spec"].get("podManagementPolicy") == "Parallel")


def runs(pod: Object) -> bool:
    """Running and ready."""
    return phase(pod) == "Running" and is_ready(pod)


def min_ready(owner: Object) -> int:
    """`minReadySeconds`."""
    return int(owner["spec"].get("minReadySeconds") or 0)


def is_healthy(owner: Object, pod: Object, now: datetime) -> bool:
    """Running, available and not on its way out."""
    return runs(pod) and is_available(pod, min_ready(owner), now) and not meta.is_deleting(pod)


def partition(owner: Object) -> int:
    """Ordinals (counted from the first) below it stay at the current revision."""
    rolling = (owner["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    return int(rolling.get("partition") or 0)


def is_rolling(owner: Object) -> bool:
    """Whether pods of an old revision are replaced by us."""
    return bool(((owner["spec"].get("updateStrategy") or {}).get("type") or "RollingUpdate") == "RollingUpdate")


def revision_for(owner: Object, ordinal: int, revisions: Revisions) -> str:
    """Which revision a new pod of that ordinal is made from."""
    kept = is_rolling(owner) and ordinal < start_of(owner) + partition(owner)
    return revisions.current if kept else revisions.update


def plan(owner: Object, pods: Iterable[Object], revisions: Revisions, now: datetime) -> Plan:
    """The next steps. `pods` are the set's own."""
    result = Plan()
    wanted: dict[int, Object] = {}
    condemned: list[Object] = []
    for pod in pods:
        ordinal = ordinal_of(pod)
        if in_range(owner, ordinal):
            wanted[ordinal] = pod
        elif ordinal >= 0:
            condemned.append(pod)
    condemned.sort(key=ordinal_of, reverse=True)
    if meta.is_deleting(owner):
        return result
    if _grow(owner, wanted, revisions, now, result) and _shrink(owner, wanted, condemned, now, result):
        _update(owner, [wanted[o] for o in sorted(wanted)], revisions, now, result)
    return result


def _grow(owner: Object, wanted: dict[int, Object], revisions: Revisions, now: datetime, result: Plan) -> bool:
    """First part; returns whether the later parts may follow."""
    ordered = not is_parallel(owner)
    go_on = True
    for ordinal in range(start_of(owner), start_of(owner) + replicas_wanted(owner)):
        pod = wanted.get(ordinal)
        if pod is None:
            result.create.append((ordinal, revision_for(owner, ordinal, revisions)))
            go_on = False
        elif is_terminal(pod):
            if not meta.is_deleting(pod):
                result.ended.append(pod)
            go_on = False
        else:
            result.keep.append(pod)
            if not ordered or is_healthy(owner, pod, now):
                continue
            return False
        if ordered:
            return False
    return go_on or not ordered


def _shrink(owner: Object, wanted: dict[int, Object], condemned: Sequence[Object], now: datetime, result: Plan) -> bool:
    ordered = not is_parallel(owner)
    everyone = [wanted[o] for o in sorted(wanted)] + sorted(condemned, key=ordinal_of)
    unhealthy = next((p for p in everyone if not is_healthy(owner, p, now)), None)
    for pod in condemned:
        if meta.is_deleting(pod):
            if ordered:
                return False
            continue
        if ordered and not is_healthy(owner, pod, now) and pod is not unhealthy:
            return False
        result.delete.append(pod)
        if ordered:
            return False
    return True


def _update(owner: Object, pods: Sequence[Object], revisions: Revisions, now: datetime, result: Plan) -> None:
    """Replace pods of another revision, from the highest ordinal down to the partition."""
    if not is_rolling(owner) or len(pods) < replicas_wanted(owner):
        return
    rolling = (owner["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    limit = max(1, resolve(rolling.get("maxUnavailable"), replicas_wanted(owner), round_up=True, default=1))
    first = start_of(owner) + partition(owner)
    targets = [pod for pod in reversed(pods) if ordinal_of(pod) >= first]
    if limit > 1:
        down = sum(not is_healthy(owner, pod, now) for pod in pods)
        old = [p for p in targets if revision_of(p) != revisions.update and not meta.is_deleting(p)]
        result.delete += old[: max(0, limit - down)]
        return
    for pod in targets:
        if revision_of(pod) != revisions.update and not meta.is_deleting(pod):
            result.delete.append(pod)
            return
        if not is_healthy(owner, pod, now):
            return


def status_of(
    owner: Object, pods: Sequence[Object], revisions: Revisions, collisions: int | None, now: datetime
) -> Object:
    """The status as the pods stand; a finished update makes the update revision the current one."""
    alive = [pod for pod in pods if not meta.is_deleting(pod) and not is_terminal(pod)]
    ready = [pod for pod in pods if runs(pod)]
    status: Object = {
        **(owner.get("status") or {}),
        "observedGeneration": int(owner["metadata"].get("generation") or 0),
        "replicas": len(pods),
        "readyReplicas": len(ready),
        "availableReplicas": sum(is_available(pod, min_ready(owner), now) for pod in ready),
        "currentReplicas": sum(revision_of(pod) == revisions.current for pod in alive),
        "updatedReplicas": sum(revision_of(pod) == revisions.update for pod in alive),
        "currentRevision": revisions.current,
        "updateRevision": revisions.update,
        "collisionCount": collisions or 0,
    }
    whole = replicas_wanted(owner) == len(pods) == status["updatedReplicas"] == status["readyReplicas"]
    if is_rolling(owner) and whole:
        status["currentReplicas"] = status["updatedReplicas"]
        status["currentRevision"] = revisions.update
    return status
