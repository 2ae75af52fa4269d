"""Counting each pod of a Job once, although pods are deleted and writes are lost. Pure.

Every pod bears a finalizer until it is counted. First its uid goes into `status.uncountedTerminatedPods`, then the finalizer
comes off, and only then does the uid turn into a number; so whichever write is the last to succeed, the sum is right.
Source: KEP-2307.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from api import meta, timestamp
from api.types import Object
from controllers.jobs.failures import counts, is_failed
from controllers.jobs.indexes import index_of, is_indexed, parse, render, within
from controllers.jobs.verdict import Verdict, is_suspended
from controllers.jobs.view import View, uncounted_of
from controllers.podstate import phase

LIMIT = 500
"""The most pods counted in one go: they stand in one object."""


@dataclass(slots=True)
class Accounts:
    """The status to write first, the pods to take the finalizer off after that, and whether more are left for another go."""

    status: Object
    strip: list[Object]
    more: bool


def account(view: View, status: Object, verdict: Verdict | None) -> Accounts:
    """Note the pods that have newly ended in a copy of `status`."""
    status = settle(status, {meta.uid(pod) for pod in view.pods if view.is_tracked(pod)})
    pending = copy.deepcopy(status.get("uncountedTerminatedPods") or {})
    done = parse(status.get("completedIndexes"), view.completions or 0)
    kept = {meta.uid(pod) for pod in view.last_failures.values()}
    strip: list[Object] = []
    more = False
    for pod in view.pods:
        if not view.is_tracked(pod) or not _may_strip(view, pod, verdict, kept):
            continue
        if len(strip) == LIMIT:
            more = True
            break
        strip.append(pod)
        field = _sum_for(view.job, pod, verdict)
        if field == "index":
            index = index_of(pod)
            if index is not None:
                done.add(index)
        elif field and meta.uid(pod) not in pending.get(field, ()):
            pending.setdefault(field, []).append(meta.uid(pod))
    status["uncountedTerminatedPods"] = pending
    if is_indexed(view.job):
        status["succeeded"] = len(done)
        status["completedIndexes"] = render(done)
    if view.failed_indexes is not None:
        status["failedIndexes"] = render(view.failed_indexes)
    return Accounts(status, strip, more)


def _may_strip(view: View, pod: Object, verdict: Verdict | None, kept: Collection[str]) -> bool:
    if meta.is_deleting(view.job) or verdict is not None or phase(pod) == "Succeeded":
        return True
    return is_failed(view.job, pod) and meta.uid(pod) not in kept


def _sum_for(job: Object, pod: Object, verdict: Verdict | None) -> str | None:
    """Where the pod is counted: `index`, `succeeded`, `failed`, or None for nowhere."""
    if not within(job, pod):
        return None
    if phase(pod) == "Succeeded":
        return "index" if is_indexed(job) else "succeeded"
    # when a Job has failed, every pod that still runs has failed with it
    if is_failed(job, pod) or (verdict is not None and not verdict.is_success):
        return "failed" if counts(job, pod) else None
    return None


def settle(status: Object, tracked: Collection[str]) -> Object:
    """A copy of the status in which the uids of pods that are no longer tracked have become numbers."""
    status = copy.deepcopy(status)
    pending = {}
    for field, uids in zip(("succeeded", "failed"), uncounted_of(status), strict=True):
        settled = uids - set(tracked)
        if settled:
            status[field] = int(status.get(field) or 0) + len(settled)
        left = [uid for uid in (status.get("uncountedTerminatedPods") or {}).get(field) or () if uid not in settled]
        if left:
            pending[field] = left
    status["uncountedTerminatedPods"] = pending
    return status


def started(job: Object, status: Object, now: datetime) -> tuple[Object, str | None]:
    """The status with `startTime` and the condition Suspended as `spec.suspend` asks, and the reason of a change, if any."""
    status = {**status, "conditions": copy.deepcopy(status.get("conditions") or [])}
    moment = timestamp.format(now)
    present = next((c["status"] for c in status["conditions"] if c["type"] == "Suspended"), None)
    if is_suspended(job):
        if present == "True":
            return status, None
        _set(status["conditions"], "Suspended", "True", "JobSuspended", "Job suspended", moment)
        return status, "Suspended"
    if present == "True":
        _set(status["conditions"], "Suspended", "False", "JobResumed", "Job resumed", moment)
        status["startTime"] = moment  # the deadline does not run while a Job is suspended
        return status, "Resumed"
    if not status.get("startTime"):
        status["startTime"] = moment
    return status, None


def announced(status: Object, verdict: Verdict, now: datetime) -> Object:
    """The status with the condition that announces the end."""
    status = {**status, "conditions": copy.deepcopy(status.get("conditions") or [])}
    _set(status["conditions"], verdict.target, "True", verdict.reason, verdict.message, timestamp.format(now))
    return status


def ended(status: Object, verdict: Verdict, now: datetime) -> Object:
    """The final status."""
    status = announced(status, verdict, now)
    moment = timestamp.format(now)
    _set(status["conditions"], verdict.final, "True", verdict.reason, verdict.message, moment)
    if verdict.is_success:
        status["completionTime"] = moment
    return status


def may_end(status: Object) -> bool:
    """Whether nothing runs and everything is counted."""
    pending = status.get("uncountedTerminatedPods") or {}
    return not any(pending.values()) and not status.get("active") and not status.get("terminating")


def _set(conditions: list[Object], kind: str, state: str, reason: str, message: str, now: str) -> None:
    meta.set_condition(conditions, kind, state, reason, message, now=now)
    for condition in conditions:
        if condition["type"] == kind:
            condition.setdefault("lastProbeTime", now)
