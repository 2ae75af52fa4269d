"""What every component asks of a pod: is it ready, is it over, what does it request, which QoS class has it. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from api import quantity
from api.meta import get_condition
from api.types import Object

MIRROR = "kubernetes.io/config.mirror"
"""The annotation of a pod that only shows a static pod of its node."""


def is_mirror(pod: Object) -> bool:
    """Whether an API pod only shows a static one, which its kubelet runs from a file."""
    return MIRROR in (pod["metadata"].get("annotations") or {})


def is_ready(pod: Object) -> bool:
    """Whether the condition Ready is True."""
    condition = get_condition(pod, "Ready")
    return condition is not None and condition["status"] == "True"


def is_terminal(pod: Object) -> bool:
    """Whether the pod has ended: phase Succeeded or Failed."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def is_active(pod: Object) -> bool:
    """Whether a controller counts it: neither ended nor being deleted."""
    return not is_terminal(pod) and not pod["metadata"].get("deletionTimestamp")


def amount(resource: str, text: str | int | float) -> int:
    """A quantity in the unit of sums: millicores for cpu, whole units for all else."""
    return quantity.milli(text) if resource == "cpu" else quantity.value(text)


def _asked(container: Object) -> dict[str, int]:
    requests = (container.get("resources") or {}).get("requests") or {}
    return {name: amount(name, text) for name, text in requests.items()}


def _add(total: dict[str, int], more: dict[str, int]) -> None:
    for name, number in more.items():
        total[name] = total.get(name, 0) + number


def _most(total: dict[str, int], other: dict[str, int]) -> None:
    for name, number in other.items():
        total[name] = max(total.get(name, 0), number)


def requests(pod: Object) -> dict[str, int]:
    """What the scheduler must find room for: {resource: millicores or units}.

    The larger of what the containers and sidecars need together and what any init container needs beside the sidecars
    started before it, plus the overhead (KEP-753); pod-level requests replace the sum (KEP-2837).
    """
    spec = pod["spec"]
    total: dict[str, int] = {}
    for container in spec.get("containers") or ():
        _add(total, _asked(container))
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        asked = _asked(container)
        if container.get("restartPolicy") == "Always":
            _add(sidecars, asked)
            _add(total, asked)
            _most(peak, sidecars)
        else:
            _add(asked, sidecars)
            _most(peak, asked)
    _most(total, peak)
    pod_level = (spec.get("resources") or {}).get("requests") or {}
    total |= {name: amount(name, text) for name, text in pod_level.items()}
    _add(total, {name: amount(name, text) for name, text in (spec.get("overhead") or {}).items()})
    return total


def _positive(resources: Object, kind: str) -> dict[str, int]:
    found = {n: amount(n, q) for n, q in (resources.get(kind) or {}).items() if n in ("cpu", "memory")}
    return {n: v for n, v in found.items() if v > 0}


def qos_class(pod: Object) -> str:
    """Guaranteed, Burstable or BestEffort (cpu and memory of all containers, init containers included)."""
    spec = pod["spec"]
    if spec.get("resources"):
        parts: Iterable[Object] = [spec]
    else:
        parts = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    any_set, guaranteed = False, True
    for part in parts:
        resources = part.get("resources") or {}
        limits = _positive(resources, "limits")
        asked = {**limits, **_positive(resources, "requests")}
        any_set = any_set or bool(limits or asked)
        guaranteed = guaranteed and len(limits) == 2 and asked == limits
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"
