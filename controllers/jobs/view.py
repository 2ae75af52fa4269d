"""A Job and its pods as one reconcile sees them: who is active, who has newly ended, the sums. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from api import meta
from api.types import Object
from controllers.jobs.failures import counts, fails_index, has_limit_per_index, index_failures, is_failed
from controllers.jobs.indexes import index_of, is_indexed, parse, within
from controllers.podstate import is_active, is_ready, is_terminating, phase

FINALIZER = "batch.kubernetes.io/job-tracking"


def uncounted_of(status: Object) -> tuple[set[str], set[str]]:
    """(succeeded, failed) uids of pods that have ended and are not yet in the sums."""
    pending = status.get("uncountedTerminatedPods") or {}
    return set(pending.get("succeeded") or ()), set(pending.get("failed") or ())


@dataclass
class View:
    """`pods` are all pods of the Job; `stripped` the uids whose finalizer we removed though the cache still shows it."""

    job: Object
    pods: Sequence[Object]
    stripped: Collection[str] = ()

    @cached_property
    def status(self) -> Object:
        status: Object = self.job.get("status") or {}
        return status

    def is_tracked(self, pod: Object) -> bool:
        """Whether the pod bears our finalizer, which means: not yet in the sums."""
        return FINALIZER in (pod["metadata"].get("finalizers") or ()) and meta.uid(pod) not in self.stripped

    @cached_property
    def active(self) -> list[Object]:
        return [pod for pod in self.pods if is_active(pod)]

    @cached_property
    def ready(self) -> int:
        return sum(is_ready(pod) for pod in self.active)

    @cached_property
    def terminating(self) -> list[Object]:
        return [pod for pod in self.pods if is_terminating(pod)]

    @cached_property
    def uncounted(self) -> tuple[set[str], set[str]]:
        return uncounted_of(self.status)

    @cached_property
    def new_succeeded(self) -> list[Object]:
        """Pods that succeeded and are in no sum yet."""
        known = self.uncounted[0]
        return [
            pod
            for pod in self.pods
            if phase(pod) == "Succeeded"
            and self.is_tracked(pod)
            and meta.uid(pod) not in known
            and within(self.job, pod)
        ]

    @cached_property
    def new_failed(self) -> list[Object]:
        """Pods that failed, count, and are in no sum yet."""
        known = self.uncounted[1]
        return [
            pod
            for pod in self.pods
            if is_failed(self.job, pod)
            and self.is_tracked(pod)
            and meta.uid(pod) not in known
            and within(self.job, pod)
            and counts(self.job, pod)
        ]

    @cached_property
    def completions(self) -> int | None:
        wanted = self.job["spec"].get("completions")
        return None if wanted is None else int(wanted)

    @cached_property
    def done_indexes(self) -> set[int]:
        """Indexes that have succeeded; empty for a Job without indexes."""
        if not is_indexed(self.job) or self.completions is None:
            return set()
        done = parse(self.status.get("completedIndexes"), self.completions)
        return done | {i for pod in self.new_succeeded if (i := index_of(pod)) is not None}

    @cached_property
    def failed_indexes(self) -> set[int] | None:
        """Indexes that have failed for good; None for a Job that does not count per index."""
        if not has_limit_per_index(self.job) or self.completions is None:
            return None
        failed = parse(self.status.get("failedIndexes"), self.completions)
        for pod in self.pods:
            index = index_of(pod)
            if index is not None and index < self.completions and self.is_tracked(pod) and fails_index(self.job, pod):
                failed.add(index)
        return failed - self.done_indexes

    @cached_property
    def succeeded(self) -> int:
        if is_indexed(self.job):
            return len(self.done_indexes)
        return int(self.status.get("succeeded") or 0) + len(self.new_succeeded) + len(self.uncounted[0])

    @cached_property
    def failed(self) -> int:
        return int(self.status.get("failed") or 0) + len(self.new_failed) + len(self.uncounted[1])

    @cached_property
    def last_failures(self) -> dict[int, Object]:
        """Per index that may run again, the pod that failed last.

        It keeps its finalizer until its replacement exists, because its annotations hold the index's failure count.
        """
        failed = self.failed_indexes
        if failed is None:
            return {}
        busy = {index_of(pod) for pod in self.active}
        last: dict[int, Object] = {}
        for pod in self.pods:
            index = index_of(pod)
            if index is None or index in failed or index in self.done_indexes or index in busy:
                continue
            if not self.is_tracked(pod) or not is_failed(self.job, pod) or not within(self.job, pod):
                continue
            if index not in last or _attempts(pod) > _attempts(last[index]):
                last[index] = pod
        return last


def _attempts(pod: Object) -> tuple[int, str]:
    return index_failures(pod), str(pod["metadata"].get("creationTimestamp") or "")
