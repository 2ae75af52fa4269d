"""The machine's systemd: units put in place, started, stopped, taken away. A unit that does not start says why."""

from __future__ import annotations

import shutil
from pathlib import Path

from client.command import CommandError, Commands
from cloudctl.cluster.state import ClusterError
from cloudctl.together import together

UNITS = Path("/etc/systemd/system")
SOURCE = Path(__file__).resolve().parents[2] / "deploy" / "systemd"
TARGET = "cloudlet.target"
NODE_UNITS = ("kubelet", "proxy")
CONTROL_UNITS = ("etcd", "apiserver", "controllers", "scheduler", "cloud")
VIRTUAL_IP = "vip"
"""Of control planes of a cluster that has a virtual IP, whether the others are services or static pods."""
_START_SECONDS, _STOP_SECONDS, _CALL_SECONDS = 75.0, 60.0, 30.0
_LOG_LINES = "6"


def service(daemon: str) -> str:
    """The unit of a daemon."""
    return f"cloudlet-{daemon}.service"


class Systemd:
    """systemctl, as far as it is needed. Methods raise ClusterError."""

    def __init__(self, commands: Commands, units: Path = UNITS) -> None:
        self._commands, self._units = commands, units

    async def install(self, programs: Path) -> None:
        """Put every unit in place, with the folder that holds Cloudlet's programs."""
        for source in sorted(SOURCE.iterdir()):
            text = source.read_text().replace("/opt/cloudlet/bin", str(programs))
            target = self._units / source.name
            if not target.exists() or target.read_text() != text:
                target.write_text(text)
                target.chmod(0o644)
        await self._call("daemon-reload")

    async def remove(self) -> None:
        """Take the units away, and what systemd remembers of them: the target runs since the machine booted."""
        if (self._units / TARGET).exists():
            await self._call("stop", TARGET)
        for path in sorted(self._units.glob("cloudlet*")):
            if path.suffix in (".service", ".target", ".timer"):
                path.unlink()
            elif path.suffix == ".d":
                shutil.rmtree(path)
        await self._call("daemon-reload")
        await self._commands.succeeds("systemctl", "reset-failed", "cloudlet*")

    async def enable(self, daemons: tuple[str, ...]) -> None:
        """Have these daemons, and no others of ours, start with the machine."""
        await self._call("enable", "--quiet", TARGET, *map(service, daemons))

    async def disable(self, daemons: tuple[str, ...]) -> None:
        """Have them start with the machine no longer."""
        await self._call("disable", "--quiet", TARGET, *map(service, daemons))

    async def enable_timer(self, name: str, override: str = "") -> None:
        """Have a timer run, now and with the machine; `override` is what its unit says otherwise on this machine."""
        unit = f"cloudlet-{name}.timer"
        if override:
            folder = self._units / f"{unit}.d"
            folder.mkdir(exist_ok=True)
            (folder / "override.conf").write_text(override)
            await self._call("daemon-reload")
        await self._call("enable", "--quiet", unit)
        await self._call("restart", unit)

    async def disable_timers(self) -> None:
        """Have none of ours run any more."""
        timers = [path.name for path in sorted(self._units.glob("cloudlet-*.timer"))]
        if timers:
            await self._call("disable", "--now", "--quiet", *timers)
        for timer in timers:
            # When it last ran; most timers do not remember that, and then systemd complains.
            await self._commands.succeeds("systemctl", "clean", "--what=state", timer)

    async def start(self, *daemons: str) -> None:
        """Start what does not run, all at once; return when every one says that it serves."""
        await together(self._start(daemon, "start") for daemon in daemons)

    async def restart(self, *daemons: str) -> None:
        """The same, with daemons that run started anew."""
        await together(self._start(daemon, "restart") for daemon in daemons)

    async def _start(self, daemon: str, how: str) -> None:
        try:
            await self._commands.run("systemctl", how, service(daemon), timeout=_START_SECONDS)
        except CommandError as error:
            raise ClusterError(f"{service(daemon)} does not start:\n{await self.log(daemon)}") from error

    async def stop(self, *daemons: str) -> None:
        """Stop them; return when they have ended. One that is not there counts as stopped."""
        loaded = [daemon for daemon in daemons if (self._units / service(daemon)).exists()]
        if loaded:
            await self._call("stop", *map(service, loaded), timeout=_STOP_SECONDS)

    async def active(self, daemon: str) -> bool:
        """Whether it runs and serves."""
        return await self._commands.succeeds("systemctl", "is-active", "--quiet", service(daemon))

    async def log(self, daemon: str) -> str:
        """The last lines of its journal, indented."""
        try:
            text = await self._commands.run(
                "journalctl", "--unit", service(daemon), "--lines", _LOG_LINES, "--no-pager", "--output=cat",
                timeout=_CALL_SECONDS,
            )  # fmt: skip
        except CommandError as error:
            return f"  ({error})"
        return "\n".join(f"  {line[:400]}" for line in text.splitlines())

    async def _call(self, *argv: str, timeout: float = _CALL_SECONDS) -> None:
        try:
            await self._commands.run("systemctl", *argv, timeout=timeout)
        except CommandError as error:
            raise ClusterError(f"systemd: {error}") from error
