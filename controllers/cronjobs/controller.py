"""Starts a CronJob's Jobs when they are due, follows them, forgets old ones."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from api import meta, resources, timestamp
from api.errors import AlreadyExists, ApiError, NotFound
from api.types import Object
from client.controller import Context, Controller
from controllers import ownership
from controllers.cronjobs import history
from controllers.cronjobs.schedule import Schedule, parse
from controllers.jobs.verdict import is_finished, is_true
from controllers.podcontrol import namespace_terminating
from controllers.podstate import wall
from controllers.status import write_status
from controllers.versions import Written

_SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
_MARGIN = 0.1


class CronJobController(Controller):
    """Keys are CronJobs."""

    name = "cronjob"

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.written = Written()
        crons = ctx.informers.informer(resources.CRONJOBS)
        jobs = ctx.informers.informer(resources.JOBS)
        ownership.index_by_controller(jobs)
        self.crons, self.jobs = crons.lister, jobs.lister
        crons.add_handler(
            self.enqueue, lambda _, new: self.enqueue(new), lambda old: self.written.forget(meta.key(old))
        )
        jobs.add_handler(self._job_seen, self._job_changed, self._job_seen)

    def _job_seen(self, job: Object) -> None:
        owner = ownership.resolve(self.crons, resources.CRONJOBS, job)
        if owner is not None:
            self.enqueue(owner)

    def _job_changed(self, old: Object, new: Object) -> None:
        self._job_seen(old)
        self._job_seen(new)

    async def reconcile(self, key: str) -> None:
        """Follow the Jobs, start one if its time has come, come back when the next is due."""
        cron = self.crons.get(key)
        if cron is None or self.written.is_stale(cron):
            return
        jobs = ownership.controlled(self.jobs, cron)
        status = copy.deepcopy(cron.get("status") or {})
        await self._follow(cron, jobs, status)
        wait = None
        if not meta.is_deleting(cron) and not cron["spec"].get("suspend"):
            schedule = self._schedule(cron)
            if schedule is not None:
                await self._start(cron, jobs, status, schedule)
                moment = wall()
                following = schedule.next(moment)
                wait = (following - moment).total_seconds() if following else None
        self.written.wrote(await write_status(self.client, resources.CRONJOBS, cron, status))
        for job in history.to_forget(cron, jobs):
            await self._delete(cron, job)
        if wait is not None:
            self.queue.add_after(key, wait + _MARGIN)

    async def _follow(self, cron: Object, jobs: Sequence[Object], status: Object) -> None:
        """Bring `status.active` in line with the Jobs; tell what has finished, appeared or vanished."""
        active = {ref["uid"]: ref for ref in status.get("active") or ()}
        known = {meta.uid(job) for job in jobs}
        for job in jobs:
            uid, finished = meta.uid(job), is_finished(job)
            if uid in active and finished:
                del active[uid]
                kind = "Complete" if is_true(job, "Complete") else "Failed"
                message = f"Saw completed job: {meta.name(job)}, condition: {kind}"
                self.recorder.event(cron, "Normal", "SawCompletedJob", message)
            elif uid not in active and not finished:
                message = f"Saw a job that the controller did not create or forgot: {meta.name(job)}"
                self.recorder.event(cron, "Warning", "UnexpectedJob", message)
            ended = (job.get("status") or {}).get("completionTime")
            if finished and ended and is_true(job, "Complete"):
                status["lastSuccessfulTime"] = max(ended, status.get("lastSuccessfulTime") or "")
        for uid, ref in list(active.items()):
            if uid not in known and not await self._exists(cron, ref):
                del active[uid]
                message = f"Active job went missing: {ref['name']}"
                self.recorder.event(cron, "Normal", "MissingJob", message)
        status["active"] = list(active.values())

    async def _exists(self, cron: Object, ref: Object) -> bool:
        try:
            live = await self.client.get(resources.JOBS, ref["name"], meta.namespace(cron))
        except NotFound:
            return False
        return meta.uid(live) == str(ref["uid"])

    def _schedule(self, cron: Object) -> Schedule | None:
        zone: tzinfo = UTC
        name = cron["spec"].get("timeZone")
        if name:
            try:
                zone = ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError):
                self.recorder.event(cron, "Warning", "UnknownTimeZone", f"invalid timeZone: {name!r}")
                return None
        try:
            return parse(cron["spec"]["schedule"], zone)
        except ValueError as error:
            message = f"unparseable schedule: {cron['spec']['schedule']!r} : {error}"
            self.recorder.event(cron, "Warning", "UnparseableSchedule", message)
            return None

    async def _start(self, cron: Object, jobs: Sequence[Object], status: Object, schedule: Schedule) -> None:
        now = wall()
        due = history.due(cron, schedule, now)
        if due.missed:
            message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
            self.recorder.event(cron, "Warning", "TooManyMissedTimes", message)
        if due.at is None or history.job_name(cron, due.at) in {ref["name"] for ref in status["active"]}:
            return
        if history.too_late(cron, due.at, now):
            message = f"Missed scheduled time to start a job: {due.at:%a, %d %b %Y %H:%M:%S %z}"
            self.recorder.event(cron, "Warning", "MissSchedule", message)
            return
        policy = cron["spec"].get("concurrencyPolicy") or "Allow"
        if policy == "Forbid" and status["active"]:
            message = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self.recorder.event(cron, "Normal", "JobAlreadyActive", message)
            return
        if policy == "Replace":
            running = {ref["uid"] for ref in status["active"]}
            for job in [job for job in jobs if meta.uid(job) in running]:
                await self._delete(cron, job)
            status["active"] = []
        created = await self._create(cron, due.at)
        if created is not None:
            reference = {
                "apiVersion": resources.JOBS.group_version,
                "kind": resources.JOBS.kind,
                "namespace": meta.namespace(created),
                "name": meta.name(created),
                "uid": meta.uid(created),
                "resourceVersion": meta.resource_version(created),
            }
            if not is_finished(created):
                status["active"].append(reference)
            status["lastScheduleTime"] = timestamp.format(due.at)

    async def _create(self, cron: Object, at: datetime) -> Object | None:
        """The Job for that time; one that exists already is taken if it is ours. None when the namespace goes away."""
        job = job_for(cron, at)
        try:
            created = await self.client.create(resources.JOBS, job)
        except AlreadyExists:
            present = await self.client.get(resources.JOBS, meta.name(job), meta.namespace(job))
            if not meta.is_controlled_by(present, cron):
                raise
            return present
        except ApiError as error:
            if namespace_terminating(error):
                return None
            self.recorder.event(cron, "Warning", "FailedCreate", f"Error creating job: {error.message}")
            raise
        self.recorder.event(cron, "Normal", "SuccessfulCreate", f"Created job {meta.name(created)}")
        return created

    async def _delete(self, cron: Object, job: Object) -> None:
        try:
            await self.client.delete(
                resources.JOBS, meta.name(job), meta.namespace(job), propagation_policy="Background", uid=meta.uid(job)
            )
        except NotFound:
            return
        except ApiError as error:
            self.recorder.event(cron, "Warning", "FailedDelete", f"Deleted job: {error.message}")
            raise
        self.recorder.event(cron, "Normal", "SuccessfulDelete", f"Deleted job {meta.name(job)}")


def job_for(cron: Object, at: datetime) -> Object:
    """The Job to create for a scheduled time."""
    template = cron["spec"]["jobTemplate"]
    given = template.get("metadata") or {}
    zone = cron["spec"].get("timeZone")
    moment = at.astimezone(ZoneInfo(zone)) if zone else at
    stamp = timestamp.format(at) if not zone else moment.isoformat(timespec="seconds")
    return {
        "metadata": {
            "name": history.job_name(cron, at),
            "namespace": meta.namespace(cron),
            "labels": dict(given.get("labels") or {}),
            "annotations": {**(given.get("annotations") or {}), _SCHEDULED: stamp},
            "ownerReferences": [meta.owner_reference(resources.CRONJOBS, cron)],
        },
        "spec": copy.deepcopy(template["spec"]),
    }
