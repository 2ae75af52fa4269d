"""Disks that are full or slow, for the data of etcd. A node that is a container shares its disk with this machine, so that the
whole disk is never filled or slowed: the data moves to a small file system, and the throttle is for one unit's processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from client.command import CommandError
from tests.lab.machines import Machine

DATA = "/var/lib/cloudlet/etcd"
_KEPT, _BACK = f"{DATA}.kept", f"{DATA}.back"
_ROOM_BYTES = 200 << 20  # etcd allocates its log in pieces of 64 MB
_WRITES_PER_SECOND = 5
_BLKIO = "/sys/fs/cgroup/blkio"
_GROUP = f"{_BLKIO}/cloudlet-lab"
_LIMIT = "blkio.throttle.write_iops_device"
_SECONDS = 120.0
_FILLER = "filler"


class NoThrottle(Exception):
    """The kernel cannot slow this disk down; the text says why."""


@asynccontextmanager
async def small(machine: Machine, unit: str) -> AsyncIterator[str]:
    """The unit's data on a small file system in memory, and back again; the unit is stopped for each move."""
    used = int((await machine.run("du", "--summarize", "--bytes", DATA)).split()[0])
    await machine.run("systemctl", "stop", unit, timeout=_SECONDS)
    try:
        await machine.run("mv", DATA, _KEPT)
        await machine.run("mkdir", DATA)
        await machine.run("mount", "-t", "tmpfs", "-o", f"size={used + _ROOM_BYTES}", "tmpfs", DATA)
        await machine.run("cp", "--archive", f"{_KEPT}/.", DATA, timeout=_SECONDS)
        await machine.run("systemctl", "start", unit, timeout=_SECONDS)
        yield DATA
    finally:
        await _back(machine, unit)


async def _back(machine: Machine, unit: str) -> None:
    """Whatever has been done, the unit's newest data stands on the real disk afterwards, and the unit runs."""
    with suppress(CommandError):  # a unit that cannot start is stopped all the same
        await machine.run("systemctl", "stop", unit, timeout=_SECONDS)
    newest = _KEPT
    if await _succeeds(machine, "mountpoint", "--quiet", DATA):
        await machine.run("rm", "--force", f"{DATA}/{_FILLER}")
        await machine.run("cp", "--archive", DATA, _BACK, timeout=_SECONDS)
        await machine.run("umount", DATA)
        newest = _BACK
    if await _succeeds(machine, "test", "-e", _KEPT):
        if await _succeeds(machine, "test", "-e", DATA):
            await machine.run("rmdir", DATA)
        await machine.run("mv", newest, DATA)
        await machine.run("rm", "--recursive", "--force", _KEPT)
    await machine.run("systemctl", "start", unit, timeout=_SECONDS)


async def _succeeds(machine: Machine, *argv: str) -> bool:
    try:
        await machine.run(*argv)
    except CommandError:
        return False
    return True


async def fill(machine: Machine, folder: str) -> None:
    """Take every byte that is left in a small file system. Raises CommandError."""
    free = (await machine.run("df", "--output=avail", "--block-size=1", folder)).split()[-1]
    if int(free) > 2 * _ROOM_BYTES:
        raise CommandError(("dd", folder), None, f"{folder} has {free} bytes free: that is no small file system")
    # It ends with an error when the disk is full, as it shall; a length given beforehand may be too much a moment later.
    with suppress(CommandError):
        await machine.run("dd", "if=/dev/zero", f"of={folder}/{_FILLER}", "bs=4096", "status=none", timeout=_SECONDS)


@asynccontextmanager
async def throttled(machine: Machine, unit: str) -> AsyncIterator[None]:
    """The unit's main process may write a few times a second. Raises NoThrottle."""
    device = await _device(machine)
    by_hand = await _succeeds(machine, "test", "-w", f"{_BLKIO}/{_LIMIT}")
    async with (_by_hand if by_hand else _by_systemd)(machine, unit, device):
        yield


@asynccontextmanager
async def _by_hand(machine: Machine, unit: str, device: str) -> AsyncIterator[None]:
    """cgroup v1, where systemd leaves the block devices alone: a group of our own."""
    pid = (await machine.run("systemctl", "show", "--property=MainPID", "--value", unit)).strip()
    await machine.run("mkdir", "--parents", _GROUP)
    await machine.run("tee", f"{_GROUP}/{_LIMIT}", stdin=f"{device} {_WRITES_PER_SECOND}".encode())
    await machine.run("tee", f"{_GROUP}/cgroup.procs", stdin=pid.encode())
    try:
        yield
    finally:
        with suppress(CommandError):  # it may have been killed meanwhile
            await machine.run("tee", f"{_BLKIO}/cgroup.procs", stdin=pid.encode())
        await machine.run("rmdir", _GROUP)


@asynccontextmanager
async def _by_systemd(machine: Machine, unit: str, device: str) -> AsyncIterator[None]:
    """cgroup v2: a property of the unit."""
    limit = f"IOWriteIOPSMax=/dev/block/{device}"
    try:
        await machine.run("systemctl", "set-property", "--runtime", unit, f"{limit} {_WRITES_PER_SECOND}")
    except CommandError as error:
        raise NoThrottle(f"systemd cannot limit writes of {unit}: {error.stderr}") from error
    try:
        yield
    finally:
        await machine.run("systemctl", "set-property", "--runtime", unit, "IOWriteIOPSMax=")


async def _device(machine: Machine) -> str:
    """`major:minor` of the disk under etcd's data: an overlay has none, then that of Docker's volumes, on the same disk."""
    for folder in (DATA, "/var/lib/docker"):
        device = (await machine.run("findmnt", "--noheadings", "--output=MAJ:MIN", "--target", folder)).split()[-1]
        if not device.startswith("0:"):
            return device
    raise NoThrottle(f"{DATA} is on no block device")
