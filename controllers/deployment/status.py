"""A Deployment's status and its conditions Available, Progressing and ReplicaFailure. Pure.

Source: the Kubernetes documentation, "Deployments: Deployment status".
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import datetime, timedelta

from api import meta, timestamp
from api.types import Object
from controllers.deployment.sets import Sets, bounds, total_reported
from controllers.scale import replicas_wanted

AVAILABLE, PROGRESSING, FAILURE = "Available", "Progressing", "ReplicaFailure"
COMPLETE_REASON = "NewReplicaSetAvailable"
TIMED_OUT_REASON = "ProgressDeadlineExceeded"
PAUSED_REASON, RESUMED_REASON = "DeploymentPaused", "DeploymentResumed"
_NO_DEADLINE = 2**31 - 1


def put_condition(
    conditions: list[Object], kind: str, status: str, reason: str, message: str, now: str, *, renew: bool = False
) -> None:
    """Set a condition; an equal status and reason leave it as it is unless `renew`, which moves `lastUpdateTime`."""
    present = find(conditions, kind)
    if present and present["status"] == status and present.get("reason") == reason and not renew:
        return
    moved = present is None or present["status"] != status
    condition = {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastUpdateTime": now,
        "lastTransitionTime": now if moved or present is None else present.get("lastTransitionTime", now),
    }
    conditions[:] = [c for c in conditions if c["type"] != kind] + [condition]


def find(conditions: Sequence[Object], kind: str) -> Object | None:
    """The condition of that type, or None."""
    return next((c for c in conditions if c.get("type") == kind), None)


def deadline_seconds(deployment: Object) -> int | None:
    """`progressDeadlineSeconds`, None when there is none."""
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return None if seconds is None or seconds >= _NO_DEADLINE else int(seconds)


def compute(deployment: Object, sets: Sets, now: datetime) -> Object:
    """The counters and the condition Available; the other conditions as they were."""
    present = deployment.get("status") or {}
    available = total_reported(sets.all, "availableReplicas")
    count = total_reported(sets.all, "replicas")
    status: Object = {
        "observedGeneration": int(deployment["metadata"].get("generation") or 0),
        "replicas": count,
        "updatedReplicas": total_reported([sets.new] if sets.new is not None else [], "replicas"),
        "readyReplicas": total_reported(sets.all, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, count - available),
        "terminatingReplicas": total_reported(sets.all, "terminatingReplicas"),
        "conditions": copy.deepcopy(present.get("conditions") or []),
    }
    if present.get("collisionCount") is not None:
        status["collisionCount"] = present["collisionCount"]
    moment = timestamp.format(now)
    if available >= replicas_wanted(deployment) - bounds(deployment)[1]:
        message = "Deployment has minimum availability."
        put_condition(status["conditions"], AVAILABLE, "True", "MinimumReplicasAvailable", message, moment)
    else:
        message = "Deployment does not have minimum availability."
        put_condition(status["conditions"], AVAILABLE, "False", "MinimumReplicasUnavailable", message, moment)
    return status


def is_complete(deployment: Object, status: Object) -> bool:
    """Whether the rollout is over: all pods are new and available."""
    wanted = replicas_wanted(deployment)
    return bool(
        status.get("updatedReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
        and status.get("observedGeneration", 0) >= int(deployment["metadata"].get("generation") or 0)
    )


def _progressed(deployment: Object, status: Object) -> bool:
    before = deployment.get("status") or {}
    old_before = before.get("replicas", 0) - before.get("updatedReplicas", 0)
    return bool(
        status["updatedReplicas"] > before.get("updatedReplicas", 0)
        or status["replicas"] - status["updatedReplicas"] < old_before
        or status["readyReplicas"] > before.get("readyReplicas", 0)
        or status["availableReplicas"] > before.get("availableReplicas", 0)
    )


def deadline_in(deployment: Object, status: Object, now: datetime) -> float | None:
    """Seconds until the rollout counts as stuck (negative when past); None when it cannot: complete, or without deadline."""
    seconds = deadline_seconds(deployment)
    condition = find(status.get("conditions") or (), PROGRESSING)
    if seconds is None or condition is None or condition.get("reason") == COMPLETE_REASON:
        return None
    since = timestamp.parse(condition.get("lastUpdateTime") or condition["lastTransitionTime"])
    return (since + timedelta(seconds=seconds) - now).total_seconds()


def with_progress(deployment: Object, sets: Sets, status: Object, now: datetime) -> Object:
    """The status with the conditions Progressing and ReplicaFailure as the rollout stands."""
    conditions = status["conditions"]
    if deadline_seconds(deployment) is None:
        conditions[:] = [c for c in conditions if c["type"] != PROGRESSING]
    else:
        _update_progressing(deployment, sets, status, now)
    failures = replica_failures(sets)
    if failures:
        failed = failures[0]
        put_condition(
            conditions,
            FAILURE,
            failed["status"],
            failed.get("reason", ""),
            failed.get("message", ""),
            timestamp.format(now),
        )
    else:
        conditions[:] = [c for c in conditions if c["type"] != FAILURE]
    return status


def _update_progressing(deployment: Object, sets: Sets, status: Object, now: datetime) -> None:
    conditions = status["conditions"]
    present = find(conditions, PROGRESSING)
    if present and present.get("reason") == COMPLETE_REASON and status["replicas"] == status["updatedReplicas"]:
        return  # completed before; a pod that fails later does not start a rollout
    subject = f'ReplicaSet "{meta.name(sets.new)}"' if sets.new is not None else f'Deployment "{meta.name(deployment)}"'
    moment = timestamp.format(now)
    if is_complete(deployment, status):
        put_condition(
            conditions, PROGRESSING, "True", COMPLETE_REASON, f"{subject} has successfully progressed.", moment
        )
    elif _progressed(deployment, status):
        message = f"{subject} is progressing."
        put_condition(conditions, PROGRESSING, "True", "ReplicaSetUpdated", message, moment, renew=True)
    else:
        left = deadline_in(deployment, status, now)
        if left is not None and left < 0:
            message = f"{subject} has timed out progressing."
            put_condition(conditions, PROGRESSING, "False", TIMED_OUT_REASON, message, moment)


def replica_failures(sets: Sets) -> list[Object]:
    """The conditions ReplicaFailure of the new ReplicaSet, or else of the old ones."""
    for group in ([sets.new] if sets.new is not None else [], sets.old):
        found = [c for rs in group if (c := meta.get_condition(rs, FAILURE)) is not None]
        if found:
            return found
    return []


def pause_condition(deployment: Object) -> tuple[str, str] | None:
    """(reason, message) of the condition Progressing to set because the Deployment was paused or resumed, or None."""
    if deadline_seconds(deployment) is None:
        return None
    condition = meta.get_condition(deployment, PROGRESSING)
    reason = condition.get("reason") if condition else None
    if reason == TIMED_OUT_REASON:
        return None
    paused = bool(deployment["spec"].get("paused"))
    if paused and reason != PAUSED_REASON:
        return PAUSED_REASON, "Deployment is paused"
    if not paused and reason == PAUSED_REASON:
        return RESUMED_REASON, "Deployment is resumed"
    return None
