"""Cron schedules and which run is due."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from api import meta
from api.types import Object
from controllers.cronjobs import history
from controllers.cronjobs.controller import job_for
from controllers.cronjobs.schedule import parse
from tests.unit.controllers.objects import NOW, ago


def when(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "after", "following"),
    [
        ("*/1 * * * ?", "2026-01-01 12:00:30", "2026-01-01 12:01"),
        ("0 0 * * *", "2026-01-01 00:00", "2026-01-02 00:00"),
        ("30 4 1,15 * *", "2026-01-02 00:00", "2026-01-15 04:30"),
        ("0 22 * * 1-5", "2026-01-02 23:00", "2026-01-05 22:00"),
        ("0 0 29 2 *", "2026-01-01 00:00", "2028-02-29 00:00"),
        ("15 10 ? JAN-MAR MON", "2026-01-01 00:00", "2026-01-05 10:15"),
        ("0 0 13 * FRI", "2026-01-01 00:00", "2026-01-02 00:00"),
        ("0 0 */2 * FRI", "2026-01-01 00:00", "2026-01-09 00:00"),
        ("5-59/20 8 * * *", "2026-01-01 08:26", "2026-01-01 08:45"),
        ("@hourly", "2026-01-01 12:00", "2026-01-01 13:00"),
        ("@weekly", "2026-01-01 12:00", "2026-01-04 00:00"),
        ("@yearly", "2026-01-01 00:00", "2027-01-01 00:00"),
        ("@every 1h30m", "2026-01-01 12:00:10", "2026-01-01 13:30:10"),
    ],
)
def test_the_next_time(schedule: str, after: str, following: str) -> None:
    assert parse(schedule).next(when(after)) == when(following)


@pytest.mark.parametrize(
    ("schedule", "after", "following"),
    [
        ("30 9 * * *", "2026-01-01 00:00", "2026-01-01 08:30"),
        ("30 2 * * *", "2026-03-28 12:00", "2026-03-30 00:30"),  # 29 March has no 02:30
        ("30 2 * * *", "2026-10-24 12:00", "2026-10-25 00:30"),  # of two 02:30 the first
    ],
)
def test_time_zones_and_daylight_saving(schedule: str, after: str, following: str) -> None:
    assert parse(schedule, ZoneInfo("Europe/Berlin")).next(when(after)) == when(following)


BROKEN = """
* * * *
* * * * * *
60 * * * *
* 24 * * *
* * 0 * *
* * * 13 *
* * * * 7
5-1 * * * *
*/0 * * * *
x * * * *
@never
@every 5
"""


@pytest.mark.parametrize("text", BROKEN.split("\n")[:-1])
def test_what_is_no_schedule(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)


def test_a_day_that_never_comes() -> None:
    assert parse("0 0 31 2 *").next(NOW) is None


def cron(last: float | None = None, created: float = 3600, **spec: object) -> Object:
    status = {"lastScheduleTime": ago(last)} if last is not None else {}
    metadata = {"name": "tick", "namespace": "ns", "uid": "u", "creationTimestamp": ago(created)}
    return {"metadata": metadata, "spec": {"schedule": "*/5 * * * *", **spec}, "status": status}


@pytest.mark.parametrize(
    ("found", "at", "missed"),
    [
        (cron(created=60), when("2026-01-01 12:00"), False),
        (cron(last=0), None, False),
        (cron(last=300), when("2026-01-01 12:00"), False),
        (cron(last=1200), when("2026-01-01 12:00"), False),
        (cron(last=300 * 200), when("2026-01-01 12:00"), True),
        (cron(last=300 * 200, startingDeadlineSeconds=600), when("2026-01-01 12:00"), False),
    ],
)
def test_which_run_is_due(found: Object, at: datetime | None, missed: bool) -> None:
    due = history.due(found, parse("*/5 * * * *"), NOW)
    assert (due.at, due.missed) == (at, missed)


def test_deadlines_and_names() -> None:
    assert history.too_late(cron(startingDeadlineSeconds=60), when("2026-01-01 11:58"), NOW)
    assert not history.too_late(cron(startingDeadlineSeconds=180), when("2026-01-01 11:58"), NOW)
    assert history.job_name(cron(), NOW) == f"tick-{int(NOW.timestamp()) // 60}"


def test_the_job_of_a_run() -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"parallelism": 2}}
    made = job_for(cron(jobTemplate=template, timeZone="Europe/Berlin"), NOW)
    assert meta.labels(made) == {"a": "b"} and made["spec"] == {"parallelism": 2}
    assert meta.annotations(made) == {"batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-01-01T13:00:00+01:00"}


def test_old_runs_are_forgotten() -> None:
    def ended(name: str, kind: str, age: float) -> Object:
        conditions = [{"type": kind, "status": "True"}]
        return {"metadata": {"name": name}, "status": {"startTime": ago(age), "conditions": conditions}}

    jobs = [ended(f"ok{i}", "Complete", i) for i in range(5)] + [ended(f"bad{i}", "Failed", i) for i in range(3)]
    jobs.append({"metadata": {"name": "running"}, "status": {"startTime": ago(999)}})
    assert [meta.name(j) for j in history.to_forget(cron(), jobs)] == ["ok4", "ok3", "bad2", "bad1"]
    assert len(history.to_forget(cron(successfulJobsHistoryLimit=0, failedJobsHistoryLimit=0), jobs)) == 8
