"""HAProxy processes: one for each load balancer, which outlive this process and are found again by their pid file.

Started in master-worker mode, so that a new configuration takes over without a connection lost (SIGUSR2 to the master).
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog

from client.command import CommandError, Commands
from controllers.cloud.provider import CloudError

_STOP_SECONDS = 5.0


class Balancing(Protocol):
    """The narrow interface to HAProxy; `directory` is a balancer's own."""

    async def run(self, directory: Path, config: str) -> None:
        """Make it run with this configuration. Raises CloudError."""

    async def stop(self, directory: Path) -> None:
        """End it and wait until it has gone."""


class HAProxy:
    """The real thing. `on_exit` is told the directory of a process that ended without being asked to."""

    def __init__(self, commands: Commands, on_exit: Callable[[Path], None]) -> None:
        self._commands, self._on_exit = commands, on_exit
        self._watched: dict[Path, int] = {}
        self._log = structlog.get_logger("haproxy")

    async def run(self, directory: Path, config: str) -> None:
        """Make the process run with this configuration: start it, reload it, or leave it alone. Raises CloudError."""
        present = directory / "haproxy.cfg"
        pid = self.pid(directory)
        if pid and present.exists() and present.read_text() == config:
            self._watch(directory, pid)
            return
        new = directory / "haproxy.cfg.new"
        new.write_text(config)
        try:
            await self._commands.run("haproxy", "-c", "-q", "-f", str(new))
            new.replace(present)
            if pid:
                os.kill(pid, signal.SIGUSR2)
                self._log.info("reloaded", directory=directory.name, pid=pid)
            else:
                await self._commands.run(
                    "haproxy", "-W", "-D", "-f", str(present), "-p", str(directory / "haproxy.pid"), timeout=10
                )
                pid = self.pid(directory)
                self._log.info("started", directory=directory.name, pid=pid)
        except (CommandError, ProcessLookupError) as error:
            # The next attempt must not take this configuration for one that runs.
            present.unlink(missing_ok=True)
            raise CloudError(f"HAProxy does not run: {_last_line(str(error))}") from error
        if pid:
            self._watch(directory, pid)

    async def stop(self, directory: Path) -> None:
        """End the process and wait until it has gone."""
        pid = self.pid(directory)
        self._unwatch(directory)
        if not pid:
            return
        gone = asyncio.Event()
        descriptor = os.pidfd_open(pid)
        loop = asyncio.get_running_loop()
        loop.add_reader(descriptor, gone.set)
        try:
            os.kill(pid, signal.SIGTERM)
            async with asyncio.timeout(_STOP_SECONDS):
                await gone.wait()
        except ProcessLookupError:
            pass
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        self._log.info("stopped", directory=directory.name, pid=pid)

    def pid(self, directory: Path) -> int:
        """The master's process id; 0 when none runs. A number that another program has now does not count."""
        try:
            pid = int((directory / "haproxy.pid").read_text().split()[0])
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError, IndexError):
            return 0
        return pid if str(directory / "haproxy.cfg").encode() in words else 0

    def _watch(self, directory: Path, pid: int) -> None:
        if directory in self._watched:
            return
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            self._on_exit(directory)
            return
        self._watched[directory] = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._ended, directory)

    def _ended(self, directory: Path) -> None:
        self._unwatch(directory)
        self._log.warning("ended by itself", directory=directory.name)
        self._on_exit(directory)

    def _unwatch(self, directory: Path) -> None:
        descriptor = self._watched.pop(directory, None)
        if descriptor is not None:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)

    def close(self) -> None:
        """Stop watching; the processes go on."""
        for directory in list(self._watched):
            self._unwatch(directory)


def _last_line(text: str) -> str:
    """HAProxy says much and the reason last but one; the alerts are what people need."""
    alerts = [line for line in text.splitlines() if "[ALERT]" in line]
    return (alerts or text.splitlines() or [text])[0][:300]
