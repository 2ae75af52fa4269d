"""Whether the firewall lets pass what a node needs: a packet of each kind is followed through the rules."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address, ip_network

from client.command import CommandError
from cloudctl.machine.preflight.checks import network, ports
from cloudctl.machine.preflight.finding import API_PORT, Level, Request, Result, error, ok, warning
from cloudctl.machine.preflight.packets import Chain, Firewall, Packet, Verdicts
from cloudctl.machine.preflight.probe import Probe

_POD_BRIDGE = "clb-00000000"
_OUTSIDE = "198.51.100.1"  # RFC 5737
_MANAGED = ("ip filter", "FORWARD")
"""Docker's own chain: the proxy accepts pods' packets at its top, in DOCKER-USER, and sees to it that they stay accepted."""
_LEGACY_TABLES = "/proc/net/ip_tables_names"


async def _firewall(probe: Probe) -> Firewall:
    return Firewall(json.loads(await probe.run("nft", "--json", "list", "ruleset") or "{}"))


async def incoming(probe: Probe, request: Request) -> list[Result]:
    """Other nodes to the daemons' ports, and pods to the cluster DNS and the API server."""
    firewall = await _firewall(probe)
    interface = await network.node_interface(probe, request)
    here = interface.address if interface else None
    entry = interface.name if interface else None
    peer = Packet("tcp", 0, _peer(request, interface), here, entry=entry)
    wanted = {port: (f"{port}/tcp ({what})", replace(peer, port=port)) for port, what in ports.needed(request).items()}
    etcd = [packet for port, packet in wanted.items() if port in ports.ETCD]
    packets = [packet for port, packet in wanted.items() if port not in ports.ETCD]
    pod = Packet("udp", 53, str(ip_network(request.pod_network)[2]), request.dns_address, entry=_POD_BRIDGE)
    packets.append(("53/udp of pods (cluster DNS)", pod))
    if request.control_plane:
        to_server = replace(pod, protocol="tcp", port=API_PORT, destination=here)
        packets.append((f"{API_PORT}/tcp of pods (API server)", to_server))
    results = _judge(firewall, "input", packets, "port")
    # A first control plane works without other members; one that joins does not.
    for result in _judge(firewall, "input", etcd, "port"):
        results.append(result if request.server else replace(result, level=Level.WARNING))
    return results or [ok("the firewall lets nodes and pods in")]


def _peer(request: Request, interface: network.Interface | None) -> str | None:
    """Another node's address: the server's if it is one, else some address of the same network."""
    if request.endpoint is not None:
        host = request.endpoint[0]
        try:
            return str(ip_address(host))
        except ValueError:
            return None
    if interface is None or interface.network.num_addresses < 4:
        return None
    return next(str(a) for a in (interface.network[-2], interface.network[-3]) if str(a) != interface.address)


async def forwarded(probe: Probe, request: Request) -> list[Result]:
    """Packets from pods to the world and to pods of other nodes, and from those to pods of this one."""
    firewall = await _firewall(probe)
    interface = await network.node_interface(probe, request)
    device = interface.name if interface else None
    pods = ip_network(request.pod_network)
    mine, theirs = str(pods[2]), str(pods[-2])
    packets = [
        ("from pods outwards", Packet("tcp", 443, mine, _OUTSIDE, entry=_POD_BRIDGE, exit=device)),
        ("from pods to other nodes' pods", Packet("tcp", 80, mine, theirs, entry=_POD_BRIDGE, exit=device)),
        ("from other nodes' pods to pods", Packet("tcp", 80, theirs, mine, entry=device, exit=_POD_BRIDGE)),
    ]
    return _judge(firewall, "forward", packets, "packets") or [ok("the firewall lets pods' packets through")]


def _judge(firewall: Firewall, hook: str, packets: Iterable[tuple[str, Packet]], noun: str) -> list[Result]:
    """One result per chain that drops, or may drop, some of the packets: an error where it is certain."""
    dropped: dict[tuple[str, str], dict[str, Verdicts]] = {}
    chains: dict[tuple[str, str], Chain] = {}
    for what, packet in packets:
        for chain, verdicts in firewall.verdicts(hook, packet):
            place = chain.table, chain.name
            if "drop" in verdicts and place != _MANAGED:
                chains[place] = chain
                dropped.setdefault(place, {})[what] = verdicts
    return [_result(firewall, chains[place], found, noun) for place, found in dropped.items()]


def _result(firewall: Firewall, chain: Chain, found: dict[str, Verdicts], noun: str) -> Result:
    certain = [what for what, verdicts in found.items() if "accept" not in verdicts]
    what = f"the chain {chain.table} {chain.name} {'drops' if certain else 'may drop'}: {noun} {', '.join(certain or found)}"
    remedy = _remedy(firewall, chain)
    return error(what, remedy) if certain else warning(what, remedy)


def _remedy(firewall: Firewall, chain: Chain) -> str:
    if "firewalld" in chain.table:
        return (
            "`firewall-cmd --permanent --zone=trusted --add-source=CIDR` for the nodes' and the pods' networks, "
            "then `firewall-cmd --reload`; or `systemctl disable --now firewalld`"
        )
    if any(name.startswith("ufw-") for name in firewall.names()):
        return "`ufw allow from CIDR` for the nodes' and the pods' networks, and `ufw default allow routed`"
    return f"`nft insert rule {chain.table} {chain.name} ip saddr CIDR accept` for the nodes' and the pods' networks"


async def iptables_backend(probe: Probe, request: Request) -> list[Result]:
    """Whether rules stand in the old iptables while ours go into nftables: dropped by one is dropped."""
    if "filter" not in probe.read(_LEGACY_TABLES).split() or not probe.which("iptables-legacy"):
        return [ok("no rules stand in the old iptables")]
    try:
        if "nf_tables" not in await probe.run("iptables", "--version"):
            return [ok("iptables is the old one everywhere")]
    except CommandError:
        return []
    rules = await probe.run("iptables-legacy", "-w", "1", "-S")
    if "-P FORWARD DROP" in rules or "-P INPUT DROP" in rules:
        return [error("iptables-legacy drops by default, and `iptables` writes elsewhere (nf_tables)")]
    if "-j DROP" in rules or "-j REJECT" in rules:
        return [warning("iptables-legacy has rules that drop, and `iptables` writes elsewhere (nf_tables)")]
    return [ok("the old iptables drops nothing")]
