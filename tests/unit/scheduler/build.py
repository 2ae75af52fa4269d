"""Nodes and pods in few words, and a cluster of them that schedules."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

from api.types import Object
from scheduler.cycle import Algorithm, Diagnosis, Placement, Profile
from scheduler.podinfo import PodInfo, read
from scheduler.snapshot import Snapshot
from scheduler.template import Templates

ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"


def node(
    name: str,
    cpu: str = "4",
    memory: str = "8Gi",
    pods: str = "110",
    *,
    zone: str = "",
    labels: Mapping[str, str] | None = None,
    taints: Iterable[Mapping[str, str]] = (),
    unschedulable: bool = False,
    extended: Mapping[str, str] | None = None,
    images: Iterable[Mapping[str, Any]] = (),
) -> Object:
    given = {HOST: name, **({ZONE: zone} if zone else {}), **(labels or {})}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": given},
        "spec": {"taints": [dict(t) for t in taints], **({"unschedulable": True} if unschedulable else {})},
        "status": {
            "allocatable": {"cpu": cpu, "memory": memory, "pods": pods, **(extended or {})},
            "images": [dict(i) for i in images],
        },
    }


def pod(
    name: str = "p",
    cpu: str = "",
    memory: str = "",
    *,
    namespace: str = "default",
    labels: Mapping[str, str] | None = None,
    on: str = "",
    priority: int = 0,
    requests: Mapping[str, str] | None = None,
    **spec: Any,
) -> Object:
    asked = {**({"cpu": cpu} if cpu else {}), **({"memory": memory} if memory else {}), **(requests or {})}
    container: Object = {"name": "c", "image": "app", "resources": {"requests": asked} if asked else {}}
    container |= spec.pop("container", {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": namespace,
            "name": name,
            "uid": f"uid-{namespace}-{name}",
            "labels": dict(labels or {}),
        },
        "spec": {
            "containers": [container],
            "schedulerName": "default-scheduler",
            "priority": priority,
            **({"nodeName": on} if on else {}),
            **spec,
        },
        "status": {"phase": "Pending"},
    }


class Cluster:
    """A snapshot and an algorithm, filled by hand."""

    def __init__(self, *nodes: Object, profile: Profile | None = None, capacity: int = 2, **parts: Any) -> None:
        self.namespaces: dict[str, Mapping[str, str]] = {}
        self.snapshot = Snapshot(self.namespaces, capacity)
        self.algorithm = Algorithm(self.snapshot, profile, rng=random.Random(1), **parts)  # noqa: S311
        self.templates = Templates()
        for each in nodes:
            self.snapshot.put_node(each)

    def info(self, obj: Object) -> PodInfo:
        return read(obj, self.templates)

    def run(self, *pods: Object) -> list[PodInfo]:
        """Count assigned pods on their nodes."""
        infos = [self.info(p) for p in pods]
        for info in infos:
            assert info.node
            self.snapshot.add_pod(info)
        return infos

    def schedule(self, obj: Object) -> Placement | Diagnosis:
        return self.algorithm.schedule(PodInfo(obj, self.templates.of(obj)))

    def place(self, obj: Object) -> str:
        """Schedule and keep it there; returns the node."""
        info = self.info(obj)
        result = self.algorithm.schedule(info)
        assert isinstance(result, Placement), result
        self.snapshot.add_pod(info.assumed(result.node))
        return result.node

    def reasons(self, obj: Object) -> dict[str, int]:
        """Why it does not fit; empty if it does."""
        result = self.schedule(obj)
        if isinstance(result, Placement):
            return {}
        return {result.refusal: result.total} if result.refusal else result.reasons

    def feasible(self, obj: Object) -> set[str]:
        """The nodes that would do."""
        return set(self.algorithm.scores(self.info(obj)))


def constraint(key: str = ZONE, skew: int = 1, when: str = "DoNotSchedule", labels: Any = None, **more: Any) -> Object:
    selector = {"labelSelector": {"matchLabels": labels if labels is not None else {"app": "a"}}}
    return {"topologyKey": key, "maxSkew": skew, "whenUnsatisfiable": when, **selector, **more}


def term(key: str = ZONE, labels: Any = None, **more: Any) -> Object:
    return {
        "topologyKey": key,
        "labelSelector": {"matchLabels": labels if labels is not None else {"app": "a"}},
        **more,
    }


def affinity(
    near: Iterable[Object] = (),
    apart: Iterable[Object] = (),
    prefer_near: Iterable[Object] = (),
    prefer_apart: Iterable[Object] = (),
) -> Object:
    required, preferred = (f"{k}DuringSchedulingIgnoredDuringExecution" for k in ("required", "preferred"))

    def weighted(terms: Iterable[Object]) -> list[Object]:
        return [
            {"weight": t.get("weight", 10), "podAffinityTerm": {k: v for k, v in t.items() if k != "weight"}}
            for t in terms
        ]

    return {
        "podAffinity": {required: list(near), preferred: weighted(prefer_near)},
        "podAntiAffinity": {required: list(apart), preferred: weighted(prefer_apart)},
    }
