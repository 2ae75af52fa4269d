"""A pod as the scheduler carries it about: the object, its template, and the few facts that differ between replicas."""

from __future__ import annotations

from api.meta import key, uid
from api.types import Object
from scheduler.template import Template, Templates


class PodInfo:
    """One pod. `node` is empty until it is assigned (or assumed to be). Identity is the uid."""

    __slots__ = (
        "created",
        "key",
        "never_preempts",
        "node",
        "nominated",
        "pod",
        "priority",
        "template",
        "terminating",
        "uid",
    )

    def __init__(self, pod: Object, template: Template, node: str = "") -> None:
        spec, meta = pod["spec"], pod["metadata"]
        self.pod = pod
        self.template = template
        self.key = key(pod)
        self.uid = uid(pod)
        self.node: str = node or spec.get("nodeName") or ""
        self.priority: int = spec.get("priority") or 0
        self.never_preempts = spec.get("preemptionPolicy") == "Never"
        self.terminating = bool(meta.get("deletionTimestamp"))
        self.nominated: str = (pod.get("status") or {}).get("nominatedNodeName") or ""
        self.created: str = meta.get("creationTimestamp") or ""

    @property
    def started(self) -> str:
        """When it started, for preemption's "spare the oldest"; RFC 3339 text compares as time does."""
        return (self.pod.get("status") or {}).get("startTime") or self.created

    def assumed(self, node: str) -> PodInfo:
        """The same pod as if it were bound to `node`."""
        return PodInfo(self.pod, self.template, node)

    def __repr__(self) -> str:
        return f"PodInfo({self.key}, {self.node or 'pending'})"


def read(pod: Object, templates: Templates) -> PodInfo:
    """Take in a pod from the API."""
    assigned = bool(pod["spec"].get("nodeName"))
    return PodInfo(pod, templates.of(pod, assigned))
