"""Names and addresses of this machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_address, ip_network
from typing import Any

import orjson

from client.command import CommandError
from cloudctl.machine.preflight.finding import Request, Result, error, ok, warning
from cloudctl.machine.preflight.probe import Probe

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_NODE_NAME_BYTES, _LABEL_BYTES = 253, 63
_RESERVED = ("localhost", "localhost.localdomain", "localhost6", "(none)")
_POD_MTU = 1500
"""What the kubelet gives a pod's interface."""
_OUR_PROTOCOL = "117"
_OUR_DEVICES = ("clb-", "clv", "cloudlet")
_NAT_OF_VMS = "10.0.2.15"
"""VirtualBox and QEMU give it to every VM behind their default NAT."""


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface with one of its IPv4 addresses."""

    name: str
    address: str
    network: IPv4Network
    mtu: int


async def interfaces(probe: Probe) -> list[Interface]:
    """Every IPv4 address, loopback's excluded. Raises CommandError."""
    links: list[dict[str, Any]] = orjson.loads(await probe.run("ip", "-json", "-4", "address", "show") or "[]")
    return [
        Interface(link["ifname"], entry["local"], network, int(link.get("mtu", _POD_MTU)))
        for link in links
        for entry in link.get("addr_info") or ()
        if entry.get("family") == "inet"
        and not entry["local"].startswith("127.")
        and (network := IPv4Network(f"{entry['local']}/{entry['prefixlen']}", strict=False))
    ]


async def _routes(probe: Probe, *question: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = orjson.loads(await probe.run("ip", "-json", "-4", "route", *question) or "[]")
    return found


async def node_address(probe: Probe, request: Request) -> str:
    """The one asked for, else the one towards the default route, else nothing."""
    if request.address:
        return request.address
    try:
        return next((str(r["prefsrc"]) for r in await _routes(probe, "get", "198.51.100.1") if r.get("prefsrc")), "")
    except CommandError:
        return ""


async def node_interface(probe: Probe, request: Request) -> Interface | None:
    """The interface with that address."""
    chosen = await node_address(probe, request)
    return next((found for found in await interfaces(probe) if found.address == chosen), None)


def node_name(probe: Probe, request: Request) -> str:
    """The one asked for, else the host's in small letters."""
    return request.node_name or probe.hostname().lower()


async def node_name_valid(probe: Probe, request: Request) -> list[Result]:
    """RFC 1123, as the API server holds names of nodes to it."""
    name = node_name(probe, request)
    labels = name.split(".")
    if name in _RESERVED:
        return [error(f"the node would be called {name!r}, like any other machine")]
    if len(name) > _NODE_NAME_BYTES or not all(_LABEL.fullmatch(part) and len(part) <= _LABEL_BYTES for part in labels):
        return [error(f"{name!r} cannot be a node's name: letters a-z, digits, '-' and '.' alone (RFC 1123)")]
    return [ok(f"the node is called {name}")]


async def hostname_resolves(probe: Probe, request: Request) -> list[Result]:
    """Where the machine's own name leads. 127.0.1.1, Debian's habit, hurts nobody: we do not use the name for an address."""
    name = probe.hostname()
    try:
        found = await probe.resolve(name)
    except OSError as failure:
        return [warning(f"the host name {name} does not resolve ({failure})")]
    own = {interface.address for interface in await interfaces(probe)}
    foreign = [a for a in found if ":" not in a and not ip_address(a).is_loopback and a not in own]
    if foreign:
        return [warning(f"the host name {name} resolves to {', '.join(foreign)}, which is not this machine")]
    return [ok(f"{name} resolves to {', '.join(found)}")]


async def address(probe: Probe, request: Request) -> list[Result]:
    """Whether it is clear, and right, under which address the others find this node."""
    found = await interfaces(probe)
    chosen = await node_address(probe, request)
    if not chosen:
        return [error("there is no default route, so no address can be chosen")]
    if request.address and request.address not in {interface.address for interface in found}:
        have = ", ".join(f"{i.address} ({i.name})" for i in found) or "none"
        return [error(f"{request.address} is not an address of this machine", f"`--address` with one of: {have}")]
    if ip_address(chosen).is_link_local or ip_address(chosen).is_loopback:
        return [error(f"{chosen} cannot be reached by others")]
    if chosen == _NAT_OF_VMS:
        return [warning(f"{chosen} is what every VM behind VirtualBox's or QEMU's NAT has")]
    if not request.address and len(devices := await _default_devices(probe)) > 1:
        return [warning(f"the default routes of {', '.join(devices)} are equally good, {chosen} was taken by chance")]
    return [ok(f"the node's address is {chosen}")]


async def _default_devices(probe: Probe) -> list[str]:
    """The devices of the best default routes."""
    routes = [(int(r.get("metric", 0)), str(r["dev"])) for r in await _routes(probe, "show", "default") if "dev" in r]
    return sorted({device for metric, device in routes if metric == min(routes)[0]})


async def address_ranges(probe: Probe, request: Request) -> list[Result]:
    """Whether a network that is reached from here has addresses which the cluster is going to use."""
    results = []
    for what, cidr in (("pods", request.pod_network), ("services", request.service_network)):
        for route in await _routes(probe, "show"):
            if _is_ours(route) or route["dst"] == "default":
                continue
            if ip_network(cidr).overlaps(ip_network(route["dst"])):
                device = route.get("dev", "?")
                results.append(error(f"the network {route['dst']} behind {device} overlaps with the {what}' {cidr}"))
    return results or [ok("no other network uses the cluster's addresses")]


def _is_ours(route: dict[str, Any]) -> bool:
    return str(route.get("protocol")) == _OUR_PROTOCOL or str(route.get("dev", "")).startswith(_OUR_DEVICES)


async def mtu(probe: Probe, request: Request) -> list[Result]:
    """Whether a pod's largest packet fits through the node's interface."""
    found = await node_interface(probe, request)
    if found is None:
        return []
    if found.mtu < _POD_MTU:
        return [warning(f"{found.name} takes packets of {found.mtu} bytes, pods send {_POD_MTU}")]
    return [ok(f"packets of {found.mtu} bytes fit through {found.name}")]
