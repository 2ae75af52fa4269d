"""A clock that jumps for one daemon. Machines that are containers share this machine's clock, which is never moved: libfaketime
tells the daemon another time. It works for programs that ask libc, such as our daemons in Python; etcd and Docker are in Go
and do not. Monotonic time goes on as it is, as after a real jump."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from client.command import CommandError
from tests.lab.machines import Machine

_FOLDERS = ("/usr/lib", "/lib")
_NAME = "libfaketime.so.1"
_STATE = "/run/cloudlet-lab"
_SECONDS = 120.0


class NoFaketime(Exception):
    """The machine has no libfaketime."""


@asynccontextmanager
async def jumped(machine: Machine, unit: str, seconds: int) -> AsyncIterator[None]:
    """The unit's clock jumps while it runs, and jumps back. It is restarted before, to load the library, and after."""
    library = await _library(machine)
    clock, folder = f"{_STATE}/{unit}.clock", f"/run/systemd/system/{unit}.d"
    environment = {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": clock,
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DISABLE_SHM": "1",
    }
    lines = "".join(f"Environment={name}={value}\n" for name, value in environment.items())
    await machine.run("mkdir", "--parents", _STATE, folder)
    await machine.run("tee", clock, stdin=b"+0\n")
    await machine.run("tee", f"{folder}/lab-clock.conf", stdin=f"[Service]\n{lines}".encode())
    try:
        await _restart(machine, unit)
        await machine.run("tee", clock, stdin=f"{seconds:+d}\n".encode())
        yield
        await machine.run("tee", clock, stdin=b"+0\n")
    finally:
        await machine.run("rm", "--recursive", "--force", folder, clock)
        await _restart(machine, unit)


async def _restart(machine: Machine, unit: str) -> None:
    await machine.run("systemctl", "daemon-reload")
    await machine.run("systemctl", "restart", unit, timeout=_SECONDS)


async def _library(machine: Machine) -> str:
    try:
        found = await machine.run("find", *_FOLDERS, "-name", _NAME)
    except CommandError as error:
        raise NoFaketime(str(error)) from error
    if not found.strip():
        raise NoFaketime(f"{machine.name} has no {_NAME}: `apt-get install libfaketime`")
    return found.split()[0]
