"""What the kernel can do. The feature is tried in a network namespace of its own, which ends with the trial: what works
counts, not which modules can be listed.
"""

from __future__ import annotations

from client.command import CommandError
from cloudctl.machine.preflight.finding import Request, Result, error, ok, warning
from cloudctl.machine.preflight.probe import Probe

_ALONE = ("unshare", "--net")
# What the proxy's table is made of: verdict maps, nat, masquerading, conntrack and fib.
_RULES = b"""
table ip cloudlet-preflight {
    map services { type ipv4_addr . inet_proto . inet_service : verdict; }
    chain nat { type nat hook prerouting priority -100; ip daddr . meta l4proto . th dport vmap @services; }
    chain post { type nat hook postrouting priority 100; masquerade; }
    chain filter { type filter hook forward priority 0; ct state new meta mark 1 reject; }
}
"""
_BRIDGE_CALLS = "/proc/sys/net/bridge/bridge-nf-call-iptables"
_SETTINGS = {
    "/proc/sys/net/ipv4/ip_forward": "net.ipv4.ip_forward",
    "/proc/sys/net/ipv4/conf/all/route_localnet": "net.ipv4.conf.all.route_localnet",
}
_CONTROLLERS = ("cpu", "memory", "pids")


async def _loadable(probe: Probe, module: str) -> bool:
    try:
        await probe.run("modprobe", "--dry-run", "--quiet", module)
    except CommandError:
        return False
    return True


def _filesystems(probe: Probe) -> set[str]:
    return {line.split()[-1] for line in probe.read("/proc/filesystems").splitlines() if line.strip()}


async def overlayfs(probe: Probe, request: Request) -> list[Result]:
    """The filesystem of Docker's usual storage driver."""
    if "overlay" in _filesystems(probe) or await _loadable(probe, "overlay"):
        return [ok("overlay filesystems work")]
    return [warning("the kernel has no overlay filesystem")]


async def _tried(probe: Probe, trial: tuple[str, ...], feature: str, stdin: bytes | None = None) -> Result:
    try:
        await probe.run(*_ALONE, *trial, stdin=stdin)
    except CommandError as failure:
        if failure.code is None or failure.stderr.startswith("unshare:"):
            # It was not the feature that failed.
            return warning(f"{feature}: cannot be tried ({failure.stderr})", "install util-linux, and be root")
        return error(f"{feature} do not work ({failure.stderr})")
    return ok(f"{feature} work")


async def bridges(probe: Probe, request: Request) -> list[Result]:
    """Bridges and veth pairs, which pods hang on."""
    trial = ("ip", "-batch", "-")
    lines = b"link add cl0 type bridge\nlink add cl1 type veth peer name cl2\nlink set cl1 master cl0\n"
    return [await _tried(probe, trial, "bridges and veth pairs", lines)]


async def nftables(probe: Probe, request: Request) -> list[Result]:
    """The rules that the proxy writes."""
    return [await _tried(probe, ("nft", "-f", "-"), "nftables rules of the kind that Services need", _RULES)]


async def bridge_netfilter(probe: Probe, request: Request) -> list[Result]:
    """Whether packets between pods of one node can be made to pass conntrack; the proxy loads and sets it."""
    if probe.exists(_BRIDGE_CALLS):
        if probe.read(_BRIDGE_CALLS).strip() == "1" or probe.writable(_BRIDGE_CALLS):
            return [ok("packets on bridges pass conntrack")]
        return [error(f"{_BRIDGE_CALLS} is 0 and read-only", "`sysctl -w net.bridge.bridge-nf-call-iptables=1`")]
    if await _loadable(probe, "br_netfilter"):
        return [ok("br_netfilter can be loaded")]
    return [error("br_netfilter is neither loaded nor to be found")]


async def forwarding(probe: Probe, request: Request) -> list[Result]:
    """Kernel settings that the proxy sets when it starts: only a read-only /proc/sys keeps it from that."""
    results = [
        error(f"{name} is not 1 and cannot be set", f"`sysctl -w {name}=1`")
        for path, name in _SETTINGS.items()
        if probe.read(path).strip() != "1" and not probe.writable(path)
    ]
    return results or [ok("IP forwarding can be switched on")]


async def loop_devices(probe: Probe, request: Request) -> list[Result]:
    """What the local provider makes PersistentVolumes of."""
    missing = []
    if not probe.exists("/dev/loop-control") and not await _loadable(probe, "loop"):
        missing.append("/dev/loop-control is not there")
    if "ext4" not in _filesystems(probe) and not await _loadable(probe, "ext4"):
        missing.append("the kernel has no ext4")
    return [warning(", ".join(missing))] if missing else [ok("loop devices and ext4 are there")]


def controllers(probe: Probe) -> tuple[str, set[str]]:
    """The cgroup mode, v1 or v2, and the controllers that containers can have in it."""
    mounts = [line.split() for line in probe.read("/proc/self/mounts").splitlines()]
    v1 = {option for mount in mounts if len(mount) > 3 and mount[2] == "cgroup" for option in mount[3].split(",")}
    v1 &= set(_CONTROLLERS)
    if v1:
        return "v1", v1
    return "v2", set(probe.read("/sys/fs/cgroup/cgroup.controllers").split())


async def cgroups(probe: Probe, request: Request) -> list[Result]:
    """Whether requests and limits can be enforced. Both modes are fine."""
    mode, have = controllers(probe)
    missing = [name for name in _CONTROLLERS if name not in have]
    if not missing:
        return [ok(f"cgroup {mode} with {', '.join(_CONTROLLERS)}")]
    remedy = "add `cgroup_enable=memory` to the kernel's command line and reboot" if "memory" in missing else ""
    return [error(f"cgroup {mode} without the controllers {', '.join(missing)}", remedy)]
