"""Whether a Job is over, and why. Pure.

Source: the Kubernetes documentation, "Jobs: Handling Pod and container failures, Success policy, Job termination and cleanup".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from api import meta, timestamp
from api.types import Object
from controllers.jobs.failures import fail_job_message
from controllers.jobs.indexes import is_indexed, parse
from controllers.jobs.view import View
from controllers.podstate import phase

COMPLETE, FAILED = "Complete", "Failed"
SUCCESS_TARGET, FAILURE_TARGET = "SuccessCriteriaMet", "FailureTarget"
_FINAL = {SUCCESS_TARGET: COMPLETE, FAILURE_TARGET: FAILED}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`target` is the condition that announces the end; the final one follows when no pod is left running."""

    target: str
    reason: str
    message: str

    @property
    def final(self) -> str:
        """`Complete` or `Failed`."""
        return _FINAL[self.target]

    @property
    def is_success(self) -> bool:
        return self.target == SUCCESS_TARGET


def is_true(job: Object, kind: str) -> bool:
    """Whether the Job has the condition with status True."""
    condition = meta.get_condition(job, kind)
    return condition is not None and condition["status"] == "True"


def is_finished(job: Object) -> bool:
    """Whether the Job has its final condition."""
    return is_true(job, COMPLETE) or is_true(job, FAILED)


def is_suspended(job: Object) -> bool:
    """Whether the Job's pods are to be kept from running."""
    return bool(job["spec"].get("suspend"))


def deadline_in(job: Object, now: datetime) -> float | None:
    """Seconds until `activeDeadlineSeconds` have passed (0 or less: they have); None without a running deadline."""
    seconds, started = job["spec"].get("activeDeadlineSeconds"), (job.get("status") or {}).get("startTime")
    if seconds is None or not started or is_suspended(job):
        return None
    return (timestamp.parse(started) + timedelta(seconds=int(seconds)) - now).total_seconds()


def judge(view: View, now: datetime) -> Verdict | None:
    """Why the Job must end now, None if it goes on. Reaching `completions` is judged by `completed`, after pods were managed."""
    announced = _announced(view.job)
    if announced is not None:
        return announced
    if message := fail_job_message(view.job, [pod for pod in view.pods if view.is_tracked(pod)]):
        return Verdict(FAILURE_TARGET, "PodFailurePolicy", message)
    limit = view.job["spec"].get("backoffLimit")
    limit = 6 if limit is None else int(limit)
    if view.failed > limit or _too_many_restarts(view, limit):
        return Verdict(FAILURE_TARGET, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    left = deadline_in(view.job, now)
    if left is not None and left <= 0:
        return Verdict(FAILURE_TARGET, "DeadlineExceeded", "Job was active longer than specified deadline")
    return _index_verdict(view)


def _announced(job: Object) -> Verdict | None:
    for target in _FINAL:
        condition = meta.get_condition(job, target)
        if condition is not None and condition["status"] == "True":
            return Verdict(target, condition.get("reason", ""), condition.get("message", ""))
    return None


def _too_many_restarts(view: View, limit: int) -> bool:
    """With restartPolicy OnFailure the restarts of the containers count, too."""
    if view.job["spec"]["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    restarts = 0
    for pod in view.pods:
        if phase(pod) in ("Running", "Pending"):
            status = pod.get("status") or {}
            for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
                restarts += int(container.get("restartCount") or 0)
    return restarts > 0 if limit == 0 else restarts >= limit


def _index_verdict(view: View) -> Verdict | None:
    if not is_indexed(view.job) or view.completions is None:
        return None
    failed = view.failed_indexes
    if failed is not None:
        most = view.job["spec"].get("maxFailedIndexes")
        if most is not None and len(failed) > int(most):
            message = "Job has exceeded the specified maximal number of failed indexes"
            return Verdict(FAILURE_TARGET, "MaxFailedIndexesExceeded", message)
        if failed and len(failed) + len(view.done_indexes) >= view.completions:
            return Verdict(FAILURE_TARGET, "FailedIndexes", "Job has failed indexes")
    rules: Sequence[Object] = (view.job["spec"].get("successPolicy") or {}).get("rules") or ()
    for number, rule in enumerate(rules):
        done = view.done_indexes
        if (wanted := rule.get("succeededIndexes")) is not None:
            named = parse(wanted, view.completions)
            done = done & named
            enough = len(named) if rule.get("succeededCount") is None else int(rule["succeededCount"])
        else:
            enough = int(rule.get("succeededCount") or 0)
        if enough and len(done) >= enough:
            return Verdict(SUCCESS_TARGET, "SuccessPolicy", f"Matched rules at index {number}")
    return None


def completed(view: View, active: int) -> Verdict | None:
    """Success by the ordinary rule; `active` pods run after this reconcile's starts and stops."""
    if view.completions is None and (not view.succeeded or active):
        return None
    if view.completions is not None and view.succeeded < view.completions:
        return None
    return Verdict(SUCCESS_TARGET, "CompletionsReached", "Reached expected number of succeeded pods")
