"""Programs that the daemons start."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from cloudctl.machine.preflight.finding import Request, Result, error, ok
from cloudctl.machine.preflight.probe import Probe

# Program → Debian's package.
LOCAL = {
    "ip": "iproute2",
    "nft": "nftables",
    "iptables": "iptables",
    "nsenter": "util-linux",
    "haproxy": "haproxy",
    "mkfs.ext4": "e2fsprogs",
}
"""What a node that is its own cluster needs, apart from etcd."""
WORKER = {
    "ip": "iproute2",
    "nft": "nftables",
    "iptables": "iptables",
    "nsenter": "util-linux",
    "conntrack": "conntrack",
    "sysctl": "procps",
    "mount": "mount",
}
CONTROL_PLANE = {**WORKER, **LOCAL, "losetup": "mount", "etcd": "etcd-server", "etcdctl": "etcd-client"}
_OLDEST_ETCD = (3, 4)


def missing_packages(programs: Mapping[str, str], which: Callable[[str], str | None]) -> list[str]:
    """The packages of the programs that are not there, sorted."""
    return sorted({package for program, package in programs.items() if not which(program)})


async def programs(probe: Probe, request: Request) -> list[Result]:
    """All that the role's daemons need."""
    needed = CONTROL_PLANE if request.control_plane else WORKER
    packages = missing_packages(needed, probe.which)
    if not packages:
        return [ok(f"all {len(needed)} programs are there")]
    missing = [program for program in needed if not probe.which(program)]
    return [error(f"programs are missing: {', '.join(missing)}", f"`apt-get install {' '.join(packages)}`")]


async def etcd_version(probe: Probe, request: Request) -> list[Result]:
    """Whether members can join as learners."""
    if not probe.which("etcd"):
        return []
    said = await probe.run("etcd", "--version")
    numbers = re.search(r"etcd Version: (\d+)\.(\d+)\S*", said)
    if numbers is None:
        raise ValueError("`etcd --version` does not say one")
    text = numbers[0].removeprefix("etcd Version: ")
    if (int(numbers[1]), int(numbers[2])) < _OLDEST_ETCD:
        return [error(f"etcd is {text}, older than {'.'.join(map(str, _OLDEST_ETCD))}")]
    return [ok(f"etcd {text}")]
