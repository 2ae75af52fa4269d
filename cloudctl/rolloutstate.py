"""How far a rollout has come, in kubectl's sentences. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from api import resources
from api.meta import get_condition
from api.types import Object, Resource


@dataclass(frozen=True)
class Progress:
    """A sentence, whether the rollout is done, and whether it will not be."""

    text: str
    done: bool = False
    failed: bool = False


def judge(resource: Resource, obj: Object) -> Progress:
    """The state of a Deployment, DaemonSet or StatefulSet."""
    status = obj.get("status") or {}
    if status.get("observedGeneration", 0) < obj["metadata"].get("generation", 0):
        return Progress(f"Waiting for {resource.singular} spec update to be observed...")
    if resource == resources.DEPLOYMENTS:
        return _deployment(obj, status)
    if resource == resources.DAEMONSETS:
        return _daemon_set(obj, status)
    return _stateful_set(obj, status)


def _deployment(obj: Object, status: Object) -> Progress:
    name, wanted = obj["metadata"]["name"], obj["spec"].get("replicas", 1)
    progressing = get_condition(obj, "Progressing")
    if progressing and progressing.get("reason") == "ProgressDeadlineExceeded":
        return Progress(f'deployment "{name}" exceeded its progress deadline', failed=True)
    updated, total = status.get("updatedReplicas", 0), status.get("replicas", 0)
    available = status.get("availableReplicas", 0)
    waiting = f'Waiting for deployment "{name}" rollout to finish: '
    if updated < wanted:
        return Progress(f"{waiting}{updated} out of {wanted} new replicas have been updated...")
    if total > updated:
        return Progress(f"{waiting}{total - updated} old replicas are pending termination...")
    if available < updated:
        return Progress(f"{waiting}{available} of {updated} updated replicas are available...")
    return Progress(f'deployment "{name}" successfully rolled out', done=True)


def _daemon_set(obj: Object, status: Object) -> Progress:
    name, wanted = obj["metadata"]["name"], status.get("desiredNumberScheduled", 0)
    updated, available = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
    waiting = f'Waiting for daemon set "{name}" rollout to finish: '
    if updated < wanted:
        return Progress(f"{waiting}{updated} out of {wanted} new pods have been updated...")
    if available < wanted:
        return Progress(f"{waiting}{available} of {wanted} updated pods are available...")
    return Progress(f'daemon set "{name}" successfully rolled out', done=True)


def _stateful_set(obj: Object, status: Object) -> Progress:
    wanted, ready = obj["spec"].get("replicas", 1), status.get("readyReplicas", 0)
    if ready < wanted:
        return Progress(f"Waiting for {wanted - ready} pods to be ready...")
    partition = (obj["spec"].get("updateStrategy", {}).get("rollingUpdate") or {}).get("partition", 0)
    updated = status.get("updatedReplicas", 0)
    if partition:
        if updated < wanted - partition:
            return Progress(f"Waiting for partitioned roll out to finish: {updated} out of {wanted - partition} new pods "
                            "have been updated...")  # fmt: skip
        return Progress(f"partitioned roll out complete: {updated} new pods have been updated...", done=True)
    if status.get("updateRevision") != status.get("currentRevision"):
        return Progress(f"waiting for statefulset rolling update to complete {updated} pods at revision "
                        f"{status.get('updateRevision')}...")  # fmt: skip
    return Progress(f"statefulset rolling update complete {status.get('currentReplicas', 0)} pods at revision "
                    f"{status.get('currentRevision')}...", done=True)  # fmt: skip
