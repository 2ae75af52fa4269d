"""Where a packet ends in a ruleset, and what is said of a firewall that keeps a node from working."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cloudctl.machine.preflight import Finding, Level, Request, run
from cloudctl.machine.preflight.packets import Firewall, Packet
from cloudctl.machine.settings import Role
from tests.unit.cloudctl.machine.preflight.fake import ADDRESS, FakeMachine, link

_RULESETS = Path(__file__).parent / "rulesets"
WORKER = Request(role=Role.WORKER)
PEER = "192.0.2.10"


def rules(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((_RULESETS / f"{name}.json").read_text())["nftables"]
    return found


def chain(*expressions: list[dict[str, Any]], policy: str = "drop", hook: str = "input") -> list[dict[str, Any]]:
    """A ruleset of one base chain."""
    place = {"family": "inet", "table": "filter"}
    base = {"chain": {**place, "name": "only", "type": "filter", "hook": hook, "prio": 0, "policy": policy}}
    return [base, *({"rule": {**place, "chain": "only", "expr": list(e)}} for e in expressions)]


def match(left: dict[str, Any], right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


ACCEPT: dict[str, Any] = {"accept": None}
SOURCE = {"payload": {"protocol": "ip", "field": "saddr"}}
PORT = {"payload": {"protocol": "tcp", "field": "dport"}}
ENTRY = {"meta": {"key": "iifname"}}


def fate(ruleset: list[dict[str, Any]], packet: Packet, hook: str = "input") -> set[str]:
    """What all chains of a hook together may do with a packet."""
    return set().union(*(verdicts for _, verdicts in Firewall({"nftables": ruleset}).verdicts(hook, packet)))


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (Packet("tcp", 22, PEER), {"accept"}),
        (Packet("tcp", 85, PEER), {"accept"}),
        (Packet("tcp", 91, PEER), {"drop"}),
        (Packet("udp", 22, PEER), {"drop"}),
        (Packet("tcp", 6443, PEER), {"accept"}),
        (Packet("tcp", 6443, "203.0.113.7"), {"accept"}),
        (Packet("tcp", 6443, "203.0.113.8"), {"drop"}),
        (Packet("tcp", 6443, None), {"accept", "drop"}),
        (Packet("tcp", 10250, PEER, entry="eth0"), {"drop"}),
        (Packet("tcp", 10250, PEER, entry="lo"), {"accept"}),
        (Packet("tcp", 10250, PEER, entry=None), {"accept", "drop"}),
        (Packet("icmp", 0, PEER, entry="eth0"), {"accept", "drop"}),
    ],
)
def test_a_packet_is_followed_through_a_table_of_nftables(packet: Packet, expected: set[str]) -> None:
    if packet.entry is None and packet.port != 10250:
        packet = Packet(packet.protocol, packet.port, packet.source, entry="eth0")
    assert fate(rules("server"), packet) == expected


@pytest.mark.parametrize(
    ("source", "entry", "port", "expected"),
    [
        (PEER, "eth0", 22, {"accept"}),
        (PEER, "eth0", 6443, {"drop"}),
        ("10.244.0.2", "clb-00000000", 6443, {"accept"}),
        (PEER, "eth1", 10250, {"accept"}),
    ],
)
def test_a_packet_is_followed_through_jumps_and_gotos(source: str, entry: str, port: int, expected: set[str]) -> None:
    assert fate(rules("firewalld"), Packet("tcp", port, source, entry=entry)) == expected


@pytest.mark.parametrize(
    ("source", "port", "expected"),
    [
        (PEER, 10250, {"accept"}),
        ("203.0.113.5", 22, {"accept"}),
        ("203.0.113.5", 10250, {"accept", "drop"}),
    ],
)
def test_extensions_of_iptables_are_not_guessed_except_established_connections(
    source: str, port: int, expected: set[str]
) -> None:
    assert fate(rules("ufw"), Packet("tcp", port, source, entry="eth0")) == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ([match(SOURCE, {"prefix": {"addr": "192.0.2.0", "len": 24}}), ACCEPT], {"accept"}),
        ([match(SOURCE, {"prefix": {"addr": "192.0.2.0", "len": 24}}, "!="), ACCEPT], {"drop"}),
        ([match(SOURCE, {"range": ["192.0.2.1", "192.0.2.9"]}), ACCEPT], {"drop"}),
        ([match(PORT, {"set": [{"elem": {"val": 6443, "comment": "api"}}]}), ACCEPT], {"accept"}),
        ([match(ENTRY, "eth*"), ACCEPT], {"accept"}),
        ([match({"meta": {"key": "mark"}}, 1), ACCEPT], {"accept", "drop"}),
        ([match({"&": [{"meta": {"key": "mark"}}, 1]}, 1), ACCEPT], {"accept", "drop"}),
        ([match(SOURCE, "@nowhere"), ACCEPT], {"accept", "drop"}),
        ([{"jump": {"target": "nowhere"}}], {"accept", "drop"}),
        ([{"vmap": {"key": {"meta": {"key": "mark"}}, "data": "@m"}}], {"accept", "drop"}),
        ([{"vmap": {"key": PORT, "data": {"set": [[6443, {"accept": None}]]}}}], {"accept"}),
        ([{"counter": {}}, {"log": None}], {"drop"}),
        ([{"xt": {"type": "target", "name": "LOG"}}], {"drop"}),
        ([{"counter": {}}, ACCEPT], {"accept"}),
    ],
)
def test_what_one_rule_does(rule: list[dict[str, Any]], expected: set[str]) -> None:
    assert fate(chain(rule), Packet("tcp", 6443, PEER, entry="eth0")) == expected


def test_a_chain_that_jumps_to_itself_ends() -> None:
    ruleset = chain([{"jump": {"target": "only"}}])
    assert fate(ruleset, Packet("tcp", 1, PEER)) == {"accept", "drop"}


async def findings(ruleset: list[dict[str, Any]], name: str, request: Request = WORKER) -> list[Finding]:
    return [f for f in await run(request, FakeMachine(rules=ruleset)) if f.name == name]


async def test_a_firewall_that_drops_the_ports_for_certain_is_an_error() -> None:
    [found] = await findings(rules("server"), "FirewallInput")
    assert found.level == Level.ERROR
    assert "inet filter input drops: port 10250/tcp (kubelet), 53/udp of pods" in found.what
    assert "nft insert rule inet filter input" in found.remedy


async def test_firewalld_and_ufw_are_mended_with_their_own_commands() -> None:
    [zones, _] = await findings(rules("firewalld"), "FirewallInput", Request())
    assert zones.level == Level.ERROR
    assert "6443/tcp (API server)" in zones.what and "10250" not in zones.what and "of pods" not in zones.what
    assert "firewall-cmd" in zones.remedy
    [ufw] = await findings(rules("ufw"), "FirewallInput")
    assert ufw.level == Level.ERROR
    assert "53/udp" in ufw.what and "10250" not in ufw.what
    assert "ufw allow from" in ufw.remedy


async def test_closed_ports_of_etcd_stop_a_control_plane_that_joins_and_warn_the_first() -> None:
    first, joining = Request(), Request(server=f"{PEER}:6443")
    for request, level in ((first, Level.WARNING), (joining, Level.ERROR)):
        [etcd] = [f for f in await findings(rules("server"), "FirewallInput", request) if "2379" in f.what]
        assert etcd.level == level and "2380" in etcd.what and "6443" not in etcd.what


async def test_a_firewall_that_cannot_be_judged_is_a_warning() -> None:
    [found] = await findings(chain([match({"meta": {"key": "mark"}}, 1), ACCEPT]), "FirewallInput")
    assert found.level == Level.WARNING
    assert "may drop" in found.what


async def test_the_first_server_is_the_peer_whose_packets_must_pass() -> None:
    only_far = chain([match(SOURCE, "203.0.113.9"), ACCEPT], [match(SOURCE, "10.244.0.2"), ACCEPT])
    far = Request(role=Role.WORKER, server="203.0.113.9:6443")
    assert [f.level for f in await findings(only_far, "FirewallInput", far)] == [Level.OK]
    assert [f.level for f in await findings(only_far, "FirewallInput")] == [Level.ERROR]


async def test_docker_s_own_chain_is_the_proxy_s_to_open_and_any_other_is_not() -> None:
    assert [f.level for f in await findings(rules("ufw"), "FirewallForward")] == [Level.OK]
    [found] = await findings(rules("server"), "FirewallForward")
    assert found.level == Level.ERROR and "inet filter forward drops" in found.what
    assert [f.level for f in await findings(rules("firewalld"), "FirewallForward")] == [Level.OK]


async def test_a_machine_without_an_address_of_its_own_is_still_judged() -> None:
    alone = FakeMachine(source="", links=[link("eth0", ADDRESS, 31)], rules=rules("server"))
    found = [f for f in await run(WORKER, alone) if f.name == "FirewallInput"]
    assert [f.level for f in found] == [Level.ERROR]
