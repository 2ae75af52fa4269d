"""The rules in a real kernel, with real TCP and UDP between namespaces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from client.command import Commands
from proxy import conntrack
from proxy.base import NODE_IPS, base_rules
from proxy.chains import host_port_rules, service_rules
from proxy.conntrack import Conntrack
from proxy.hostports import host_ports
from proxy.nft import KernelNft
from proxy.ruleset import Present, Ruleset, deletions
from proxy.services import ServicePort, service_ports
from proxy.syncer import remove_table
from proxy.table import Table
from tests.node.proxy.lab import Lab, usable
from tests.unit.proxy.objects import endpoint, service, slice_of

pytestmark = pytest.mark.skipif(not usable(), reason="needs root for network namespaces")
CIDR, VIP = "10.244.0.0/16", "10.96.0.20"
PORTS = [{"name": "http", "port": 80, "nodePort": 30080, "protocol": "TCP"}]


class Machine:
    """The lab with the proxy's table in its host."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.table = lab, Table()
        self.nft = KernelNft(Commands(lab.prefix()))
        self.table.replace("base", base_rules(CIDR))
        self.table.replace("nodes", Ruleset(elements={(NODE_IPS, lab.NODE): "", (NODE_IPS, "198.51.100.1"): ""}))

    async def start(self) -> None:
        await self.nft.apply(self.table.take_all(Present()).text)

    async def set(
        self, endpoints: tuple[str, ...], *, udp: bool = False, local: str = "n1", **spec: Any
    ) -> list[ServicePort]:
        proto = "UDP" if udp else "TCP"
        ports = [{**PORTS[0], "protocol": proto}]
        addresses = [endpoint(self.lab.pods[name]) for name in endpoints]
        svc = service(ip=VIP, **({"type": "NodePort", "ports": ports} | spec))
        found = service_ports(svc, [slice_of(*addresses, protocol=proto)], lambda node: node == local)
        self.table.replace("web", service_rules(found, CIDR))
        await self.nft.apply(self.table.take().text)
        return found


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        for name in lab.pods:
            lab.serve(name, 8080)
            lab.serve(name, 8080, "udp")
        yield lab


@pytest.fixture
async def machine(lab: Lab) -> Machine:
    machine = Machine(lab)
    await machine.start()
    return machine


@pytest.mark.parametrize("proto", ["tcp", "udp"])
async def test_a_cluster_address_answers_from_pods_host_and_the_pod_itself(machine: Machine, proto: str) -> None:
    lab = machine.lab
    await machine.set(("a", "b"), udp=proto == "udp")
    names = Counter(answer.split()[0] for answer in lab.ask("a", VIP, 80, proto, times=40))
    assert set(names) == {"a", "b"}
    from_host = lab.ask(lab.HOST, VIP, 80, proto, times=4)
    assert {line.split()[1] for line in from_host} == {lab.GATEWAY}
    await machine.set(("a",), udp=proto == "udp")
    # Through its own Service a pod sees the gateway as its client, else it would answer itself past the rewriting.
    assert lab.ask("a", VIP, 80, proto) == [f"a {lab.GATEWAY}"]
    assert lab.ask("b", VIP, 80, proto) == [f"a {lab.pods['b']}"]


@pytest.mark.parametrize("proto", ["tcp", "udp"])
async def test_without_endpoints_a_client_hears_so_at_once(machine: Machine, proto: str) -> None:
    await machine.set((), udp=proto == "udp")
    for where in ("a", machine.lab.HOST):
        assert machine.lab.ask(where, VIP, 80, proto) == ["refused"]
        assert machine.lab.ask(where, machine.lab.NODE, 30080, proto) == ["refused"]
    assert machine.lab.ask(machine.lab.OUTSIDE, "198.51.100.1", 30080, proto) == ["refused"]


async def test_a_port_that_the_service_does_not_have_is_refused(machine: Machine) -> None:
    await machine.set(("a",))
    assert machine.lab.ask("b", VIP, 81) == ["refused"]
    assert machine.lab.ask(machine.lab.HOST, VIP, 81) == ["refused"]


