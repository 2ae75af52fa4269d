"""Ports that the daemons are going to listen on, looked up in /proc/net instead of bound: looking must not get in the way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address

from client.command import CommandError
from cloudctl.machine.preflight.finding import API_PORT, Request, Result, error, ok, warning
from cloudctl.machine.preflight.probe import Probe

NODE_PORTS = {10250: "kubelet"}
CONTROL_PLANE_PORTS = {API_PORT: "API server", 2379: "etcd", 2380: "etcd's peers"}
ETCD = (2379, 2380)
_DNS = 53
_LISTEN, _UNCONNECTED = "0A", "07"  # linux/include/net/tcp_states.h; UDP sockets have the latter
_SERVICES = {"etcd": "etcd", "haproxy": "haproxy", "kubelet": "kubelet"}


def listening(probe: Probe, protocol: str) -> Iterator[tuple[str, int]]:
    """Address and port of every socket that takes "tcp" connections or "udp" packets. Source: proc_net_tcp.rst."""
    state = _LISTEN if protocol == "tcp" else _UNCONNECTED
    for file in (f"/proc/net/{protocol}", f"/proc/net/{protocol}6"):
        for line in probe.read(file).splitlines()[1:]:
            words = line.split()
            if len(words) > 3 and words[3] == state:
                address, _, port = words[1].partition(":")
                yield _address(address), int(port, 16)


def _address(text: str) -> str:
    """From the kernel's form: words of 32 bits in the machine's own order, which is little-endian wherever we run."""
    raw = b"".join(bytes.fromhex(text[i : i + 8])[::-1] for i in range(0, len(text), 8))
    found = ip_address(raw)
    return str(getattr(found, "ipv4_mapped", None) or found)


def needed(request: Request) -> dict[int, str]:
    """The role's ports and whose they are."""
    return {**CONTROL_PLANE_PORTS, **NODE_PORTS} if request.control_plane else NODE_PORTS


async def ports(probe: Probe, request: Request) -> list[Result]:
    """Whether they are free."""
    taken = {port for _, port in listening(probe, "tcp")}
    wanted = needed(request)
    results = [await _taken(probe, port, what) for port, what in wanted.items() if port in taken]
    return results or [ok(f"free: {', '.join(map(str, sorted(wanted)))}")]


async def _taken(probe: Probe, port: int, what: str) -> Result:
    name, pid = await _owner(probe, port)
    who = f"{name} (pid {pid})" if name else "another program"
    if name in _SERVICES and probe.exists("/run/systemd/system"):
        return error(f"port {port} of the {what} is taken by {who}", f"`systemctl disable --now {_SERVICES[name]}`")
    return error(f"port {port} of the {what} is taken by {who}", f"`kill {pid}`, if nobody needs it" if pid else "")


async def _owner(probe: Probe, port: int) -> tuple[str, str]:
    try:
        said = await probe.run(
            "ss", "--tcp", "--listening", "--numeric", "--processes", "--no-header", f"sport = :{port}"
        )
    except CommandError:
        return "", ""
    found = re.search(r'users:\(\("([^"]+)",pid=(\d+)', said)
    return (found[1], found[2]) if found else ("", "")


async def dns_port(probe: Probe, request: Request) -> list[Result]:
    """Whether a name server listens on every address: it would have the cluster DNS's as well. 127.0.0.53 is no matter."""
    everywhere = {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound
    for protocol in ("udp", "tcp"):
        if any(port == _DNS and address in everywhere for address, port in listening(probe, protocol)):
            return [warning(f"a name server listens on port {_DNS} of all addresses ({protocol})")]
    return [ok(f"port {_DNS} is free for the cluster DNS")]
