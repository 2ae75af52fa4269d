"""CronJobs, on schedules short enough to watch (`@every 1s` runs each second)."""

from typing import Any

from api import meta, resources
from api.types import Object
from tests.api.controllers.world import World, job, status


def cron(notes: dict[str, str] | None = None, **spec: Any) -> Object:
    return {
        "metadata": {"name": "tick"},
        "spec": {"schedule": "@every 1s", "jobTemplate": {"spec": job("tick", notes)["spec"]}, **spec},
    }


async def test_jobs_are_started_followed_and_forgotten(world: World) -> None:
    await world.create(resources.CRONJOBS, cron({"stage/exit": "0"}, successfulJobsHistoryLimit=0))
    found = await world.until(resources.CRONJOBS, "tick", lambda c: status(c).get("lastSuccessfulTime"))
    assert status(found)["lastScheduleTime"]
    for reason in ("SuccessfulCreate", "SawCompletedJob", "SuccessfulDelete"):
        assert await world.event("tick", reason)


async def test_a_job_belongs_to_its_cron_job_and_notes_its_time(world: World) -> None:
    await world.create(resources.CRONJOBS, cron())
    [made] = await world.until_list(resources.JOBS, lambda jobs: len(jobs) == 1)
    assert (meta.controller_of(made) or {})["kind"] == "CronJob"
    assert "batch.kubernetes.io/cronjob-scheduled-timestamp" in meta.annotations(made)
    found = await world.until(resources.CRONJOBS, "tick", lambda c: status(c).get("active"))
    assert status(found)["active"][0]["name"] == meta.name(made)
    await world.delete(resources.CRONJOBS, "tick", "Background")
    await world.until_list(resources.JOBS, lambda jobs: not jobs)


async def running(world: World, policy: str) -> Object:
    """A CronJob whose run of long ago has not ended; returns that Job."""
    owner = await world.create(resources.CRONJOBS, cron(concurrencyPolicy=policy, suspend=True))
    body = job("tick-old")
    body["metadata"]["ownerReferences"] = [meta.owner_reference(resources.CRONJOBS, owner)]
    old = await world.create(resources.JOBS, body)
    ref = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": "tick-old",
        "namespace": world.namespace,
        "uid": meta.uid(old),
    }
    await world.patch(resources.CRONJOBS, "tick", {"status": {"active": [ref]}}, "status")
    await world.patch(resources.CRONJOBS, "tick", {"spec": {"suspend": False}})
    return old


async def test_forbid_waits_for_the_run_before(world: World) -> None:
    await running(world, "Forbid")
    assert await world.event("tick", "JobAlreadyActive")
    assert len(await world.all(resources.JOBS)) == 1


async def test_replace_stops_the_run_before(world: World) -> None:
    old = await running(world, "Replace")
    await world.until_gone(resources.JOBS, meta.name(old))
    await world.until_list(resources.JOBS, lambda jobs: len(jobs) == 1)


async def test_allow_runs_both(world: World) -> None:
    await running(world, "Allow")
    await world.until_list(resources.JOBS, lambda jobs: len(jobs) == 2)


async def test_a_suspended_cron_job_starts_nothing(world: World) -> None:
    await world.create(resources.CRONJOBS, cron(suspend=True))
    other = cron({"stage/exit": "0"})
    other["metadata"]["name"] = "other"
    await world.create(resources.CRONJOBS, other)
    await world.until(resources.CRONJOBS, "other", lambda c: status(c).get("lastSuccessfulTime"))
    assert not status(await world.get(resources.CRONJOBS, "tick")).get("lastScheduleTime")
