"""When a Job's pod counts as failed, and what the Job's pod failure policy makes of it. Pure.

Source: the Kubernetes documentation, "Jobs: Pod failure policy, Backoff limit per index"; KEP-3329, KEP-3850, KEP-3939.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from api import meta, timestamp
from api.types import Object
from controllers.podstate import created_at, phase

FAILURE_COUNT = "batch.kubernetes.io/job-index-failure-count"
IGNORED_COUNT = "batch.kubernetes.io/job-index-ignored-failure-count"


@dataclass(frozen=True, slots=True)
class Match:
    """The rule that applies to a failed pod: its action, and for FailJob a sentence about why."""

    action: str
    message: str


def replaces_failed_only(job: Object) -> bool:
    """Whether a pod that is being deleted is replaced only when it has ended."""
    spec = job["spec"]
    return bool(spec.get("podFailurePolicy")) or spec.get("podReplacementPolicy") == "Failed"


def is_failed(job: Object, pod: Object) -> bool:
    """Whether the pod counts as failed; being deleted does, unless the Job waits for the end of its pods."""
    if phase(pod) == "Failed":
        return True
    if replaces_failed_only(job):
        return False
    return meta.is_deleting(pod) and phase(pod) != "Succeeded"


def match(job: Object, pod: Object) -> Match | None:
    """The first rule of the Job's policy that the failed pod meets, None without one."""
    for number, rule in enumerate((job["spec"].get("podFailurePolicy") or {}).get("rules") or ()):
        action = rule["action"]
        where = f"matching {action} rule at index {number}"
        if codes := rule.get("onExitCodes"):
            if status := _exit_match(pod, codes):
                code = status["state"]["terminated"]["exitCode"]
                what = f"Container {status['name']} for pod {meta.key(pod)} failed with exit code {code} {where}"
                return Match(action, what)
        elif kind := _condition_match(pod, rule.get("onPodConditions") or ()):
            return Match(action, f"Pod {meta.key(pod)} has condition {kind} {where}")
    return None


def _exit_match(pod: Object, codes: Object) -> Object | None:
    status = pod.get("status") or {}
    wanted, values = codes.get("containerName"), codes.get("values") or ()
    for container in [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]:
        if wanted and container["name"] != wanted:
            continue
        ended = (container.get("state") or {}).get("terminated")
        if ended is None or ended["exitCode"] == 0:
            continue
        if (ended["exitCode"] in values) == (codes["operator"] == "In"):
            found: Object = container
            return found
    return None


def _condition_match(pod: Object, patterns: Sequence[Object]) -> str | None:
    for condition in (pod.get("status") or {}).get("conditions") or ():
        for pattern in patterns:
            if condition["type"] == pattern["type"] and condition["status"] == (pattern.get("status") or "True"):
                return str(condition["type"])
    return None


def counts(job: Object, pod: Object) -> bool:
    """Whether the failed pod counts towards the back-off limit (a rule may say to ignore it)."""
    found = match(job, pod)
    return found is None or found.action != "Ignore"


def fail_job_message(job: Object, pods: Sequence[Object]) -> str | None:
    """Why the policy says that the whole Job has failed, None if it does not."""
    for pod in pods:
        if is_failed(job, pod) and (found := match(job, pod)) and found.action == "FailJob":
            return found.message
    return None


def has_limit_per_index(job: Object) -> bool:
    """Whether failures are counted for each index by itself."""
    return job["spec"].get("backoffLimitPerIndex") is not None


def index_failures(pod: Object) -> int:
    """How often the pod's index had failed before the pod was made."""
    text = meta.annotations(pod).get(FAILURE_COUNT, "")
    return int(text) if text.isdigit() else 0


def ignored_failures(pod: Object) -> int:
    """How often that did not count."""
    text = meta.annotations(pod).get(IGNORED_COUNT, "")
    return int(text) if text.isdigit() else 0


def fails_index(job: Object, pod: Object) -> bool:
    """Whether the pod's failure is the end of its index."""
    if not is_failed(job, pod):
        return False
    found = match(job, pod)
    if found is not None and found.action == "Ignore":
        return False
    if found is not None and found.action == "FailIndex":
        return True
    return index_failures(pod) >= int(job["spec"]["backoffLimitPerIndex"])


def counts_after(job: Object, last: Object | None) -> tuple[int, int]:
    """(failures, ignored failures) to note on the pod that replaces `last` at its index."""
    if last is None:
        return 0, 0
    counted = counts(job, last)
    return index_failures(last) + counted, ignored_failures(last) + (not counted)


def finished_at(pod: Object) -> datetime:
    """When a pod that has ended, or is being deleted, came to its end, as well as can be told."""
    status = pod.get("status") or {}
    ends = [
        ended["finishedAt"]
        for container in status.get("containerStatuses") or ()
        if (ended := (container.get("state") or {}).get("terminated")) and ended.get("finishedAt")
    ]
    if ends:
        return max(timestamp.parse(text) for text in ends)
    ready = meta.get_condition(pod, "Ready")
    if ready and ready["status"] == "False" and ready.get("lastTransitionTime"):
        return timestamp.parse(ready["lastTransitionTime"])
    if text := pod["metadata"].get("deletionTimestamp"):
        grace = int(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
        return timestamp.parse(text) - timedelta(seconds=grace)
    return created_at(pod)
