"""Objects for the controllers' tables."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from api import timestamp
from api.types import Object

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
_numbers = count(1)


def ago(seconds: float) -> str:
    return timestamp.format(NOW - timedelta(seconds=seconds))


def pod(
    name: str = "",
    *,
    phase: str = "Running",
    node: str = "",
    ready: float | None = 100,
    age: float = 200,
    labels: dict[str, str] | None = None,
    notes: dict[str, str] | None = None,
    deleting: bool = False,
    finalizers: tuple[str, ...] = (),
    restarts: int = 0,
    ip: str = "",
    owner: str = "",
    **spec: Any,
) -> Object:
    """A pod; `ready` is for how many seconds it has been so, None for not."""
    number = next(_numbers)
    name = name or f"pod-{number}"
    metadata: Object = {"name": name, "namespace": "ns", "uid": f"uid-{name}", "creationTimestamp": ago(age)}
    metadata |= {"labels": labels or {}, "annotations": notes or {}, "finalizers": list(finalizers)}
    if deleting:
        metadata |= {"deletionTimestamp": ago(0), "deletionGracePeriodSeconds": 30}
    if owner:
        metadata["ownerReferences"] = [{"kind": "X", "name": owner, "uid": owner, "controller": True}]
    conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": ago(ready)}] if ready is not None else []
    status: Object = {"phase": phase, "conditions": conditions}
    status["containerStatuses"] = [{"name": "c", "restartCount": restarts}]
    if ip:
        status |= {"podIP": ip, "podIPs": [{"ip": ip}]}
    body: Object = {"containers": [{"name": "c"}], **spec}
    if node:
        body["nodeName"] = node
    return {"kind": "Pod", "metadata": metadata, "spec": body, "status": status}


def exited(code: int, name: str = "", *, age: float = 10, **more: Any) -> Object:
    """A pod that ended `age` seconds ago."""
    made = pod(name, phase="Failed" if code else "Succeeded", ready=None, **more)
    state = {"terminated": {"exitCode": code, "finishedAt": ago(age)}}
    made["status"]["containerStatuses"] = [{"name": "c", "restartCount": 0, "state": state}]
    return made


def node(name: str, *, labels: dict[str, str] | None = None, ready: str = "True", **spec: Any) -> Object:
    conditions = [{"type": "Ready", "status": ready, "reason": "KubeletReady", "lastHeartbeatTime": ago(1)}]
    metadata = {"name": name, "labels": labels or {}, "creationTimestamp": ago(500), "resourceVersion": "1"}
    return {"metadata": metadata, "spec": spec, "status": {"conditions": conditions}}


def owned(kind: str, name: str = "web", **spec: Any) -> Object:
    """A workload with a plain template."""
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    return {
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": "ns",
            "uid": f"uid-{name}",
            "generation": 1,
            "creationTimestamp": ago(1000),
        },
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template, **spec},
    }
