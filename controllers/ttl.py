"""Deletes finished Jobs `ttlSecondsAfterFinished` after their end. Source: KEP-592."""

from __future__ import annotations

from datetime import datetime, timedelta

from api import meta, resources, timestamp
from api.errors import NotFound
from api.types import Object
from client.controller import Context, Controller
from controllers.podstate import wall


def expires_at(job: Object) -> datetime | None:
    """When the Job may be deleted, None if never or not finished."""
    seconds = job["spec"].get("ttlSecondsAfterFinished")
    for kind in ("Complete", "Failed"):
        condition = meta.get_condition(job, kind)
        if seconds is not None and condition and condition["status"] == "True" and condition.get("lastTransitionTime"):
            return timestamp.parse(condition["lastTransitionTime"]) + timedelta(seconds=int(seconds))
    return None


class TTLController(Controller):
    """Keys are Jobs."""

    name = "ttl-after-finished"

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        jobs = ctx.informers.informer(resources.JOBS)
        self.jobs = jobs.lister
        jobs.add_handler(self.enqueue, lambda _, new: self.enqueue(new))

    async def reconcile(self, key: str) -> None:
        """Delete the Job if its time has come by its live state, else come back then."""
        job = self.jobs.get(key)
        moment = expires_at(job) if job is not None and not meta.is_deleting(job) else None
        if job is None or moment is None:
            return
        left = (moment - wall()).total_seconds()
        if left > 0:
            self.queue.add_after(key, left + 0.1)
            return
        try:
            live = await self.client.get(resources.JOBS, meta.name(job), meta.namespace(job))
            again = expires_at(live)
            if meta.uid(live) != meta.uid(job) or again is None or again > wall():
                return
            await self.client.delete(
                resources.JOBS,
                meta.name(job),
                meta.namespace(job),
                propagation_policy="Foreground",
                uid=meta.uid(job),
                resource_version=meta.resource_version(live),
            )
        except NotFound:
            return
