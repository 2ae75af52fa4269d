"""Timers of the machine: put in place with what differs here, and taken away without a trace."""

from __future__ import annotations

from pathlib import Path

from cloudctl.machine.systemd import SOURCE, TARGET, Systemd
from tests.unit.machine.programs import Recorded

UNIT = "cloudlet-certs.timer"


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_timer_is_enabled_as_its_unit_says(tmp_path: Path) -> None:
    commands = Recorded("", "")
    await Systemd(commands, tmp_path).enable_timer("certs")
    assert commands.lines == [("systemctl", "enable", "--quiet", UNIT), ("systemctl", "restart", UNIT)]
    assert names(tmp_path) == []


async def test_what_a_machine_says_otherwise_is_read_before_the_timer_starts(tmp_path: Path) -> None:
    commands = Recorded("", "", "")
    await Systemd(commands, tmp_path).enable_timer("certs", "[Timer]\nOnUnitInactiveSec=7\n")
    assert [line[1] for line in commands.lines] == ["daemon-reload", "enable", "restart"]
    assert (tmp_path / f"{UNIT}.d" / "override.conf").read_text() == "[Timer]\nOnUnitInactiveSec=7\n"


async def test_timers_and_what_differs_here_go(tmp_path: Path) -> None:
    commands = Recorded("", "", "", "")
    (tmp_path / UNIT).touch()
    (tmp_path / f"{UNIT}.d").mkdir()
    (tmp_path / f"{UNIT}.d" / "override.conf").touch()
    (tmp_path / "other.timer").touch()
    systemd = Systemd(commands, tmp_path)
    await systemd.disable_timers()
    await systemd.remove()
    assert commands.lines[0] == ("systemctl", "disable", "--now", "--quiet", UNIT)
    assert commands.lines[1] == ("systemctl", "clean", "--what=state", UNIT)
    assert [line[1] for line in commands.lines[2:]] == ["daemon-reload", "reset-failed"]
    assert names(tmp_path) == ["other.timer"]


async def test_a_target_that_ran_since_the_machine_booted_is_stopped_before_it_goes(tmp_path: Path) -> None:
    commands = Recorded("", "", "")
    (tmp_path / TARGET).touch()
    await Systemd(commands, tmp_path).remove()
    assert commands.lines[0] == ("systemctl", "stop", TARGET) and names(tmp_path) == []


async def test_a_machine_without_timers_needs_no_call(tmp_path: Path) -> None:
    commands = Recorded()
    await Systemd(commands, tmp_path).disable_timers()
    assert commands.lines == []


def test_renewal_comes_before_every_daemon_that_has_certificates_when_the_machine_boots() -> None:
    lines = (SOURCE / "cloudlet-certs.service").read_text().splitlines()
    before = {unit for line in lines if line.startswith("Before=") for unit in line.removeprefix("Before=").split()}
    daemons = {path.name for path in SOURCE.glob("*.service")} - {"cloudlet-certs.service", "cloudlet-snapshot.service"}
    assert before == daemons - {"cloudlet-proxy.service", "cloudlet-vip.service"}  # who have none of their own
