"""The skeleton of every daemon: logging, signals, readiness, watchdog, health server; a daemon supplies its main.

`run` returns when `main` returns or a signal has stopped it. SIGTERM and SIGINT cancel `main`, which has eight seconds to
clean up; a second signal ends the process at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable

import structlog
import uvloop

from client import logs
from client.health import Check, HealthServer
from client.leader import LostLeadership
from client.notify import keep_alive, notify

_STOP_SECONDS = 8.0


class Daemon:
    """What a daemon's main is given."""

    def __init__(self, name: str, health: HealthServer) -> None:
        self.name = name
        self.log = structlog.get_logger(name)
        self.stopping = asyncio.Event()
        self.health = health

    def ready(self) -> None:
        """Say that the daemon serves: /readyz turns 200, systemd is told."""
        if not self.health.ready:
            self.health.ready = True
            self.log.info("ready", health_port=self.health.port)
            notify("READY=1")

    def add_check(self, name: str, check: Check) -> None:
        """Add to /healthz: `check` returns None, or a sentence about what is wrong. It runs in another thread."""
        self.health.checks[name] = check


Main = Callable[[Daemon], Awaitable[None]]


def identity() -> str:
    """Host and process: unique enough for leader election."""
    return f"{socket.gethostname()}_{os.getpid()}"


def run(
    name: str, main: Main, *, health_address: str = "127.0.0.1", health_port: int = 0, log_level: str = "info"
) -> None:
    """Run a daemon to its end; exits with 1 when it failed."""
    logs.configure(log_level)
    if not uvloop.run(_run(name, main, health_address, health_port)):
        sys.exit(1)


async def _run(name: str, main: Main, address: str, port: int) -> bool:
    loop = asyncio.get_running_loop()
    health = HealthServer(loop, address, port)
    daemon = Daemon(name, health)
    task = asyncio.ensure_future(main(daemon))
    watchdog = asyncio.ensure_future(keep_alive())

    def stop() -> None:
        if daemon.stopping.is_set():
            os._exit(1)
        daemon.stopping.set()
        notify("STOPPING=1")
        daemon.log.info("stopping")
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        return await _finish(daemon, task)
    finally:
        watchdog.cancel()
        await asyncio.to_thread(health.close)


async def _finish(daemon: Daemon, task: asyncio.Future[None]) -> bool:
    """Wait for main to end by itself or, once it is to stop, for as long as it may take. Whether it ended well."""
    stopping = asyncio.ensure_future(daemon.stopping.wait())
    await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if daemon.stopping.is_set():
        await asyncio.wait((task,), timeout=_STOP_SECONDS)
    if not task.done():
        daemon.log.error("did not stop in time", seconds=_STOP_SECONDS)
        return False
    if task.cancelled():
        return daemon.stopping.is_set()
    error = task.exception()
    if isinstance(error, LostLeadership):
        daemon.log.error("ending", error=str(error))
    elif error:
        daemon.log.error("ended by an error", exc_info=error)
    return error is None
