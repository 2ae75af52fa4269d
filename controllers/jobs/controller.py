"""Runs a Job's pods to their end and counts them.

Promises: never acts on a Job older than what it wrote itself, nor on pods older than what it created or deleted; every pod is
counted once (see `tracking`); the final condition comes only when no pod of the Job is left running.
"""

from __future__ import annotations

from datetime import datetime

from api import meta, resources
from api.errors import ApiError, Invalid, NotFound
from api.types import Object
from client.controller import Context
from controllers import ownership
from controllers.jobs import replicas, tracking
from controllers.jobs.pods import pod_for
from controllers.jobs.replicas import Backoff, Plan
from controllers.jobs.verdict import Verdict, completed, deadline_in, is_finished, judge
from controllers.jobs.view import FINALIZER, View
from controllers.podowner import PodOwnerController
from controllers.podstate import wall
from controllers.slowstart import all_of
from controllers.status import same
from controllers.versions import Written

_BATCH_SECONDS = 0.1
_MANAGER = "kubernetes.io/job-controller"
_ORPHAN = "orphan/"


def is_ours(job: Object) -> bool:
    """Whether this controller is to run the Job (`spec.managedBy`)."""
    return (job["spec"].get("managedBy") or _MANAGER) == _MANAGER


def _is_held(pod: Object) -> bool:
    return FINALIZER in (pod["metadata"].get("finalizers") or ())


