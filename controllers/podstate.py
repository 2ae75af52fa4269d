"""What workload controllers ask of a pod beyond `api.pods`: since when it is ready, whether it counts as available. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from api import meta, timestamp
from api.pods import is_active, is_ready, is_terminal
from api.types import Object

EPOCH = datetime.fromtimestamp(0, UTC)


def wall() -> datetime:
    """This moment in UTC: the one clock by which controllers judge timestamps that they read from objects."""
    return datetime.now(UTC)


def phase(pod: Object) -> str:
    """`status.phase`, Pending if unset."""
    return str((pod.get("status") or {}).get("phase") or "Pending")


def node_of(pod: Object) -> str:
    """`spec.nodeName`, empty until the pod is bound."""
    return str(pod["spec"].get("nodeName") or "")


def created_at(obj: Object) -> datetime:
    """`metadata.creationTimestamp`; the epoch for an object that has none."""
    text = obj["metadata"].get("creationTimestamp")
    return timestamp.parse(text) if text else EPOCH


def ready_since(pod: Object) -> datetime | None:
    """When the condition Ready became True, None if it is not."""
    condition = meta.get_condition(pod, "Ready")
    if condition is None or condition["status"] != "True":
        return None
    text = condition.get("lastTransitionTime")
    return timestamp.parse(text) if text else EPOCH


def is_available(pod: Object, min_ready_seconds: int, now: datetime) -> bool:
    """Whether the pod has been ready for `min_ready_seconds`."""
    since = ready_since(pod)
    return since is not None and since + timedelta(seconds=min_ready_seconds) <= now


def available_in(pod: Object, min_ready_seconds: int, now: datetime) -> float | None:
    """Seconds until a ready pod becomes available; None if it is available already or not ready."""
    since = ready_since(pod)
    if since is None or is_available(pod, min_ready_seconds, now):
        return None
    return (since + timedelta(seconds=min_ready_seconds) - now).total_seconds()


def is_terminating(pod: Object) -> bool:
    """Whether the pod is on its way out and has not ended yet (what `terminatingReplicas` counts)."""
    return meta.is_deleting(pod) and not is_terminal(pod)


def restarts(pod: Object) -> int:
    """The highest restart count of its containers."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return max((int(s.get("restartCount", 0)) for s in statuses), default=0)


__all__ = [
    "available_in", "created_at", "is_active", "is_available", "is_ready", "is_terminal", "is_terminating", "node_of",
    "phase", "ready_since", "restarts", "wall",
]  # fmt: skip
