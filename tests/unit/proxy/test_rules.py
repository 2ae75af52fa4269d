"""Where packets go: Services, host ports, policies, affinity. Asked of the ruleset, not read from its text."""

from __future__ import annotations

from typing import Any

import pytest

from api.types import Object
from proxy.base import NODE_IPS, base_rules
from proxy.chains import host_port_rules, service_rules
from proxy.hostports import host_ports
from proxy.ruleset import Ruleset
from proxy.services import service_ports
from proxy.table import Table
from tests.unit.proxy.objects import endpoint, service, slice_of
from tests.unit.proxy.packets import Network, Packet

CIDR = "10.244.0.0/16"
POD, OUTSIDE, NODE, SECOND = "10.244.1.9", "198.51.100.7", "10.98.0.11", "10.98.0.12"
A, B = "10.244.0.5", "10.244.1.5"


def network(*pairs: tuple[Object, list[Object]], pods: tuple[Object, ...] = (), local: str = "n1") -> Network:
    table = Table()
    table.replace("base", base_rules(CIDR))
    table.replace("nodes", Ruleset(elements={(NODE_IPS, NODE): "", (NODE_IPS, SECOND): ""}))
    for svc, slices in pairs:
        ports = service_ports(svc, slices, lambda node: node == local)
        table.replace(f"service {svc['metadata']['name']}", service_rules(ports, CIDR))
    for pod in pods:
        table.replace(f"pod {pod['metadata']['name']}", host_port_rules(host_ports(pod)))
    return Network(table.whole())


def balancer(*, ip_mode: str | None = "VIP", ip: str = "203.0.113.5", **spec: Any) -> Object:
    ingress = {"ip": ip} | ({"ipMode": ip_mode} if ip_mode else {})
    ports = [{"name": "http", "port": 80, "nodePort": 30080, "protocol": "TCP"}]
    return service(type="LoadBalancer", ports=ports, **spec) | {"status": {"loadBalancer": {"ingress": [ingress]}}}


def test_a_cluster_address_leads_to_every_ready_endpoint_and_no_other() -> None:
    net = network((service(), [slice_of(endpoint(A), endpoint(B), endpoint("10.244.0.6", ready=False))]))
    assert net.targets(Packet(POD, "10.96.0.20", 80)) == {f"{A}:8080", f"{B}:8080"}


def test_endpoints_of_several_slices_count_once() -> None:
    net = network((service(), [slice_of(endpoint(A)), slice_of(endpoint(A), endpoint(B))]))
    assert net.targets(Packet(POD, "10.96.0.20", 80)) == {f"{A}:8080", f"{B}:8080"}


def test_pods_keep_their_address_and_the_host_is_masqueraded() -> None:
    net = network((service(), [slice_of(endpoint(A))]))
    assert not net.send(Packet(POD, "10.96.0.20", 80)).masquerade
    assert net.send(Packet("192.0.2.2", "10.96.0.20", 80, from_host=True)).masquerade


def test_a_pod_that_reaches_itself_is_masqueraded() -> None:
    fate = network((service(), [slice_of(endpoint(A))])).send(Packet(A, "10.96.0.20", 80))
    assert (fate.to, fate.masquerade) == (f"{A}:8080", True)


@pytest.mark.parametrize("from_host", [False, True])
def test_a_service_without_endpoints_refuses(from_host: bool) -> None:
    net = network((service(), []))
    assert net.send(Packet(POD, "10.96.0.20", 80, from_host=from_host)).what == "reject"


def test_a_port_that_the_service_does_not_have_is_refused() -> None:
    net = network((service(), [slice_of(endpoint(A))]))
    assert net.send(Packet(POD, "10.96.0.20", 81)).what == "reject"
    assert net.send(Packet(POD, "10.96.0.20", 80, proto="udp")).what == "reject"


def test_tcp_and_udp_share_a_port_number() -> None:
    ports = [{"name": "t", "port": 53, "protocol": "TCP"}, {"name": "u", "port": 53, "protocol": "UDP"}]
    slices = [
        slice_of(endpoint(A), port=5300, port_name="t"),
        slice_of(endpoint(B), port=5301, port_name="u", protocol="UDP"),
    ]
    net = network((service(ports=ports), slices))
    assert net.send(Packet(POD, "10.96.0.20", 53)).to == f"{A}:5300"
    assert net.send(Packet(POD, "10.96.0.20", 53, proto="udp")).to == f"{B}:5301"


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([{"ready": True}, {"ready": False, "serving": True, "terminating": True}], {A}),
        ([{"ready": False, "serving": False}, {"ready": False, "serving": True, "terminating": True}], {B}),
        ([{"ready": False, "serving": False, "terminating": True}, {"ready": False}], set()),
        ([{"serving": True}, {"ready": False}], {A}),
    ],
)
def test_terminating_endpoints_serve_when_nothing_else_does(states: list[dict[str, Any]], expected: set[str]) -> None:
    endpoints = [endpoint(ip, **state) for ip, state in zip((A, B), states, strict=True)]
    net = network((service(), [slice_of(*endpoints)]))
    assert net.targets(Packet(POD, "10.96.0.20", 80)) - {""} == {f"{ip}:8080" for ip in expected}


