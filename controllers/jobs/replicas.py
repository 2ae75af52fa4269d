"""Which pods of a Job to start and which to stop, and when failed ones may be tried again. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from api.types import Object
from controllers.jobs.failures import finished_at, has_limit_per_index, index_failures, replaces_failed_only
from controllers.jobs.indexes import index_of, is_indexed
from controllers.jobs.verdict import is_suspended
from controllers.jobs.view import View
from controllers.replicas.ranking import pods_to_delete

BURST = 500
FIRST_DELAY, LONGEST_DELAY = 10.0, 600.0


@dataclass(slots=True)
class Backoff:
    """Failures of a Job since its last success, over reconciles."""

    failures: int = 0
    last: datetime | None = None

    def after(self, succeeded: Sequence[Object], failed: Sequence[Object]) -> Backoff:
        """The record with newly ended pods taken into account, in the order in which they ended."""
        count, last = self.failures, self.last
        ends = sorted([(finished_at(p), 0) for p in succeeded] + [(finished_at(p), 1) for p in failed])
        for moment, is_failure in ends:
            count, last = (count + 1, moment) if is_failure else (0, None)
        return Backoff(count, last)

    def left(self, now: datetime) -> float:
        """Seconds until a failed pod may be replaced; 0 when it may."""
        if not self.failures or self.last is None:
            return 0.0
        return _left(self.failures, self.last, now)


def _left(failures: int, last: datetime, now: datetime) -> float:
    delay = min(FIRST_DELAY * 2 ** min(failures - 1, 20), LONGEST_DELAY)
    return max(0.0, (last + timedelta(seconds=delay) - now).total_seconds())


@dataclass(slots=True)
class Plan:
    """Pods to delete; pods to create, each with its index (None without); seconds after which to look again."""

    delete: list[Object] = field(default_factory=list)
    create: list[int | None] = field(default_factory=list)
    again: float | None = None


def plan(view: View, backoff: Backoff, now: datetime) -> Plan:
    """What to do for a Job that goes on."""
    if is_suspended(view.job):
        return Plan(delete=view.active[:BURST])
    wanted = _wanted(view)
    delete = _surplus(view, max(0, len(view.active) - wanted), now)
    if delete:
        return Plan(delete=delete[:BURST])
    waiting = len(view.terminating) if replaces_failed_only(view.job) else 0
    missing = min(wanted - waiting - len(view.active), BURST)
    if missing <= 0:
        return Plan()
    if not has_limit_per_index(view.job) and (left := backoff.left(now)) > 0:
        return Plan(again=left)
    if not is_indexed(view.job):
        return Plan(create=[None] * missing)
    return _next_indexes(view, missing, now)


def _wanted(view: View) -> int:
    parallelism = view.job["spec"].get("parallelism")
    parallelism = 1 if parallelism is None else int(parallelism)
    if view.completions is None:
        # a work queue: once one pod has succeeded no new ones are started and those that run may finish
        return len(view.active) if view.succeeded else parallelism
    failed = len(view.failed_indexes or ())
    return max(0, min(view.completions - view.succeeded - failed, parallelism))


def _surplus(view: View, at_least: int, now: datetime) -> list[Object]:
    doomed: list[Object] = []
    rest = view.active
    if is_indexed(view.job):
        doomed, rest = _misplaced(view)
    if len(doomed) < at_least:
        doomed += pods_to_delete(rest, rest, at_least - len(doomed), now)
    return doomed


def _misplaced(view: View) -> tuple[list[Object], list[Object]]:
    """(pods whose index is invalid, done, failed, or taken by an older pod; all others)"""
    over = view.done_indexes | (view.failed_indexes or set())
    seen: set[int] = set()
    doomed, rest = [], []
    for pod in sorted(view.active, key=lambda p: str(p["metadata"].get("creationTimestamp") or "")):
        index = index_of(pod)
        if index is None or index >= (view.completions or 0) or index in over or index in seen:
            doomed.append(pod)
        else:
            seen.add(index)
            rest.append(pod)
    return doomed, rest


def _next_indexes(view: View, missing: int, now: datetime) -> Plan:
    """The lowest indexes without a pod; with a limit per index each waits for its own back-off."""
    busy = {index_of(pod) for pod in view.active}
    if replaces_failed_only(view.job):
        busy |= {index_of(pod) for pod in view.terminating}
    over = view.done_indexes | (view.failed_indexes or set())
    result, waits = Plan(), []
    for index in range(view.completions or 0):
        if len(result.create) == missing:
            break
        if index in busy or index in over:
            continue
        last = view.last_failures.get(index)
        left = _left(index_failures(last) + 1, finished_at(last), now) if last is not None else 0.0
        if left > 0:
            waits.append(left)
        else:
            result.create.append(index)
    result.again = min(waits, default=None)
    return result
