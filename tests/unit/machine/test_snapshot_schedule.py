"""Snapshots at set times: what is written for systemd, what is refused, and what systemd is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.command import CommandError
from cloudctl.machine.snapshots.manifest import SnapshotError
from cloudctl.machine.snapshots.schedule import (
    TIMER,
    Schedule,
    SystemdTimers,
    Times,
    current,
    start,
    stop,
)
from tests.unit.machine.programs import Recorded


class FakeTimers:
    """Knows `daily` and `hourly`, and whether the timer is on."""

    def __init__(self) -> None:
        self.on = False

    async def understands(self, calendar: str) -> None:
        if calendar not in ("daily", "hourly"):
            raise SnapshotError("systemd: no time")

    async def enable(self) -> None:
        self.on = True

    async def disable(self) -> None:
        self.on = False

    async def times(self) -> Times:
        return Times(self.on, "", "", "")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    (tmp_path / "units").mkdir()
    (tmp_path / "units" / TIMER).touch()
    return tmp_path / "units"


async def test_a_schedule_is_remembered_changed_and_forgotten(units: Path, tmp_path: Path) -> None:
    timers, etc = FakeTimers(), tmp_path / "etc"
    assert current(units, etc) is None
    for wanted in (Schedule("daily", Path("/srv/backups")), Schedule("hourly", Path("/mnt/a-b"), 48)):
        await start(wanted, timers, units, etc)
        assert timers.on
        assert current(units, etc) == wanted
    assert (etc / "snapshot.env").read_text() == 'FLAGS="--dir=/mnt/a-b --keep=48"\n'
    override = (units / f"{TIMER}.d" / "schedule.conf").read_text()
    assert override == "[Timer]\nOnCalendar=\nOnCalendar=hourly\n"
    await stop(timers, units, etc)
    assert not timers.on
    assert current(units, etc) is None
    assert not (units / f"{TIMER}.d").exists()
    await stop(timers, units, etc)


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (Schedule("when I like", Path("/srv")), "no time"),
        (Schedule("daily\nOnBootSec=1", Path("/srv")), "is no time"),
        (Schedule("daily", Path("relative")), "a path from / on"),
        (Schedule("daily", Path("/two words")), "without blanks"),
        (Schedule("daily", Path("/srv"), 0), "at least one"),
    ],
)
async def test_what_systemd_could_not_do_is_refused_and_nothing_changes(
    units: Path, tmp_path: Path, wanted: Schedule, why: str
) -> None:
    timers = FakeTimers()
    with pytest.raises(SnapshotError, match=why):
        await start(wanted, timers, units, tmp_path / "etc")
    assert not timers.on
    assert current(units, tmp_path / "etc") is None


async def test_a_machine_without_the_units_is_told_what_puts_them_there(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="cloudctl init"):
        await start(Schedule("daily", Path("/srv")), FakeTimers(), tmp_path, tmp_path)


async def test_systemd_is_asked_for_last_and_next_time() -> None:
    commands = Recorded(
        "ActiveState=active\nLastTriggerUSec=n/a\nNextElapseUSecRealtime=Sat 2026-01-31 00:00:00 UTC\n",
        "Result=success\n",
    )
    times = await SystemdTimers(commands).times()
    assert times == Times(True, "", "Sat 2026-01-31 00:00:00 UTC", "success")


async def test_what_systemd_complains_of_is_passed_on() -> None:
    said = "Failed to parse calendar specification 'x': Invalid argument"
    commands = Recorded(CommandError(("systemd-analyze",), 1, said))
    with pytest.raises(SnapshotError, match=f"systemd: {said}"):
        await SystemdTimers(commands).understands("x")
    assert commands.lines == [("systemd-analyze", "calendar", "--", "x")]
