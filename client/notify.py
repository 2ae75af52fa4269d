"""systemd's readiness protocol: datagrams to `$NOTIFY_SOCKET`. Source: sd_notify(3)."""

from __future__ import annotations

import asyncio
import os
import socket


def notify(*states: str) -> None:
    """Tell the supervisor, e.g. `READY=1`, `STOPPING=1`, `WATCHDOG=1`, `STATUS=...`; nothing happens without one."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.connect(address)
            channel.sendall("\n".join(states).encode())
        except OSError:
            # A supervisor that has gone is no reason for the daemon to fail.
            return


def watchdog_seconds() -> float | None:
    """How often `WATCHDOG=1` is to be sent (half of the supervisor's limit), or None when it does not ask."""
    limit = os.environ.get("WATCHDOG_USEC", "")
    owner = os.environ.get("WATCHDOG_PID", "")
    if not limit.isdigit() or (owner and owner != str(os.getpid())):
        return None
    return int(limit) / 2_000_000


async def keep_alive() -> None:
    """Give signs of life from the event loop, for ever, if they are asked for: a loop that hangs gives none."""
    seconds = watchdog_seconds()
    while seconds:
        notify("WATCHDOG=1")
        await asyncio.sleep(seconds)
