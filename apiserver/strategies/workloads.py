"""Strategies of the workload kinds."""

from __future__ import annotations

from uuid import uuid4

from api.types import Object

_MANUAL_SELECTOR = "manualSelector"


def create_replicas(obj: Object) -> None:
    """Controllers of replicas begin with none."""
    obj["status"] = {} if obj["kind"] == "Deployment" else {"replicas": 0}


def create_daemonset(obj: Object) -> None:
    """A DaemonSet begins with empty counts and its first template generation."""
    obj["status"] = {
        "currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0,
    }  # fmt: skip
    obj["metadata"].setdefault("annotations", {}).setdefault("deprecated.daemonset.template.generation", "1")


def update_daemonset(new: Object, old: Object) -> None:
    """The deprecated template generation counts changes of the template."""
    key = "deprecated.daemonset.template.generation"
    count = int((old["metadata"].get("annotations") or {}).get(key, "1") or 1)
    if (new.get("spec") or {}).get("template") != (old.get("spec") or {}).get("template"):
        count += 1
    new["metadata"].setdefault("annotations", {})[key] = str(count)


def create_job(obj: Object) -> None:
    """A Job selects its pods by its own uid, unless the author selects by hand."""
    obj["status"] = {}
    spec = obj["spec"]
    if spec.get(_MANUAL_SELECTOR):
        return
    uid = obj["metadata"].setdefault("uid", str(uuid4()))
    template = spec["template"].setdefault("metadata", {})
    labels = dict(template.get("labels") or {})
    name = obj["metadata"]["name"]
    for prefix in ("batch.kubernetes.io/", ""):
        labels.setdefault(f"{prefix}controller-uid", uid)
        labels.setdefault(f"{prefix}job-name", name)
    template["labels"] = labels
    selector = spec.setdefault("selector", {})
    selector.setdefault("matchLabels", {}).setdefault("batch.kubernetes.io/controller-uid", uid)


def create_budget(obj: Object) -> None:
    """A budget begins without any disruption allowed."""
    obj["status"] = {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}