@pytest.mark.parametrize("proto", ["tcp", "udp"])
async def test_a_node_port_answers_outside_and_inside(machine: Machine, proto: str) -> None:
    lab = machine.lab
    await machine.set(("a", "b"), udp=proto == "udp")
    assert lab.ask(lab.OUTSIDE, "198.51.100.1", 30080, proto)[0].split()[1] == lab.GATEWAY
    for where in (lab.HOST, "a"):
        assert lab.ask(where, lab.NODE, 30080, proto)[0].split()[0] in ("a", "b")


async def test_external_policy_local_shows_the_client_to_the_pod(machine: Machine) -> None:
    lab = machine.lab
    await machine.set(("a",), externalTrafficPolicy="Local")
    assert lab.ask(lab.OUTSIDE, "198.51.100.1", 30080) == [f"a {lab.CLIENT}"]
    await machine.set(("a",), externalTrafficPolicy="Local", local="elsewhere")
    assert lab.ask(lab.OUTSIDE, "198.51.100.1", 30080, wait=0.3) == ["timeout"]


async def test_affinity_keeps_a_client_at_its_endpoint_until_that_goes(machine: Machine) -> None:
    await machine.set(("a", "b"), sessionAffinity="ClientIP")
    names = {answer.split()[0] for answer in machine.lab.ask("a", VIP, 80, times=20)}
    assert len(names) == 1
    other = ({"a", "b"} - names).pop()
    await machine.set((other,), sessionAffinity="ClientIP")
    assert {answer.split()[0] for answer in machine.lab.ask("a", VIP, 80, times=5)} == {other}


async def test_affinity_outlives_a_restart_of_the_proxy(machine: Machine) -> None:
    await machine.set(("a", "b"), sessionAffinity="ClientIP")
    (first,) = machine.lab.ask("a", VIP, 80)
    for _ in range(4):
        await machine.nft.apply(machine.table.take_all(await machine.nft.present()).text)
        assert machine.lab.ask("a", VIP, 80) == [first]


async def test_a_udp_flow_leaves_an_endpoint_that_has_gone(machine: Machine) -> None:
    lab = machine.lab
    before = await machine.set(("a",), udp=True)
    assert lab.ask("b", VIP, 80, "udp", bind="0.0.0.0:5555") == [f"a {lab.pods['b']}"]
    after = await machine.set(("b",), udp=True)
    flows = conntrack.stale(before, after)
    await Conntrack(Commands(lab.prefix())).forget(flows)
    assert lab.ask("b", VIP, 80, "udp", bind="0.0.0.0:5555") == [f"b {lab.GATEWAY}"]


async def test_pods_leave_the_cluster_under_the_hosts_address(machine: Machine) -> None:
    lab = machine.lab
    lab.serve(lab.OUTSIDE, 9000)
    assert lab.ask("a", lab.CLIENT, 9000) == ["outside 198.51.100.1"]
    assert lab.ask("a", lab.pods["b"], 8080) == [f"b {lab.pods['a']}"]


async def test_host_ports(machine: Machine) -> None:
    lab = machine.lab

    def pod(name: str, host_ip: str, proto: str = "TCP") -> dict[str, Any]:
        port = {"containerPort": 8080, "hostPort": 54323, "hostIP": host_ip, "protocol": proto}
        return {
            "metadata": {"name": f"{name}-{proto.lower()}", "namespace": "default"},
            "spec": {"containers": [{"ports": [port]}]},
            "status": {"podIP": lab.pods[name], "hostIP": lab.NODE, "phase": "Running"},
        }

    for found in (pod("a", "127.0.0.1"), pod("b", lab.NODE), pod("b", lab.NODE, "UDP")):
        machine.table.replace(f"pod {found['metadata']['name']}", host_port_rules(host_ports(found)))
    await machine.nft.apply(machine.table.take().text)
    # As the conformance suite asks: through loopback, also with the node's address as the source.
    assert lab.ask(lab.HOST, "127.0.0.1", 54323, bind="127.0.0.1")[0].startswith("a ")
    assert lab.ask(lab.HOST, "127.0.0.1", 54323, bind=lab.NODE)[0].startswith("a ")
    assert lab.ask(lab.HOST, lab.NODE, 54323)[0].startswith("b ")
    assert lab.ask("b", lab.NODE, 54323)[0].startswith("b ")
    assert lab.ask(lab.HOST, lab.NODE, 54323, "udp")[0].startswith("b ")
    assert lab.ask(lab.OUTSIDE, lab.NODE, 54323)[0].startswith("b ")


