"""Pure parts about the machine: local nodes, routes, flows to forget, netlink messages."""

from __future__ import annotations

import struct

from api.types import Object
from proxy import conntrack, routes
from proxy.conntrack import Flow
from proxy.machine import Addresses, local_nodes
from proxy.netlink import TableEvent, parse_tables
from proxy.services import service_ports
from tests.unit.proxy.objects import endpoint, service, slice_of


def node(name: str, ip: str, cidr: str = "", **meta: str) -> Object:
    addresses = [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": ip}]
    return {"metadata": {"name": name, **meta}, "spec": {"podCIDR": cidr}, "status": {"addresses": addresses}}


def test_nodes_of_this_machine_are_those_with_its_addresses_and_the_named_one() -> None:
    nodes = [node("a", "10.98.0.11"), node("b", "10.98.0.12"), node("c", "192.0.2.9"), node("me", "192.0.2.8")]
    own = Addresses(frozenset({"10.98.0.11", "10.98.0.12"}))
    assert local_nodes(nodes, own, "me").keys() == {"a", "b", "me"}


def test_routes_lead_to_other_machines_only() -> None:
    nodes = [
        node("a", "10.98.0.11", "10.244.0.0/24"),
        node("c", "192.0.2.9", "10.244.2.0/24"),
        node("d", "192.0.2.10"),
        node("e", "192.0.2.11", "10.244.3.0/24", deletionTimestamp="2026-01-01T00:00:00Z"),
    ]
    assert routes.desired(nodes, {"a": []}) == {"10.244.2.0/24": "192.0.2.9"}


def test_flows_to_an_endpoint_that_left_are_forgotten_and_tcp_is_left_alone() -> None:
    def ports(protocol: str, *ips: str) -> list[object]:
        spec = [{"name": "http", "port": 53, "nodePort": 30053, "protocol": protocol}]
        part = slice_of(*map(endpoint, ips), protocol=protocol)
        return service_ports(service(type="NodePort", ports=spec), [part])  # type: ignore[return-value]

    both, one, none = (ports("UDP", *ips) for ips in (("10.244.0.1", "10.244.0.2"), ("10.244.0.2",), ()))
    gone = "10.244.0.1"
    assert conntrack.stale(both, one) == {Flow(53, "10.96.0.20", gone), Flow(30053, "", gone)}  # type: ignore[arg-type]
    assert conntrack.stale(none, one) == {Flow(53, "10.96.0.20"), Flow(30053)}  # type: ignore[arg-type]
    assert conntrack.stale(one, both) == set()  # type: ignore[arg-type]
    assert conntrack.stale(ports("TCP", gone), ports("TCP")) == set()  # type: ignore[arg-type]


def message(kind: int, family: int, table: str, attribute: int = 1) -> bytes:
    name = table.encode() + b"\0"
    body = struct.pack("=BBH", family, 0, 0) + struct.pack("=HH", 4 + len(name), attribute) + name
    data = struct.pack("=IHHII", 16 + len(body), 10 << 8 | kind, 0, 0, 0) + body
    return data + b"\0" * (-len(data) % 4)


def test_netlink_messages_name_their_table() -> None:
    data = message(2, 1, "cloudlet") + message(6, 2, "filter") + message(15, 0, "generation", 3)
    assert list(parse_tables(data)) == [TableEvent("inet", "cloudlet", True), TableEvent("ip", "filter", False)]


def test_cut_off_netlink_messages_are_left_out() -> None:
    whole = message(6, 2, "filter")
    for end in range(len(whole)):
        assert len(list(parse_tables(whole[:end]))) <= 1
    assert list(parse_tables(b"\0" * 64)) == []
