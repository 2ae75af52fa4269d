"""Docker as it runs here. When it does not answer, one check says so and the others say nothing."""

from __future__ import annotations

import re
from typing import Any

from client.command import CommandError
from cloudctl.machine.preflight.checks.kernel import controllers
from cloudctl.machine.preflight.finding import Request, Result, error, ok, warning
from cloudctl.machine.preflight.probe import DOCKER_SOCKET, Probe

_OLDEST = (20, 10)
"""Docker of the Engine API 1.41, whose fields the kubelet sends."""
_GOOD_DRIVERS = ("overlay2", "overlayfs", "btrfs", "zfs", "fuse-overlayfs")
_LIMITS = {"MemoryLimit": "memory", "CpuCfsQuota": "CPU", "PidsLimit": "processes"}
_SNAP = "/var/snap/docker"


def complaint(failure: OSError) -> str:
    """What is wrong with Docker's socket, in the words of `cloudctl up`."""
    if isinstance(failure, FileNotFoundError):
        return f"Docker is not running ({DOCKER_SOCKET} is not there)"
    return f"Docker does not answer on {DOCKER_SOCKET} ({failure})"


async def info(probe: Probe) -> dict[str, Any]:
    """What Docker says of itself, nothing when it does not answer."""
    try:
        return await probe.engine()
    except OSError:
        return {}


async def docker(probe: Probe, request: Request) -> list[Result]:
    """Whether it is there at all."""
    try:
        found = await probe.engine()
    except TimeoutError:
        # Busy is not dead.
        return [warning("Docker has not answered within 2 s", "see `journalctl -u docker`, and try again")]
    except OSError as failure:
        if probe.which("dockerd") is None:
            return [error("Docker is not installed", "`apt-get install docker.io`")]
        return [error(complaint(failure))]
    return [ok(f"Docker {found.get('ServerVersion', '')} answers")]


async def version(probe: Probe, request: Request) -> list[Result]:
    """Whether it knows what the kubelet asks for."""
    text = str((await info(probe)).get("ServerVersion") or "")
    numbers = re.match(r"(\d+)\.(\d+)", text)
    if numbers is None:
        return []
    if (int(numbers[1]), int(numbers[2])) < _OLDEST:
        return [error(f"Docker is {text}, older than {'.'.join(map(str, _OLDEST))}")]
    return [ok(f"Docker {text} is new enough")]


async def setup(probe: Probe, request: Request) -> list[Result]:
    """Kinds of installation whose containers cannot be a node's."""
    said = await info(probe)
    if not said:
        return []
    if any("rootless" in option for option in said.get("SecurityOptions") or ()):
        return [error("Docker runs rootless", "run the system's: `systemctl enable --now docker`")]
    if str(said.get("DockerRootDir", "")).startswith(_SNAP):
        return [error("Docker is the snap package", "`snap remove docker && apt-get install docker.io`")]
    return [ok("Docker is the system's own")]


async def storage(probe: Probe, request: Request) -> list[Result]:
    """How layers of images are kept."""
    driver = (await info(probe)).get("Driver")
    if not driver:
        return []
    if driver in _GOOD_DRIVERS:
        return [ok(f"storage driver {driver}")]
    return [warning(f"Docker's storage driver is {driver}")]


async def limits(probe: Probe, request: Request) -> list[Result]:
    """What Docker itself says of the limits it can set."""
    said = await info(probe)
    if not said:
        return []
    missing = [what for field, what in _LIMITS.items() if said.get(field) is False]
    if said.get("CgroupDriver") == "none":
        missing = list(_LIMITS.values())
    return [error(f"Docker cannot limit {', '.join(missing)}")] if missing else [ok("Docker can set limits")]


async def cgroup_driver(probe: Probe, request: Request) -> list[Result]:
    """Whether one alone manages the tree of cgroup v2."""
    driver = (await info(probe)).get("CgroupDriver")
    if not driver:
        return []
    mode, _ = controllers(probe)
    if driver == "cgroupfs" and mode == "v2" and probe.exists("/run/systemd/system"):
        return [warning("Docker's cgroup driver is cgroupfs, with systemd on cgroup v2")]
    return [ok(f"cgroup driver {driver} on cgroup {mode}")]


async def at_boot(probe: Probe, request: Request) -> list[Result]:
    """Whether a reboot brings it back."""
    if not probe.exists("/run/systemd/system") or not await info(probe):
        return []
    for unit in ("docker.service", "docker.socket"):
        try:
            await probe.run("systemctl", "is-enabled", "--quiet", unit)
        except CommandError as failure:
            if failure.code is None:
                raise
            continue
        return [ok(f"{unit} starts at boot")]
    return [warning("Docker is not started at boot")]
