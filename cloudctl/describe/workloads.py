"""Deployments, ReplicaSets, ReplicationControllers, DaemonSets, StatefulSets, Jobs."""

from __future__ import annotations

from api.meta import annotations as annotations_of
from api.meta import controller_of
from api.types import Object
from cloudctl.describe.pod import template
from cloudctl.describe.text import Page, labels, since
from cloudctl.revisions import REVISION

Related = dict[str, list[Object]]


def head(page: Page, obj: Object) -> None:
    """Name, namespace, labels, annotations: how every description begins."""
    meta = obj["metadata"]
    page.put("Name", meta["name"])
    if meta.get("namespace"):
        page.put("Namespace", meta["namespace"])
    page.mapping("Labels", meta.get("labels"))
    page.mapping("Annotations", meta.get("annotations"), mark=": ")


def _selector(obj: Object) -> str:
    selector = obj["spec"].get("selector") or {}
    return labels(
        selector.get("matchLabels", selector) if "matchExpressions" not in selector else selector.get("matchLabels")
    )


def deployment(page: Page, obj: Object, related: Related) -> None:
    """A Deployment with its ReplicaSets."""
    spec, status = obj["spec"], obj.get("status") or {}
    head(page, obj)
    page.put("CreationTimestamp", obj["metadata"].get("creationTimestamp", ""))
    page.put("Selector", _selector(obj))
    page.put(
        "Replicas",
        f"{spec.get('replicas', 1)} desired | {status.get('updatedReplicas', 0)} updated | {status.get('replicas', 0)} total | "
        f"{status.get('availableReplicas', 0)} available | {status.get('unavailableReplicas', 0)} unavailable",
    )
    strategy = spec.get("strategy") or {}
    page.put("StrategyType", strategy.get("type", ""))
    page.put("MinReadySeconds", spec.get("minReadySeconds", 0))
    if strategy.get("rollingUpdate"):
        rolling = strategy["rollingUpdate"]
        page.put(
            "RollingUpdateStrategy",
            f"{rolling.get('maxUnavailable')} max unavailable, {rolling.get('maxSurge')} max surge",
        )
    template(page, spec["template"]["spec"], spec["template"].get("metadata") or {})
    _conditions(page, status)
    newest = annotations_of(obj).get(REVISION)
    sets = related.get("replicasets", [])
    current = [s for s in sets if annotations_of(s).get(REVISION) == newest]
    older = [s for s in sets if s not in current and s["spec"].get("replicas")]
    page.put("OldReplicaSets", ", ".join(map(_set, older)) or "<none>")
    page.put("NewReplicaSet", ", ".join(map(_set, current)) or "<none>")


def _set(obj: Object) -> str:
    have, want = (obj.get("status") or {}).get("replicas", 0), obj["spec"].get("replicas", 0)
    return f"{obj['metadata']['name']} ({have}/{want} replicas created)"


def _conditions(page: Page, status: Object) -> None:
    rows = [[c["type"], c["status"], c.get("reason", "")] for c in status.get("conditions") or ()]
    if rows:
        page.table("Conditions", ["Type", "Status", "Reason"], rows)


def replicas(page: Page, obj: Object, related: Related) -> None:
    """A ReplicaSet, ReplicationController or StatefulSet."""
    spec, status = obj["spec"], obj.get("status") or {}
    head(page, obj)
    owner = controller_of(obj)
    if owner:
        page.put("Controlled By", f"{owner['kind']}/{owner['name']}")
    page.put("Selector", _selector(obj))
    page.put("Replicas", f"{status.get('replicas', 0)} current / {spec.get('replicas', 1)} desired")
    _pods(page, related.get("pods", []))
    template(page, spec["template"]["spec"], spec["template"].get("metadata") or {})
    _conditions(page, status)


def _pods(page: Page, pods: list[Object]) -> None:
    counts: dict[str, int] = {}
    for pod in pods:
        phase = (pod.get("status") or {}).get("phase", "Pending")
        counts[phase] = counts.get(phase, 0) + 1
    page.put(
        "Pods Status",
        f"{counts.get('Running', 0)} Running / {counts.get('Pending', 0)} Waiting / {counts.get('Succeeded', 0)} Succeeded / "
        f"{counts.get('Failed', 0)} Failed",
    )


def daemon_set(page: Page, obj: Object, related: Related) -> None:
    """A DaemonSet."""
    spec, status = obj["spec"], obj.get("status") or {}
    head(page, obj)
    page.put("Selector", _selector(obj))
    page.put("Desired Number of Nodes Scheduled", status.get("desiredNumberScheduled", 0))
    page.put("Current Number of Nodes Scheduled", status.get("currentNumberScheduled", 0))
    page.put("Number of Nodes Scheduled with Up-to-date Pods", status.get("updatedNumberScheduled", 0))
    page.put("Number of Nodes Scheduled with Available Pods", status.get("numberAvailable", 0))
    page.put("Number of Nodes Misscheduled", status.get("numberMisscheduled", 0))
    _pods(page, related.get("pods", []))
    template(page, spec["template"]["spec"], spec["template"].get("metadata") or {})


def job(page: Page, obj: Object, related: Related) -> None:
    """A Job."""
    spec, status = obj["spec"], obj.get("status") or {}
    head(page, obj)
    page.put("Selector", _selector(obj))
    page.put("Parallelism", spec.get("parallelism", 1))
    page.put("Completions", spec.get("completions", "<unset>"))
    page.some("Completion Mode", spec.get("completionMode"))
    page.put("Backoff Limit", spec.get("backoffLimit", 6))
    page.some("Start Time", status.get("startTime"))
    page.some("Completed At", status.get("completionTime"))
    page.put(
        "Pods Statuses",
        f"{status.get('active', 0)} Active ({status.get('ready', 0)} Ready) / {status.get('succeeded', 0)} Succeeded / "
        f"{status.get('failed', 0)} Failed",
    )
    template(page, spec["template"]["spec"], spec["template"].get("metadata") or {})
    for condition in status.get("conditions") or ():
        moment = since(condition.get("lastTransitionTime"))
        page.put(condition["type"], f"{condition['status']} {condition.get('reason', '')} {moment}")