def test_node_port_answers_at_every_node_address_and_nowhere_else() -> None:
    ports = [{"name": "http", "port": 80, "nodePort": 30080, "protocol": "TCP"}]
    net = network((service(type="NodePort", ports=ports), [slice_of(endpoint(A))]))
    for address in (NODE, SECOND):
        fate = net.send(Packet(OUTSIDE, address, 30080))
        assert (fate.to, fate.masquerade) == (f"{A}:8080", True)
    assert net.send(Packet(OUTSIDE, "10.98.1.1", 30080)).what == "accept"


def test_node_port_without_endpoints_refuses() -> None:
    ports = [{"name": "http", "port": 80, "nodePort": 30080, "protocol": "TCP"}]
    assert network((service(type="NodePort", ports=ports), [])).send(Packet(OUTSIDE, NODE, 30080)).what == "reject"


def test_a_service_that_is_no_longer_of_type_node_port_leaves_its_port() -> None:
    ports = [{"name": "http", "port": 80, "nodePort": 30080, "protocol": "TCP"}]
    net = network((service(type="ClusterIP", ports=ports), [slice_of(endpoint(A))]))
    assert net.send(Packet(OUTSIDE, NODE, 30080)).what == "accept"


def test_external_addresses() -> None:
    net = network((service(externalIPs=["203.0.113.9"]), [slice_of(endpoint(A))]))
    fate = net.send(Packet(OUTSIDE, "203.0.113.9", 80))
    assert (fate.to, fate.masquerade) == (f"{A}:8080", True)


@pytest.mark.parametrize(("ip_mode", "what"), [("VIP", "dnat"), (None, "dnat"), ("Proxy", "accept")])
def test_load_balancer_addresses_of_mode_proxy_are_left_alone(ip_mode: str | None, what: str) -> None:
    net = network((balancer(ip_mode=ip_mode), [slice_of(endpoint(A))]))
    assert net.send(Packet(OUTSIDE, "203.0.113.5", 80)).what == what


def test_source_ranges_guard_the_load_balancer_address() -> None:
    net = network((balancer(loadBalancerSourceRanges=["198.51.100.0/24"]), [slice_of(endpoint(A))]))
    assert net.send(Packet(OUTSIDE, "203.0.113.5", 80)).what == "dnat"
    assert net.send(Packet("192.0.2.77", "203.0.113.5", 80)).what == "drop"
    empty = network((balancer(loadBalancerSourceRanges=["198.51.100.0/24"]), []))
    assert empty.send(Packet(OUTSIDE, "203.0.113.5", 80)).what == "reject"


def test_external_policy_local_keeps_the_client_and_uses_pods_of_this_machine() -> None:
    slices = [slice_of(endpoint(A, "n1"), endpoint(B, "n2"))]
    net = network((balancer(externalTrafficPolicy="Local"), slices))
    for address, port in ((NODE, 30080), ("203.0.113.5", 80)):
        assert net.targets(Packet(OUTSIDE, address, port)) == {f"{A}:8080"}
        assert not net.send(Packet(OUTSIDE, address, port)).masquerade
        assert net.targets(Packet(POD, address, port)) == {f"{A}:8080", f"{B}:8080"}
    host = Packet(NODE, NODE, 30080, from_host=True)
    assert net.targets(host) == {f"{A}:8080", f"{B}:8080"}
    assert net.send(host).masquerade


def test_external_policy_local_without_local_pods_drops_what_comes_from_outside() -> None:
    net = network((balancer(externalTrafficPolicy="Local"), [slice_of(endpoint(B, "n2"))]))
    assert net.send(Packet(OUTSIDE, NODE, 30080)).what == "drop"
    assert net.send(Packet(POD, NODE, 30080)).to == f"{B}:8080"
    assert net.send(Packet(POD, "10.96.0.20", 80)).to == f"{B}:8080"


def test_internal_policy_local() -> None:
    svc = service(internalTrafficPolicy="Local")
    assert network((svc, [slice_of(endpoint(A, "n1"), endpoint(B, "n2"))])).targets(Packet(POD, "10.96.0.20", 80)) == {
        f"{A}:8080"
    }
    assert network((svc, [slice_of(endpoint(B, "n2"))])).send(Packet(POD, "10.96.0.20", 80)).what == "drop"
    assert network((svc, [])).send(Packet(POD, "10.96.0.20", 80)).what == "reject"


