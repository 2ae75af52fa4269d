"""Resources that share one store in two shapes: core events and events.k8s.io, autoscaling v1 and v2.

A `View` says how stored objects are read in the other shape and written back. Source: the conversions of Kubernetes
(pkg/apis/core/v1/conversion.go for events, pkg/apis/autoscaling/v1/conversion.go).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from api import resources
from api.types import Object, Resource


@dataclass(frozen=True, slots=True)
class View:
    """`read`: the stored shape → this resource's; `write`: the way back. Neither changes its input's nested values."""

    read: Callable[[Object], Object]
    write: Callable[[Object], Object]


_EVENT_NAMES = (
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
)


def _renamed(obj: Object, version: str, names: tuple[tuple[str, str], ...]) -> Object:
    table = dict(names)
    return {table.get(key, key): value for key, value in obj.items()} | {"apiVersion": version}


def _event_read(obj: Object) -> Object:
    return _renamed(obj, "events.k8s.io/v1", _EVENT_NAMES)


def _event_write(obj: Object) -> Object:
    return _renamed(obj, "v1", tuple((new, old) for old, new in _EVENT_NAMES))


def _hpa_read(obj: Object) -> Object:
    """autoscaling/v2 → v1: the CPU utilisation has a field of its own; other metrics do not show."""
    spec = {k: v for k, v in (obj.get("spec") or {}).items() if k not in ("metrics", "behavior")}
    for metric in (obj.get("spec") or {}).get("metrics") or ():
        target = (metric.get("resource") or {}).get("target") or {}
        if (metric.get("resource") or {}).get("name") == "cpu" and "averageUtilization" in target:
            spec["targetCPUUtilizationPercentage"] = target["averageUtilization"]
    status = {k: v for k, v in (obj.get("status") or {}).items() if k not in ("currentMetrics", "conditions")}
    return obj | {"apiVersion": "autoscaling/v1", "spec": spec, "status": status}


def _hpa_write(obj: Object) -> Object:
    """autoscaling/v1 → v2."""
    spec = dict(obj.get("spec") or {})
    target = spec.pop("targetCPUUtilizationPercentage", None)
    if target is not None:
        cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": target}}
        spec["metrics"] = [{"type": "Resource", "resource": cpu}]
    status = {k: v for k, v in (obj.get("status") or {}).items() if k != "currentCPUUtilizationPercentage"}
    return obj | {"apiVersion": "autoscaling/v2", "spec": spec, "status": status}


VIEWS: dict[Resource, View] = {
    resources.EVENTS_V1: View(_event_read, _event_write),
    resources.HORIZONTALPODAUTOSCALERS_V1: View(_hpa_read, _hpa_write),
}