async def test_nobody_reaches_the_hosts_loopback(machine: Machine) -> None:
    lab, other = machine.lab, "127.0.0.9"
    lab.serve(lab.HOST, 7000)
    # A pod that is made to send packets for 127.0.0.9 over its cable.
    lab.on("a", "sysctl", "-q", "-w", "net.ipv4.conf.all.route_localnet=1")
    lab.on("a", "ip", "route", "add", "table", "99", other, "via", lab.GATEWAY, "dev", "eth0")
    lab.on("a", "ip", "rule", "add", "pref", "10", "lookup", "local")
    lab.on("a", "ip", "rule", "add", "pref", "1", "to", other, "lookup", "99")
    lab.on("a", "ip", "rule", "del", "pref", "0")
    assert lab.ask("a", other, 7000, bind=lab.pods["a"], wait=0.4) == ["timeout"]
    # Without the guard the packets do arrive.
    await machine.nft.apply("flush chain inet cloudlet raw-prerouting\n")
    assert lab.ask("a", other, 7000, bind=lab.pods["a"]) == [f"host {lab.pods['a']}"]


async def test_stale_chains_and_sets_can_be_deleted_and_the_table_removed(machine: Machine) -> None:
    await machine.set(("a", "b"), sessionAffinity="ClientIP")
    machine.table.replace("web")
    change = machine.table.take()
    await machine.nft.apply(change.text)
    await machine.nft.apply(deletions(change.stale_chains, change.stale_sets).text)
    present = await machine.nft.present()
    assert present.chains == set(machine.table.whole().chains)
    assert present.dynamic == frozenset()
    await remove_table(machine.nft)
    assert await machine.nft.present() == Present()
    await remove_table(machine.nft)


async def test_a_transaction_that_fails_changes_nothing(machine: Machine) -> None:
    before = await machine.nft.present()
    with pytest.raises(Exception, match="nft"):
        await machine.nft.apply("add chain inet cloudlet x\nadd rule inet cloudlet y drop\n")
    assert await machine.nft.present() == before


async def test_everything_the_proxy_can_write_is_accepted(machine: Machine) -> None:
    """Also what no packet above passes: SCTP, source ranges, many endpoints."""
    spec = {
        "type": "LoadBalancer",
        "externalIPs": ["203.0.113.7"],
        "loadBalancerSourceRanges": ["192.0.2.0/24", "198.51.100.0/24"],
        "externalTrafficPolicy": "Local",
        "internalTrafficPolicy": "Local",
        "sessionAffinity": "ClientIP",
    }
    many = [endpoint(f"10.244.{i}.9", "n1" if i % 2 else "n2") for i in range(200)]
    for proto in ("TCP", "UDP", "SCTP"):
        svc = service("x" * 63, ip=VIP, ports=[{**PORTS[0], "protocol": proto}], **spec)
        svc["metadata"]["namespace"] = "n" * 63
        svc["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.5"}]}}
        found = service_ports(svc, [slice_of(*many, protocol=proto)], lambda node: node == "n1")
        machine.table.replace(f"big {proto}", service_rules(found, CIDR))
        machine.table.replace("big TCP") if proto != "TCP" else None
        await machine.nft.apply(machine.table.take().text)
