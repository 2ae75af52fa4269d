"""This machine as the proxy sees it: its addresses, which nodes run on it, and the settings of the kernel it needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import orjson
import structlog

from api.meta import name as name_of
from api.types import Object
from client.command import CommandError, Commands

DNS_DEVICE = "cloudlet-dns"
SETTINGS = {
    "net.ipv4.ip_forward": "1",
    # Host ports answer at 127.0.0.1 too; the rule in chain raw-prerouting keeps others away from it.
    "net.ipv4.conf.all.route_localnet": "1",
}
# Answers between pods on one bridge must pass conntrack, or the client sees the wrong source.
BRIDGE_SETTINGS = {"net.bridge.bridge-nf-call-iptables": "1"}


@dataclass(frozen=True, slots=True)
class Addresses:
    """The machine's IPv4 addresses, loopback excluded; `primary` is the one packets to the default route carry."""

    all: frozenset[str] = frozenset()
    primary: str = ""


async def addresses(commands: Commands) -> Addresses:
    """What the machine's addresses are now. Raises CommandError."""
    found = set()
    for link in orjson.loads(await commands.run("ip", "-j", "-4", "addr", "show") or "[]"):
        for entry in link.get("addr_info") or ():
            if entry.get("family") == "inet" and not entry["local"].startswith("127."):
                found.add(entry["local"])
    try:
        routes = orjson.loads(await commands.run("ip", "-j", "-4", "route", "get", "198.51.100.1") or "[]")
    except CommandError:
        # No default route: a machine without a network is a fine place for a cluster.
        routes = []
    return Addresses(frozenset(found), next((r["prefsrc"] for r in routes if r.get("prefsrc")), ""))


def internal_ips(node: Object) -> list[str]:
    """A node's IPv4 addresses of type InternalIP."""
    listed = (node.get("status") or {}).get("addresses") or ()
    return [a["address"] for a in listed if a.get("type") == "InternalIP" and ":" not in a.get("address", ":")]


def local_nodes(nodes: Iterable[Object], own: Addresses, hostname: str) -> dict[str, list[str]]:
    """The nodes that run on this machine, with their addresses: the one we are named after, and those whose address is ours."""
    found = {}
    for node in nodes:
        ips = internal_ips(node)
        if name_of(node) == hostname or own.all.intersection(ips):
            found[name_of(node)] = ips
    return found


async def apply_settings(commands: Commands) -> None:
    """Set what forwarding needs. A setting that the kernel does not know is logged and left."""
    log = structlog.get_logger("machine")
    await commands.succeeds("modprobe", "-q", "br_netfilter")
    for name, value in (SETTINGS | BRIDGE_SETTINGS).items():
        try:
            await commands.run("sysctl", "-q", "-w", f"{name}={value}")
        except CommandError as error:
            log.warning("kernel setting not applied", setting=name, error=str(error))


async def add_dns_address(commands: Commands, address: str) -> None:
    """Make the cluster DNS address one of this machine's own, on a device that leads nowhere. Raises CommandError."""
    if not await commands.succeeds("ip", "link", "show", "dev", DNS_DEVICE):
        await commands.run("ip", "link", "add", DNS_DEVICE, "type", "bridge")
    await commands.run("ip", "addr", "replace", f"{address}/32", "dev", DNS_DEVICE)
    await commands.run("ip", "link", "set", DNS_DEVICE, "up")


async def remove_dns_address(commands: Commands) -> None:
    """Undo `add_dns_address`."""
    await commands.succeeds("ip", "link", "del", DNS_DEVICE)
