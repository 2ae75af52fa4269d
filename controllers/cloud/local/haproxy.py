"""HAProxy processes: one for each load balancer, which outlive this process and are found again by their pid file.

Started in master-worker mode, so that a new configuration takes over without a connection lost (SIGUSR2 to the master). The
master says by sd_notify(3) when it has done so.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import structlog

from client.command import CommandError, Commands
from controllers.cloud.provider import CloudError

_STOP_SECONDS, _READY_SECONDS = 5.0, 15.0
_BIND = re.compile(r"^\s*bind (\S+):(\d+)$", re.MULTILINE)


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
        pid, old = self.pid(directory), present.read_text() if present.exists() else ""
        if pid and old == config:
            self._watch(directory, pid)
            return
        _check_ports(config, old if pid else "")
        new = directory / "haproxy.cfg.new"
        new.write_text(config)
        try:
            await self._commands.run("haproxy", "-c", "-q", "-f", str(new))
            new.replace(present)
            with _notifications(directory) as (name, ready):
                if pid:
                    os.kill(pid, signal.SIGUSR2)
                else:
                    argv = ("haproxy", "-Ws", "-D", "-f", str(present), "-p", str(directory / "haproxy.pid"))
                    log = directory / "haproxy.log"
                    await self._commands.launch(
                        "env", f"NOTIFY_SOCKET={name}", *argv, output=log, timeout=_READY_SECONDS
                    )
                await _wait_ready(ready)
        except (CommandError, ProcessLookupError, TimeoutError) as error:
            # The next attempt must not take this configuration for one that runs.
            present.unlink(missing_ok=True)
            raise CloudError(f"HAProxy does not run: {_alert(str(error))}") from error
        pid = self.pid(directory)
        self._log.info("running", directory=directory.name, pid=pid, reloaded=bool(old))
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


def _check_ports(config: str, old: str) -> None:
    """Raises CloudError for a port that another program has: a reload would fail on it without a word."""
    for address, port in set(_BIND.findall(config)) - set(_BIND.findall(old)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, int(port)))
            except OSError as error:
                raise CloudError(f"cannot listen at {address}:{port}: {error.strerror}") from error


@contextlib.contextmanager
def _notifications(directory: Path) -> Iterator[tuple[str, socket.socket]]:
    """Where the master of this directory tells its state, and the socket to hear it. The name is abstract: unix(7)."""
    name = f"cloudlet-lb-{hashlib.sha256(str(directory).encode()).hexdigest()[:16]}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listening:
        listening.bind(f"\0{name}")
        yield f"@{name}", listening


async def _wait_ready(listening: socket.socket) -> None:
    """Raises TimeoutError."""
    async with asyncio.timeout(_READY_SECONDS):
        while b"READY=1" not in await asyncio.get_running_loop().sock_recv(listening, 4096):
            pass


def _alert(text: str) -> str:
    """HAProxy says much; its alerts are what people need."""
    alerts = [line for line in text.splitlines() if "[ALERT]" in line]
    return (alerts or text.splitlines() or ["no answer in time"])[0][:300]
