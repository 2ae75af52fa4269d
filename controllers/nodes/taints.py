"""Which taints a node's conditions call for, and whether a pod tolerates them. Pure.

Source: the Kubernetes documentation, "Taints and Tolerations: Taint based Evictions, Taint Nodes by Condition".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from api import meta
from api.types import Object

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_BY_CONDITION: tuple[tuple[str, str, str], ...] = (
    ("Ready", "False", NOT_READY),
    ("Ready", "Unknown", UNREACHABLE),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
)
"""(condition, its status, taint key)"""
_MANAGED = {key for _, _, key in _BY_CONDITION} | {UNSCHEDULABLE}


def spec_of(node: Object) -> Object:
    """`spec`, which a node may lack."""
    spec: Object = node.get("spec") or {}
    return spec


def taints_of(node: Object) -> list[Object]:
    """`spec.taints`, empty if there are none."""
    return list(spec_of(node).get("taints") or ())


def no_schedule_keys(node: Object) -> set[str]:
    """Keys of the NoSchedule taints that the node's conditions and `spec.unschedulable` call for."""
    states = {c["type"]: c["status"] for c in (node.get("status") or {}).get("conditions") or ()}
    keys = {key for kind, state, key in _BY_CONDITION if states.get(kind) == state}
    return keys | {UNSCHEDULABLE} if spec_of(node).get("unschedulable") else keys


def with_no_schedule(node: Object, now: str) -> list[Object] | None:
    """The node's taints with the NoSchedule ones put right; None if they are."""
    wanted = no_schedule_keys(node)
    kept = [
        t for t in taints_of(node) if t.get("effect") != "NoSchedule" or t["key"] not in _MANAGED or t["key"] in wanted
    ]
    present = {t["key"] for t in kept if t.get("effect") == "NoSchedule"}
    added = [{"key": key, "effect": "NoSchedule", "timeAdded": now} for key in sorted(wanted - present)]
    return [*kept, *added] if added or len(kept) != len(taints_of(node)) else None


def with_no_execute(node: Object, key: str | None, now: str) -> list[Object] | None:
    """The node's taints with exactly `key` (or none) of not-ready and unreachable as NoExecute; None if they are so."""
    kept, present = [], False
    for taint in taints_of(node):
        if taint.get("effect") == "NoExecute" and taint["key"] in (NOT_READY, UNREACHABLE):
            if taint["key"] != key:
                continue
            present = True
        kept.append(taint)
    if key is not None and not present:
        kept.append({"key": key, "effect": "NoExecute", "timeAdded": now})
        return kept
    return kept if len(kept) != len(taints_of(node)) else None


def no_execute(taints: Iterable[Object]) -> list[Object]:
    """Those that evict."""
    return [t for t in taints if t.get("effect") == "NoExecute"]


def tolerates(toleration: Object, taint: Object) -> bool:
    """Whether one toleration covers one taint."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    if operator in ("Lt", "Gt"):
        return _compares(operator, taint.get("value") or "", toleration.get("value") or "")
    return bool(toleration.get("key")) and (toleration.get("value") or "") == (taint.get("value") or "")


def _compares(operator: str, taint: str, toleration: str) -> bool:
    """KEP-5471: integer values only; anything else is not tolerated."""
    try:
        left, right = int(taint), int(toleration)
    except ValueError:
        return False
    return left < right if operator == "Lt" else left > right


def untolerated(taints: Iterable[Object], tolerations: Sequence[Object]) -> list[Object]:
    """The taints that no toleration covers."""
    return [t for t in taints if not any(tolerates(o, t) for o in tolerations)]


def eviction_delay(pod: Object, taints: Sequence[Object]) -> float | None:
    """Seconds the pod may stay on a node with these NoExecute taints; None means for ever, 0 not at all."""
    tolerations = pod["spec"].get("tolerations") or ()
    used = [next((o for o in tolerations if tolerates(o, taint)), None) for taint in taints]
    limits: list[float] = []
    for toleration in used:
        if toleration is None:
            return 0.0
        if toleration.get("tolerationSeconds") is not None:
            limits.append(max(0.0, float(toleration["tolerationSeconds"])))
    return min(limits, default=None)


def ready_key(node: Object) -> str | None:
    """The NoExecute taint that the condition Ready calls for, None when the node is ready or has said nothing."""
    condition = meta.get_condition(node, "Ready")
    state = condition["status"] if condition else None
    return {"Unknown": UNREACHABLE, "False": NOT_READY}.get(str(state))
