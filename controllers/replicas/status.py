"""The status of a ReplicaSet or ReplicationController, computed from its pods. Pure."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import datetime

from api import meta, selectors, timestamp
from api.errors import ApiError
from api.types import Object
from controllers.podstate import is_active, is_available, is_ready, is_terminating
from controllers.scale import replicas_wanted

FAILURE = "ReplicaFailure"


def compute(owner: Object, pods: Sequence[Object], error: ApiError | None, now: datetime) -> Object:
    """The new status. `pods` are all pods of the owner; `error` is what went wrong in creating or deleting them."""
    active = [pod for pod in pods if is_active(pod)]
    ready = [pod for pod in active if is_ready(pod)]
    delay = int(owner["spec"].get("minReadySeconds") or 0)
    template = selectors.from_map((owner["spec"]["template"].get("metadata") or {}).get("labels") or {})
    status: Object = {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(template.matches(meta.labels(pod)) for pod in active),
        "readyReplicas": len(ready),
        "availableReplicas": sum(is_available(pod, delay, now) for pod in ready),
        "observedGeneration": int(owner["metadata"].get("generation") or 0),
    }
    if owner.get("kind") != "ReplicationController":
        status["terminatingReplicas"] = sum(is_terminating(pod) for pod in pods)
    conditions = _conditions(owner, error, len(active), now)
    if conditions:
        status["conditions"] = conditions
    return status


def _conditions(owner: Object, error: ApiError | None, active: int, now: datetime) -> list[Object]:
    present = copy.deepcopy((owner.get("status") or {}).get("conditions") or [])
    if error is None:
        return [c for c in present if c.get("type") != FAILURE]
    if not any(c.get("type") == FAILURE for c in present):
        reason = "FailedCreate" if active < replicas_wanted(owner) else "FailedDelete"
        meta.set_condition(present, FAILURE, "True", reason, error.message, now=timestamp.format(now))
    return present
