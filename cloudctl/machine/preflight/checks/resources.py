"""Memory, processors, swap and the kernel's limits."""

from __future__ import annotations

from cloudctl.machine.preflight.finding import Request, Result, error, ok, warning
from cloudctl.machine.preflight.probe import Probe

_MIB = 1 << 20
_INSTANCES, _WATCHES = 512, 65536
"""What kind's "Known issues" ask for of instances; watches are one for each file or folder looked at."""
_INOTIFY = "/proc/sys/fs/inotify"


def _available(probe: Probe) -> int:
    """proc(5), meminfo, in bytes."""
    for line in probe.read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise ValueError("/proc/meminfo does not say how much memory is available")


async def memory(probe: Probe, request: Request) -> list[Result]:
    """A control plane's daemons and etcd take about 500 MiB, a worker's 150."""
    wish, least = (1024 * _MIB, 256 * _MIB) if request.control_plane else (512 * _MIB, 128 * _MIB)
    free = _available(probe)
    what = f"{free / _MIB:.0f} MiB of memory are available"
    if free < least:
        return [error(f"{what}, at least {least / _MIB:.0f} are needed")]
    return [warning(f"{what}, {wish / _MIB:.0f} are advisable")] if free < wish else [ok(what)]


async def cores(probe: Probe, request: Request) -> list[Result]:
    """One runs everything, and everything waits for it."""
    count = probe.cores()
    return [ok(f"{count} processors")] if count > 1 else [warning("there is one processor")]


async def swap(probe: Probe, request: Request) -> list[Result]:
    """Whether the kernel may move memory to disk."""
    devices = [line.split()[0] for line in probe.read("/proc/swaps").splitlines()[1:] if line.strip()]
    return [warning(f"swap is on: {', '.join(devices)}")] if devices else [ok("no swap")]


async def inotify(probe: Probe, request: Request) -> list[Result]:
    """Limits that all processes of one user, root's containers included, share."""
    results = []
    for name, wish in (("max_user_instances", _INSTANCES), ("max_user_watches", _WATCHES)):
        value = int(probe.read(f"{_INOTIFY}/{name}").strip() or wish)
        if value < wish:
            setting = f"fs.inotify.{name}"
            remedy = f"`echo {setting}={wish} > /etc/sysctl.d/90-{name}.conf && sysctl -w {setting}={wish}`"
            results.append(warning(f"{setting} is {value}, {wish} are advisable", remedy))
    return results or [ok("the inotify limits are high enough")]
