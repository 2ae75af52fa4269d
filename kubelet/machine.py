"""What the machine is and has: processors, memory, disk, kernel, addresses. Blocking reads of small files."""

from __future__ import annotations

import os
import platform
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from kubelet.resources import Capacity

_MEMINFO = Path("/proc/meminfo")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def parse_meminfo(text: str) -> dict[str, int]:
    """proc(5), meminfo: name → bytes."""
    result = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            result[name] = int(words[0]) * (1024 if words[-1] == "kB" else 1)
    return result


def memory() -> dict[str, int]:
    """/proc/meminfo now."""
    return parse_meminfo(_MEMINFO.read_text(encoding="ascii"))


@dataclass(frozen=True, slots=True)
class Disk:
    """A filesystem: bytes and inodes, in all and free."""

    total: int
    free: int
    inodes: int
    inodes_free: int


def disk(path: Path) -> Disk:
    """The filesystem a path is on."""
    found = os.statvfs(path)
    usage = shutil.disk_usage(path)
    return Disk(usage.total, usage.free, found.f_files, found.f_favail)


def capacity(root: Path, pods: int, reserved_cpu: int = 0, reserved_memory: int = 0) -> Capacity:
    """What this machine has; a tenth of the disk is kept back, as eviction would begin there."""
    found = disk(root)
    return Capacity(
        cpu=len(os.sched_getaffinity(0)) * 1000,
        memory=memory()["MemTotal"],
        storage=found.total,
        pods=pods,
        inodes=found.inodes,
        reserved_cpu=reserved_cpu,
        reserved_memory=reserved_memory,
        reserved_storage=found.total // 10,
    )


def architecture() -> str:
    """As Go names it: amd64, arm64."""
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def identity() -> dict[str, str]:
    """The parts of nodeInfo that belong to the machine."""
    return {
        "machineID": _read("/etc/machine-id"),
        "systemUUID": _read("/sys/class/dmi/id/product_uuid"),
        "bootID": _read("/proc/sys/kernel/random/boot_id"),
        "architecture": architecture(),
        "operatingSystem": "linux",
    }


def default_address() -> str:
    """The address the machine would use to reach the world, loopback if it has no route. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
