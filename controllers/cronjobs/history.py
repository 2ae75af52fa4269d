"""Which run of a CronJob is due, and which finished Jobs to forget. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from api import meta, timestamp
from api.types import Object
from controllers.cronjobs.schedule import Schedule
from controllers.jobs.verdict import is_true
from controllers.podstate import created_at

_MANY = 100


@dataclass(frozen=True, slots=True)
class Due:
    """`at` is the latest time that has come and has not been served; `missed` tells whether very many came before it."""

    at: datetime | None
    missed: bool = False


def due(cron: Object, schedule: Schedule, now: datetime) -> Due:
    """The run to start now, if any. `startingDeadlineSeconds` bounds how far back we look."""
    last = (cron.get("status") or {}).get("lastScheduleTime")
    since = timestamp.parse(last) if last else created_at(cron)
    seconds = cron["spec"].get("startingDeadlineSeconds")
    if seconds is not None:
        since = max(since, now - timedelta(seconds=int(seconds)))
    first = schedule.next(since) if since <= now else None
    if first is None or first > now:
        return Due(None)
    second = schedule.next(first)
    if second is None or second > now:
        return Due(first)
    period = second - first
    missed = int((now - first) / period) + 1
    # come close in one leap, then step: schedules need not be regular
    latest = at = first
    if missed > 2:
        at = first + (missed - 2) * period
    while (following := schedule.next(at)) is not None and following <= now:
        latest = at = following
    return Due(latest, missed > _MANY)


def too_late(cron: Object, at: datetime, now: datetime) -> bool:
    """Whether the deadline for starting that run has passed."""
    seconds = cron["spec"].get("startingDeadlineSeconds")
    return seconds is not None and at + timedelta(seconds=int(seconds)) < now


def job_name(cron: Object, at: datetime) -> str:
    """One name for each scheduled time: two attempts at one run collide instead of running twice."""
    return f"{meta.name(cron)}-{int(at.timestamp()) // 60}"


def to_forget(cron: Object, jobs: Sequence[Object]) -> list[Object]:
    """Finished Jobs beyond the history limits, oldest first."""
    found: list[Object] = []
    for field, default, state in (
        ("successfulJobsHistoryLimit", 3, "Complete"),
        ("failedJobsHistoryLimit", 1, "Failed"),
    ):
        limit = cron["spec"].get(field)
        ended = sorted((job for job in jobs if is_true(job, state)), key=_start_key)
        found += ended[: max(0, len(ended) - (default if limit is None else int(limit)))]
    return found


def _start_key(job: Object) -> tuple[str, str]:
    started = (job.get("status") or {}).get("startTime")
    return str(started or job["metadata"].get("creationTimestamp") or ""), meta.name(job)