class JobController(PodOwnerController):
    """Keys are Jobs, and `orphan/<pod>` for pods whose Job is gone."""

    name = "job"
    workers = 5
    resource = resources.JOBS

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.written = Written()
        self.backoffs: dict[str, Backoff] = {}
        self.stripped: dict[str, set[str]] = {}

    def owner_gone(self, owner: Object) -> None:
        super().owner_gone(owner)
        self.written.forget(meta.key(owner))
        self.backoffs.pop(meta.uid(owner), None)
        self.stripped.pop(meta.uid(owner), None)
        for pod in ownership.controlled(self.pods, owner):
            self._free_later(pod)

    def queue_owner(self, owner: Object) -> None:
        """Pods of a Job tend to change together."""
        self.queue.add_after(meta.key(owner), _BATCH_SECONDS)

    def pod_noted(self, owner: Object, old: Object | None, pod: Object, *, gone: bool) -> None:
        if gone or not _is_held(pod):
            self.stripped.get(meta.uid(owner), set()).discard(meta.uid(pod))

    def pod_unowned(self, pod: Object) -> None:
        self._free_later(pod)
        super().pod_unowned(pod)

    def _free_later(self, pod: Object) -> None:
        if _is_held(pod):
            self.queue.add(_ORPHAN + meta.key(pod))

    async def reconcile(self, key: str) -> None:
        """Count what has ended, judge the Job, start or stop pods."""
        if key.startswith(_ORPHAN):
            await self._free_orphan(key.removeprefix(_ORPHAN))
            return
        job = self.owners.get(key)
        if job is None or not is_ours(job) or is_finished(job) or self.written.is_stale(job):
            return
        settled = self.expectations.satisfied(key)
        pods = await self.pods_of(job, finalizers=(FINALIZER,))
        view = View(job, pods, frozenset(self.stripped.get(meta.uid(job), ())))
        await self._sync(key, view, settled)

    async def _sync(self, key: str, view: View, settled: bool) -> None:
        now = wall()
        job = view.job
        verdict = judge(view, now)
        backoff = self.backoffs.get(meta.uid(job), Backoff()).after(view.new_succeeded, view.new_failed)
        status, changed = tracking.started(job, view.status, now) if verdict is None else (view.status, None)
        if changed:
            self.recorder.event(job, "Normal", changed, f"Job {changed.lower()}")
        active, leaving = len(view.active), len(view.terminating)
        error: ApiError | None = None
        again: float | None = deadline_in({**job, "status": status}, now)
        if settled and not meta.is_deleting(job):
            over = Plan(delete=view.active[: replicas.BURST])
            steps = over if verdict is not None else replicas.plan(view, backoff, now)
            if steps.again is not None:
                again = steps.again if again is None else min(again, steps.again)
            deleted, created, error = await self._carry_out(key, view, steps, counted=verdict is not None)
            active, leaving = active - deleted + created, leaving + deleted
        if verdict is None:
            verdict = completed(view, active)
            if verdict is not None and active:
                self.recorder.event(
                    job, "Warning", "TooManyActivePods", "Too many active pods running after completion count reached"
                )
        status = {**status, "active": active, "ready": min(view.ready, active), "terminating": leaving}
        await self._track(key, view, status, verdict, now)
        self.backoffs[meta.uid(job)] = backoff
        if error is not None:
            raise error
        if again is not None:
            self.queue.add_after(key, max(again, 0.0) + 0.05)

    async def _carry_out(self, key: str, view: View, steps: Plan, *, counted: bool) -> tuple[int, int, ApiError | None]:
        """Returns how many pods were deleted and created, and the first error.

        Pods that are deleted because the Job wants fewer, or is suspended, have not failed: unless `counted` they lose the
        finalizer first.
        """
        job = view.job

        async def let_go(pod: Object) -> None:
            await self._strip(pod)
            self.stripped.setdefault(meta.uid(job), set()).add(meta.uid(pod))

        def make(position: int) -> Object:
            index = steps.create[position]
            return pod_for(job, index, view.last_failures.get(index) if index is not None else None)

        deleted, error = await self.control.delete(key, job, steps.delete, None if counted else let_go)
        created, failed = await self.control.create(key, job, len(steps.create), make)
        return deleted, created, error or failed

    async def _track(self, key: str, view: View, status: Object, verdict: Verdict | None, now: datetime) -> None:
        """Write what was counted, take the finalizers off, turn uids into numbers, and end the Job if that was all."""
        job = view.job
        if verdict is not None:
            status = tracking.announced(status, verdict, now)
        accounts = tracking.account(view, status, verdict)
        if accounts.strip:
            job = await self._write(job, accounts.status)
            stripped = self.stripped.setdefault(meta.uid(job), set())

            async def strip(pod: Object) -> None:
                await self._strip(pod)
                stripped.add(meta.uid(pod))

            await all_of([strip(pod) for pod in accounts.strip])
        gone = {meta.uid(pod) for pod in accounts.strip}
        tracked = {meta.uid(pod) for pod in view.pods if view.is_tracked(pod)} - gone
        final = tracking.settle(accounts.status, tracked)
        if verdict is not None and not accounts.more and tracking.may_end(final):
            final = tracking.ended(final, verdict, now)
        await self._write(job, final)
        if accounts.more:
            self.queue.add(key)
        if verdict is not None and is_finished({"status": final}):
            self._tell_end(job, verdict)

    def _tell_end(self, job: Object, verdict: Verdict) -> None:
        if verdict.is_success:
            self.recorder.event(job, "Normal", "Completed", "Job completed")
        else:
            self.recorder.event(job, "Warning", verdict.reason, verdict.message)

    async def _write(self, job: Object, status: Object) -> Object:
        """Guarded by the version that was read: a Conflict starts the reconcile anew."""
        if same(job.get("status"), status):
            return job
        written = await self.client.update(resources.JOBS, {**job, "status": status}, subresource="status")
        self.written.wrote(written)
        return written

    async def _strip(self, pod: Object) -> None:
        patch = {"metadata": {"uid": meta.uid(pod), "$deleteFromPrimitiveList/finalizers": [FINALIZER]}}
        try:
            await self.client.patch(resources.PODS, meta.name(pod), patch, meta.namespace(pod), kind="strategic")
        except (NotFound, Invalid):
            return  # gone, or a namesake: neither bears our finalizer

    async def _free_orphan(self, key: str) -> None:
        pod = self.pods.get(key)
        if pod is None or not _is_held(pod):
            return
        ref = meta.controller_of(pod)
        if ref is not None:
            if ref.get("kind") != resources.JOBS.kind or self.owner_of(pod) is not None:
                return
            try:
                live = await self.client.get(resources.JOBS, str(ref["name"]), meta.namespace(pod))
            except NotFound:
                live = None
            if live is not None and meta.uid(live) == ref.get("uid"):
                return
        await self._strip(pod)
