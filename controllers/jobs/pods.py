"""The pods that a Job creates. Pure."""

from __future__ import annotations

from api import meta, resources
from api.types import Object
from controllers.jobs.failures import FAILURE_COUNT, IGNORED_COUNT, counts_after, has_limit_per_index
from controllers.jobs.indexes import INDEX
from controllers.jobs.view import FINALIZER
from controllers.templates import pod_from

_ENV = "JOB_COMPLETION_INDEX"
_NAME_LIMIT = 58
"""What leaves room for the random end of a generated name."""


def pod_for(job: Object, index: int | None, last_failure: Object | None) -> Object:
    """The pod for an index (None for a Job without); `last_failure` is the pod it replaces, if that counts per index."""
    pod = pod_from(job["spec"]["template"], resources.JOBS, job)
    metadata = pod["metadata"]
    metadata["finalizers"] = [*metadata.get("finalizers", ()), FINALIZER]
    if index is None:
        return pod
    metadata["generateName"] = f"{meta.name(job)}-{index}"[:_NAME_LIMIT] + "-"
    annotations = metadata.setdefault("annotations", {})
    annotations[INDEX] = str(index)
    metadata.setdefault("labels", {})[INDEX] = str(index)
    if has_limit_per_index(job):
        failures, ignored = counts_after(job, last_failure)
        annotations[FAILURE_COUNT] = str(failures)
        if ignored:
            annotations[IGNORED_COUNT] = str(ignored)
    pod["spec"]["hostname"] = f"{meta.name(job)}-{index}"
    source = {"valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX}']"}}}
    for kind in ("initContainers", "containers"):
        for container in pod["spec"].get(kind) or ():
            if not any(variable["name"] == _ENV for variable in container.get("env") or ()):
                container["env"] = [*(container.get("env") or ()), {"name": _ENV, **source}]
    return pod
