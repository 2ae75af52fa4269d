"""Disks: how soon a write is safe, how much room there is, what kind of filesystem it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from cloudctl.machine.preflight.checks.engine import info
from cloudctl.machine.preflight.finding import Level, Request, Result, error, ok, warning
from cloudctl.machine.preflight.probe import Probe, Space

_SYNC_LIMIT = 0.010
_GIB, _MIB = 1 << 30, 1 << 20
_PRESSURE = 0.05
"""Below this share of free bytes a kubelet reports DiskPressure, and no pod is scheduled to its node."""
_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs", "fuse.glusterfs")
_MEMORY = ("tmpfs", "ramfs")


def percentile(times: Sequence[float], share: float) -> float:
    """The least of the times that `share` of them do not exceed (nearest rank)."""
    return sorted(times)[max(0, math.ceil(share * len(times)) - 1)]


async def fsync_latency(probe: Probe, request: Request) -> list[Result]:
    """etcd's own rule: 99 of 100 fdatasyncs of its log end within 10 ms."""
    times = await probe.sync_times(request.home / "etcd")
    if not times:
        return []
    slow = percentile(times, 0.99)
    what = f"99% of {len(times)} small writes to {request.home / 'etcd'} were on disk within {slow * 1000:.1f} ms"
    return [ok(what) if slow <= _SYNC_LIMIT else warning(f"{what}, not {_SYNC_LIMIT * 1000:g}")]


async def free_space(probe: Probe, request: Request) -> list[Result]:
    """Room for data, images and temporary files."""
    docker = (await info(probe)).get("DockerRootDir") or "/var/lib/docker"
    data = _room(probe, request.home, 5 * _GIB if request.control_plane else _GIB, 512 * _MIB, pressure=True)
    images = _room(probe, Path(docker), 5 * _GIB, 512 * _MIB)
    results = [data, images, _room(probe, Path("/tmp"), 100 * _MIB, 10 * _MIB)]  # noqa: S108 - looked at only
    worse = [result for result in results if result.level != Level.OK]
    return worse or [ok(", ".join(result.what for result in results))]


def _room(probe: Probe, path: Path, wish: int, least: int, *, pressure: bool = False) -> Result:
    space = probe.space(path)
    what = f"{path}: {_size(space.free)} free"
    if space.free < least:
        return error(f"{what}, at least {_size(least)} are needed")
    if pressure and space.free < _PRESSURE * space.total:
        return error(f"{what}, less than {_PRESSURE:.0%} of {_size(space.total)}: the node would report DiskPressure")
    if space.free < wish:
        return warning(f"{what}, {_size(wish)} are advisable")
    if _few_inodes(space):
        return warning(
            f"{path}: {space.inodes_free} of {space.inodes} inodes free", f"`du --inodes -x {path}` finds them"
        )
    return ok(what)


def _few_inodes(space: Space) -> bool:
    return space.inodes > 0 and space.inodes_free < _PRESSURE * space.inodes


def _size(count: int) -> str:
    return f"{count / _GIB:.1f} GiB" if count >= _GIB else f"{count / _MIB:.0f} MiB"


def filesystem(probe: Probe, path: Path) -> str:
    """The type of the filesystem that a path is on, empty if unknown."""
    best = ("", "")
    for line in probe.read("/proc/self/mounts").splitlines():
        words = line.split()
        if len(words) > 2 and PurePosixPath(path).is_relative_to(words[1]) and len(words[1]) >= len(best[0]):
            best = (words[1], words[2])
    return best[1]


async def data_filesystem(probe: Probe, request: Request) -> list[Result]:
    """Filesystems that do not keep data, or not as etcd and Docker expect."""
    kind = filesystem(probe, request.home)
    if kind in _NETWORK:
        return [warning(f"{request.home} is on a network filesystem ({kind})")]
    if kind in _MEMORY:
        return [warning(f"{request.home} is in memory ({kind}) and is lost at a reboot")]
    return [ok(f"{request.home} is on {kind or 'a filesystem of unknown type'}")]
