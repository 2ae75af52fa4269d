"""The process's outer manners: one JSON object a line on standard error, and systemd's notify protocol (sd_notify(3))."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys

import orjson
import structlog


def _dumps(value: object, **_: object) -> str:
    return orjson.dumps(value, default=str).decode()


def log_to_stderr(level: str) -> None:
    """Set up logging: JSON lines, or aligned text when standard error is a terminal."""
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    pretty = sys.stderr.isatty()
    renderer = structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer(serializer=_dumps)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("httpx", "httpcore", "websockets", "uvicorn.error"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


def notify(state: str) -> None:
    """Tell systemd, e.g. `READY=1`; without it this does nothing."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.connect(address)
            channel.sendall(state.encode())
        except OSError:
            return  # a supervisor that has gone is no reason to fail


def watchdog_seconds() -> float | None:
    """How often systemd wants a sign of life from this process (half of its limit), None when it does not ask."""
    limit, owner = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not limit.isdigit() or (owner and owner != str(os.getpid())):
        return None
    return int(limit) / 2_000_000


async def keep_alive() -> None:
    """Give systemd its signs of life from the event loop, for ever: a loop that hangs gives none."""
    seconds = watchdog_seconds()
    while seconds is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(seconds)
