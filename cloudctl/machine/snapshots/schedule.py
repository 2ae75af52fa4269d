"""Snapshots that a systemd timer takes: `cloudlet-snapshot.timer` starts `cloudlet-snapshot.service`."""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from client.command import CommandError, Commands
from cloudctl.machine.snapshots.manifest import SnapshotError

TIMER, SERVICE = "cloudlet-snapshot.timer", "cloudlet-snapshot.service"
KEEP = 7
_FLAGS = "snapshot.env"
_CALENDAR = re.compile(r"[\w*:.,/~ +-]+")
_FOLDER = re.compile(r"/[\w./@+-]*")
"""Folders that need no quotes in a unit's flags."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When snapshots are taken (systemd.time(7), OnCalendar), where they are put, and how many stay."""

    calendar: str
    folder: Path
    keep: int = KEEP


@dataclass(frozen=True, slots=True)
class Times:
    """What the timer has done and will do, in systemd's words; empty for never. `result` is `success` or what failed."""

    active: bool
    last: str
    next: str
    result: str


class Timers(Protocol):
    """systemd, as far as it is needed. Methods raise SnapshotError."""

    async def understands(self, calendar: str) -> None: ...

    async def enable(self) -> None: ...

    async def disable(self) -> None: ...

    async def times(self) -> Times: ...


class SystemdTimers:
    """The machine's own systemd."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    async def understands(self, calendar: str) -> None:
        """Raises SnapshotError when systemd does not know this expression."""
        await self._run("systemd-analyze", "calendar", "--", calendar)

    async def enable(self) -> None:
        """Start the timer, now and with the machine, at the time that is set now."""
        await self._run("systemctl", "daemon-reload")
        await self._run("systemctl", "enable", "--quiet", TIMER)
        await self._run("systemctl", "restart", TIMER)

    async def disable(self) -> None:
        """Stop it. A timer that is not there counts as stopped."""
        if await self._commands.succeeds("systemctl", "cat", TIMER):
            await self._run("systemctl", "disable", "--now", "--quiet", TIMER)
        await self._run("systemctl", "daemon-reload")

    async def times(self) -> Times:
        """What `systemctl show` says of the timer and of the last run."""
        timer = await self._show(TIMER, "ActiveState", "LastTriggerUSec", "NextElapseUSecRealtime")
        service = await self._show(SERVICE, "Result")
        return Times(
            timer["ActiveState"] == "active",
            timer.get("LastTriggerUSec", "").replace("n/a", ""),
            timer.get("NextElapseUSecRealtime", "").replace("n/a", ""),
            service.get("Result", ""),
        )

    async def _show(self, unit: str, *names: str) -> dict[str, str]:
        text = await self._run("systemctl", "show", unit, f"--property={','.join(names)}")
        return dict(line.partition("=")[::2] for line in text.splitlines())

    async def _run(self, *argv: str) -> str:
        try:
            return await self._commands.run(*argv)
        except CommandError as error:
            said = error.stderr.splitlines()[-1] if error.stderr else str(error)
            raise SnapshotError(f"systemd: {said}") from error


async def start(schedule: Schedule, timers: Timers, units: Path, etc: Path) -> None:
    """Take snapshots from now on at these times, instead of at any others. Raises SnapshotError."""
    if not _CALENDAR.fullmatch(schedule.calendar):
        raise SnapshotError(f"{schedule.calendar!r} is no time: say hourly, daily, or as in systemd.time(7)")
    if not _FOLDER.fullmatch(str(schedule.folder)):
        raise SnapshotError(f"{schedule.folder}: a path from / on without blanks or quotes is needed")
    if schedule.keep < 1:
        raise SnapshotError("at least one snapshot must be kept")
    _require_unit(units)
    await timers.understands(schedule.calendar)
    _write(schedule, units, etc)
    await timers.enable()


async def stop(timers: Timers, units: Path, etc: Path) -> None:
    """Take none any more; those that were taken stay."""
    _forget(units, etc)
    await timers.disable()


def current(units: Path, etc: Path) -> Schedule | None:
    """What was decided, None when nothing was."""
    try:
        calendar = _override(units).read_text().splitlines()[-1].removeprefix("OnCalendar=")
        flags = dict(
            word.partition("=")[::2] for word in shlex.split((etc / _FLAGS).read_text().partition("=")[2])[0].split()
        )
        return Schedule(calendar, Path(flags["--dir"]), int(flags["--keep"]))
    except FileNotFoundError:
        return None
    except (IndexError, KeyError, ValueError) as error:
        raise SnapshotError(
            f"{etc / _FLAGS} has been changed by hand: `cloudctl etcd snapshot schedule` mends it"
        ) from error


def _require_unit(units: Path) -> None:
    if not (units / TIMER).exists():
        raise SnapshotError(f"{units / TIMER} is not there: `cloudctl init` and `join` put the units in place")


def _override(units: Path) -> Path:
    return units / f"{TIMER}.d" / "schedule.conf"


def _write(schedule: Schedule, units: Path, etc: Path) -> None:
    etc.mkdir(parents=True, exist_ok=True)
    (etc / _FLAGS).write_text(f'FLAGS="--dir={schedule.folder} --keep={schedule.keep}"\n')
    override = _override(units)
    override.parent.mkdir(exist_ok=True)
    # An empty assignment forgets the time of the unit itself.
    override.write_text(f"[Timer]\nOnCalendar=\nOnCalendar={schedule.calendar}\n")


def _forget(units: Path, etc: Path) -> None:
    shutil.rmtree(_override(units).parent, ignore_errors=True)
    (etc / _FLAGS).unlink(missing_ok=True)
