"""Judging a node by what it says of itself and when it last said something. Pure, but for the memory of `Heartbeats`.

A heartbeat is any change of the node's Lease or of its status, timed by our own monotonic clock when we see it, so that clocks of
different machines need not agree. Source: the Kubernetes documentation, "Nodes: Heartbeats".
"""

from __future__ import annotations

from dataclasses import dataclass

from api import meta
from api.types import Object

READY = "Ready"
_JUDGED = ("MemoryPressure", "DiskPressure", "PIDPressure")


@dataclass(slots=True)
class _Heard:
    lease: str
    status: str
    at: float


class Heartbeats:
    """When each node was last heard. Times are the caller's monotonic seconds."""

    def __init__(self) -> None:
        self._heard: dict[str, _Heard] = {}

    def heard(self, node: Object, lease: Object | None, now: float) -> float:
        """Note what is known of the node now; returns when it last changed (now, for a node seen for the first time)."""
        renewed = str(((lease or {}).get("spec") or {}).get("renewTime") or "")
        ready = meta.get_condition(node, READY) or {}
        said = "" if ready.get("reason", "").startswith("NodeStatus") else str(ready.get("lastHeartbeatTime", ""))
        known = self._heard.get(meta.name(node))
        if known is None:
            known = self._heard[meta.name(node)] = _Heard(renewed, said, now)
        elif known.lease != renewed or (said and known.status != said):
            known.lease, known.status, known.at = renewed, said or known.status, now
        return known.at

    def forget(self, name: str) -> None:
        """The node is gone."""
        self._heard.pop(name, None)


def readiness(node: Object) -> str:
    """`True`, `False` or `Unknown`."""
    condition = meta.get_condition(node, READY)
    return str(condition["status"]) if condition else "Unknown"


def unknown_conditions(node: Object, now: str) -> list[Object] | None:
    """The conditions of a node that has fallen silent, or None when they say so already."""
    conditions = [dict(c) for c in (node.get("status") or {}).get("conditions") or ()]
    changed = False
    for kind in (READY, *_JUDGED):
        present = next((c for c in conditions if c["type"] == kind), None)
        if present is None:
            created = str(node["metadata"].get("creationTimestamp", now))
            conditions.append(
                {
                    "type": kind,
                    "status": "Unknown",
                    "reason": "NodeStatusNeverUpdated",
                    "message": "Kubelet never posted node status.",
                    "lastHeartbeatTime": created,
                    "lastTransitionTime": now,
                }
            )
            changed = True
        elif present["status"] != "Unknown":
            present |= {
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
                "lastTransitionTime": now,
            }
            changed = True
    return conditions if changed else None


def never_reported(node: Object) -> bool:
    """Whether the kubelet has not yet posted the condition Ready."""
    condition = meta.get_condition(node, READY)
    return condition is None or condition.get("reason") == "NodeStatusNeverUpdated"


@dataclass(frozen=True, slots=True)
class Disruption:
    """How much of the cluster is silent or unready."""

    ready: int
    not_ready: int

    def full(self) -> bool:
        """Nobody is ready: then we are more likely cut off than all nodes dead."""
        return self.ready == 0 and self.not_ready > 0

    def partial(self, threshold: float) -> bool:
        """So many are not ready that evicting could make things worse."""
        return self.not_ready > 2 and self.not_ready / (self.ready + self.not_ready) >= threshold


def eviction_rate(state: Disruption, *, normal: float, secondary: float, threshold: float, large: int) -> float:
    """Nodes per second that may be tainted NoExecute; 0 stops it."""
    if state.full():
        return 0.0
    if state.partial(threshold):
        return secondary if state.ready + state.not_ready > large else 0.0
    return normal
