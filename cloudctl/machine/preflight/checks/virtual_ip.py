"""The virtual IP, where one is wanted: the program that moves it, and the address."""

from __future__ import annotations

import contextlib
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import Any

import orjson

from cloudctl.machine.preflight.checks import network
from cloudctl.machine.preflight.finding import API_PORT, Request, Result, error, ok
from cloudctl.machine.preflight.probe import Probe

PROGRAM, PACKAGE = "keepalived", "keepalived"


async def virtual_ip(probe: Probe, request: Request) -> list[Result]:
    """Nothing where none is wanted. In a cluster that is there the address is taken, and by whom it should be."""
    if not request.virtual_ip:
        return []
    results = []
    if not probe.which(PROGRAM):
        results.append(error(f"the program {PROGRAM} is missing", f"`apt-get install {PACKAGE}`"))
    if complaint := await _complaint(probe, request):
        results.append(error(complaint))
    elif not request.server and (owner := await _owner(probe, request.virtual_ip)):
        results.append(error(f"{request.virtual_ip} is taken by {owner}"))
    return results or [ok(f"{request.virtual_ip} can be the virtual IP")]


async def _complaint(probe: Probe, request: Request) -> str:
    """What is wrong with the address itself; empty if nothing is."""
    try:
        wanted = IPv4Address(request.virtual_ip)
    except AddressValueError:
        return f"{request.virtual_ip!r} is no IPv4 address"
    for what, cidr in (("pods", request.pod_network), ("services", request.service_network)):
        if wanted in IPv4Network(cidr):
            return f"{wanted} is one of the {what}' {cidr}"
    own = await network.node_interface(probe, request)
    if own is None:
        return ""  # the check of the address says so
    if wanted == IPv4Address(own.address):
        return f"{wanted} is this machine's own address"
    if wanted not in own.network or wanted in (own.network.network_address, own.network.broadcast_address):
        return f"{wanted} is no address of the machines' network {own.network} ({own.name})"
    return ""


async def _owner(probe: Probe, address: str) -> str:
    """The hardware address of who has it, empty if nobody answers to ARP."""
    with contextlib.suppress(OSError):
        # Whatever the answer is: to send anything the kernel has to ask for the hardware address.
        await probe.connect(address, API_PORT)
    found: list[dict[str, Any]] = orjson.loads(await probe.run("ip", "-json", "neighbour", "show", address) or "[]")
    return next((str(entry["lladdr"]) for entry in found if "lladdr" in entry), "")