def test_internal_policy_local_does_not_narrow_node_ports() -> None:
    ports = [{"name": "http", "port": 80, "nodePort": 30080, "protocol": "TCP"}]
    svc = service(type="NodePort", ports=ports, internalTrafficPolicy="Local")
    net = network((svc, [slice_of(endpoint(A, "n1"), endpoint(B, "n2"))]))
    assert net.targets(Packet(OUTSIDE, NODE, 30080)) == {f"{A}:8080", f"{B}:8080"}


def test_affinity_sends_a_client_where_it_went_before() -> None:
    net = network((service(sessionAffinity="ClientIP"), [slice_of(endpoint(A), endpoint(B))]))
    net.pick = lambda n: 1
    first = net.send(Packet(POD, "10.96.0.20", 80)).to
    net.pick = lambda n: 0
    assert net.send(Packet(POD, "10.96.0.20", 80)).to == first
    assert net.send(Packet("10.244.1.77", "10.96.0.20", 80)).to != first


def test_affinity_time_out_reaches_the_set() -> None:
    config = {"clientIP": {"timeoutSeconds": 60}}
    net = network((service(sessionAffinity="ClientIP", sessionAffinityConfig=config), [slice_of(endpoint(A))]))
    assert any("timeout 60s" in text for name, text in net.ruleset.sets.items() if name.startswith("affinity"))


def test_headless_external_name_and_foreign_services_have_no_rules() -> None:
    for svc in (service(ip="None"), service(type="ExternalName", ip="")):
        assert service_ports(svc, [slice_of(endpoint(A))]) == []
    foreign = service()
    foreign["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": "mesh"}
    assert service_ports(foreign, [slice_of(endpoint(A))]) == []


def test_pods_leave_the_cluster_under_the_machines_address() -> None:
    net = network()
    assert net.send(Packet(POD, "198.51.100.99", 443)).masquerade
    assert not net.send(Packet(POD, A, 80)).masquerade
    assert not net.send(Packet("192.0.2.2", "198.51.100.99", 443, from_host=True)).masquerade


def test_nobody_else_reaches_the_machines_loopback() -> None:
    assert network().send(Packet(POD, "127.0.0.1", 2379)).what == "drop"
    assert network().send(Packet("127.0.0.1", "127.0.0.1", 2379, from_host=True)).what == "accept"


def pod(name: str, ip: str, host_ip: str, *ports: Object, **spec: Any) -> Object:
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [{"ports": list(ports)}], **spec},
        "status": {"podIP": ip, "hostIP": host_ip, "phase": "Running"},
    }


def test_host_ports_differ_by_address_and_protocol() -> None:
    number = {"containerPort": 8080, "hostPort": 54323}
    net = network(
        pods=(
            pod("one", A, NODE, {**number, "hostIP": "127.0.0.1", "protocol": "TCP"}),
            pod("two", B, NODE, {**number, "hostIP": NODE, "protocol": "TCP"}),
            pod("three", "10.244.0.7", NODE, {**number, "hostIP": NODE, "protocol": "UDP"}),
        )
    )
    local = net.send(Packet("127.0.0.1", "127.0.0.1", 54323, from_host=True))
    assert (local.to, local.masquerade) == (f"{A}:8080", True)
    assert net.send(Packet(OUTSIDE, NODE, 54323)).to == f"{B}:8080"
    assert net.send(Packet(OUTSIDE, NODE, 54323, proto="udp")).to == "10.244.0.7:8080"


def test_two_nodes_of_one_machine_have_the_same_host_port_each() -> None:
    port = {"containerPort": 80, "hostPort": 8000}
    net = network(pods=(pod("a", A, NODE, port), pod("b", B, SECOND, port)))
    assert net.send(Packet(OUTSIDE, NODE, 8000)).to == f"{A}:80"
    assert net.send(Packet(OUTSIDE, SECOND, 8000)).to == f"{B}:80"
    assert net.send(Packet("127.0.0.1", "127.0.0.1", 8000, from_host=True)).to == f"{A}:80"
    assert net.send(Packet(A, NODE, 8000)).masquerade


@pytest.mark.parametrize(
    "change", [{"spec": {"hostNetwork": True}}, {"status": {"phase": "Succeeded"}}, {"status": {"podIP": ""}}]
)
def test_pods_without_a_network_of_their_own_have_no_host_ports(change: dict[str, Object]) -> None:
    found = pod("a", A, NODE, {"containerPort": 80, "hostPort": 8000})
    for part, values in change.items():
        found[part].update(values)
    assert host_ports(found) == []
