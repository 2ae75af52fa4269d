"""Load balancers: addresses, configuration, and what the controller tells people."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api import resources
from api.types import Object
from client.controller import Context
from controllers.cloud.local.addresses import BridgeAddresses
from controllers.cloud.local.haproxy_config import render
from controllers.cloud.local.load_balancers import LocalLoadBalancers
from controllers.cloud.local.pool import Pool
from controllers.cloud.local.provider import LocalInstances
from controllers.cloud.nodes import TAINT, CloudNodes
from controllers.cloud.options import parse
from controllers.cloud.provider import Balancer, BalancerPort, CloudError, Unsupported
from controllers.cloud.service import FINALIZER, ServiceLoadBalancers, backends, balancer_for
from tests.unit.cloud.fakeapi import Rig
from tests.unit.cloud.fakes import FakeBalancers, FakeCommands, FakeHAProxy
from tests.unit.cloud.objects import node, service

SERVICES = resources.SERVICES


def test_a_holder_keeps_its_address_and_nobody_else_gets_it() -> None:
    pool = Pool("10.98.1.0/29")
    assert [pool.take("a"), pool.take("b"), pool.take("a")] == ["10.98.1.1", "10.98.1.2", "10.98.1.1"]
    assert pool.release("a") == "10.98.1.1"
    assert pool.take("c") == "10.98.1.1"


def test_a_wanted_address() -> None:
    pool = Pool("10.98.1.0/29")
    assert pool.take("a", "10.98.1.5") == "10.98.1.5"
    assert pool.take("a", "10.98.1.4") == "10.98.1.4"
    assert pool.take("b", "10.98.1.5") == "10.98.1.5"
    with pytest.raises(CloudError, match="in use"):
        pool.take("c", "10.98.1.5")
    for outside in ("192.0.2.1", "nonsense"):
        with pytest.raises(CloudError, match="not in the pool"):
            pool.take("c", outside)


def test_an_empty_pool_says_so() -> None:
    pool = Pool("10.98.1.0/30")
    pool.take("a")
    pool.take("b")
    with pytest.raises(CloudError, match="no free address"):
        pool.take("c")


def test_a_range_is_used_with_both_its_ends() -> None:
    pool = Pool("192.0.2.254-192.0.3.1")
    assert list(pool) == ["192.0.2.254", "192.0.2.255", "192.0.3.0", "192.0.3.1"]
    assert pool.take("a", "192.0.3.1") == "192.0.3.1"
    assert "192.0.3.2" not in pool
    assert list(Pool("192.0.2.7-192.0.2.7")) == list(Pool("192.0.2.7/32")) == ["192.0.2.7"]


@pytest.mark.parametrize("text", ["", "a-b", "192.0.2.9-192.0.2.1", "192.0.2.1/24", "192.0.2.1-", "2001:db8::/64"])
def test_what_is_no_pool_is_refused_before_anything_starts(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--kubeconfig=x", "--state-dir=x", f"--load-balancer-pool={text}"])
    assert "--load-balancer-pool" in capsys.readouterr().err


def balancer(**more: Any) -> Balancer:
    given: dict[str, Any] = {
        "uid": "u-1",
        "service": "default/web",
        "ports": (BalancerPort(80, 30080), BalancerPort(443, 30443)),
        "backends": ("10.98.0.12", "10.98.0.11"),
    }
    return Balancer(**(given | more))


def test_configuration_names_every_port_and_backend() -> None:
    text = render(balancer(), "10.98.1.1")
    assert "bind 10.98.1.1:80\n" in text
    assert "bind 10.98.1.1:443\n" in text
    for address in ("10.98.0.11", "10.98.0.12"):
        assert f"{address}:30080" in text
        assert f"{address}:30443" in text
    assert render(balancer(backends=("10.98.0.11", "10.98.0.12")), "10.98.1.1") == text


def test_only_tcp_can_be_balanced() -> None:
    with pytest.raises(Unsupported, match="53/UDP"):
        render(balancer(ports=(BalancerPort(53, 30053, "UDP"),)), "10.98.1.1")


def test_text_from_the_api_cannot_add_lines() -> None:
    text = render(balancer(service="a\nglobal", source_ranges=("0.0.0.0/0 }\n evil",)), "10.98.1.1")
    assert "\n evil" not in text
    assert "\nglobal\n" in text
    assert text.count("\nglobal") == 1


def make(tmp_path: Path) -> tuple[LocalLoadBalancers, FakeCommands, FakeHAProxy]:
    commands = FakeCommands()
    made: list[FakeHAProxy] = []

    def proxy(given: Any, on_exit: Callable[[Path], None]) -> FakeHAProxy:
        made.append(FakeHAProxy(given, on_exit))
        return made[0]

    addresses = BridgeAddresses(commands)
    return LocalLoadBalancers(tmp_path, "10.98.1.0/24", addresses, commands, proxy), commands, made[0]


async def test_the_address_comes_and_goes_with_the_balancer(tmp_path: Path) -> None:
    balancers, commands, haproxy = make(tmp_path)
    (ingress,) = await balancers.ensure(balancer())
    assert ingress.as_status() == {"ip": "10.98.1.1", "ipMode": "Proxy"}
    assert "ip addr replace 10.98.1.1/32 dev cloudlet0" in commands.ran
    assert list(haproxy.running) == [tmp_path / "u-1"]
    await balancers.delete("u-1")
    assert "ip addr del 10.98.1.1/32 dev cloudlet0" in commands.ran
    assert haproxy.running == {}
    assert balancers.known() == []


async def test_after_a_restart_nobody_gets_an_address_that_is_in_use(tmp_path: Path) -> None:
    first, _, _ = make(tmp_path)
    await first.ensure(balancer(uid="old"))
    second, _, _ = make(tmp_path)
    await second.restore({"by-status": "10.98.1.2"}, lambda uid: None)
    assert (await second.ensure(balancer(uid="new")))[0].ip == "10.98.1.3"
    assert (await second.ensure(balancer(uid="old")))[0].ip == "10.98.1.1"
    assert (await second.ensure(balancer(uid="by-status")))[0].ip == "10.98.1.2"


async def test_an_old_record_does_not_move_a_service_from_the_address_that_the_api_knows(tmp_path: Path) -> None:
    first, _, _ = make(tmp_path)
    await first.ensure(balancer(requested_ip="10.98.1.9"))
    second, _, _ = make(tmp_path)
    await second.restore({"u-1": "10.98.1.5"}, lambda uid: None)
    assert (await second.ensure(balancer()))[0].ip == "10.98.1.5"


async def test_cleaning_frees_every_address_before_it_waits_for_a_process(tmp_path: Path) -> None:
    balancers, commands, haproxy = make(tmp_path)
    freed: list[int] = []

    async def stop(directory: Path) -> None:
        freed.append(sum("addr del" in line for line in commands.ran))

    for name in ("u-1", "u-2"):
        await balancers.ensure(balancer(uid=name))
    haproxy.stop = stop  # type: ignore[method-assign]
    await balancers.clean()
    assert len(freed) == 2
    assert min(freed) >= 2
    assert balancers.known() == []


async def test_a_changed_address_request_gives_the_old_one_back(tmp_path: Path) -> None:
    balancers, commands, _ = make(tmp_path)
    await balancers.ensure(balancer())
    assert (await balancers.ensure(balancer(requested_ip="10.98.1.9")))[0].ip == "10.98.1.9"
    assert "ip addr del 10.98.1.1/32 dev cloudlet0" in commands.ran


async def test_what_cannot_be_served_holds_no_address(tmp_path: Path) -> None:
    balancers, _, _ = make(tmp_path)
    with pytest.raises(Unsupported):
        await balancers.ensure(balancer(uid="udp", ports=(BalancerPort(53, 1, "UDP"),)))
    assert (await balancers.ensure(balancer()))[0].ip == "10.98.1.1"


def test_backends_are_the_ready_nodes() -> None:
    excluded = node("n3", "10.98.0.13")
    excluded["metadata"]["labels"] = {"node.kubernetes.io/exclude-from-external-load-balancers": ""}
    nodes = [node(), node("n2", "10.98.0.12", ready=False), excluded, node("n4", "10.98.0.14", unschedulable=True)]
    assert backends(nodes) == ("10.98.0.11", "10.98.0.14")


def test_what_a_service_asks_for() -> None:
    asked = balancer_for(
        service(loadBalancerIP="10.98.1.7", sessionAffinity="ClientIP", loadBalancerSourceRanges=[" 192.0.2.0/24 "]),
        [node()],
    )
    assert (asked.requested_ip, asked.sticky_seconds, asked.source_ranges) == ("10.98.1.7", 10800, ("192.0.2.0/24",))


class Cloud(Rig):
    def __init__(self) -> None:
        super().__init__()
        self.balancers = FakeBalancers()
        self.api.put(resources.NODES, node())

    def controller(self, ctx: Context) -> ServiceLoadBalancers:
        return ServiceLoadBalancers(ctx, self.balancers)

    @property
    def web(self) -> Object:
        found = self.api.find(SERVICES, "default/web")
        assert found
        return found


async def test_a_service_gets_an_address_and_loses_it_with_its_type() -> None:
    cloud = Cloud()
    async with cloud.running(cloud.controller):
        cloud.api.put(SERVICES, service())
        await cloud.settle()
        assert cloud.web["status"]["loadBalancer"]["ingress"] == [{"ip": "10.98.1.1", "ipMode": "Proxy"}]
        assert FINALIZER in cloud.web["metadata"]["finalizers"]
        assert cloud.events.reasons == ["EnsuringLoadBalancer", "EnsuredLoadBalancer"]
        cloud.api.put(SERVICES, {**cloud.web, "spec": {**cloud.web["spec"], "type": "ClusterIP"}})
        await cloud.settle()
        assert cloud.web["status"]["loadBalancer"] == {}
        assert cloud.web["metadata"]["finalizers"] == []
        assert cloud.balancers.made == {}


async def test_a_deleted_service_goes_only_after_its_balancer() -> None:
    cloud = Cloud()
    async with cloud.running(cloud.controller):
        cloud.api.put(SERVICES, service())
        await cloud.settle()
        await cloud.api.delete(SERVICES, "web", "default")
        await cloud.settle()
        assert cloud.api.find(SERVICES, "default/web") is None
        assert cloud.balancers.made == {}
        assert cloud.events.reasons[-2:] == ["DeletingLoadBalancer", "DeletedLoadBalancer"]


async def test_nodes_that_come_and_go_change_the_backends_and_nothing_else_does() -> None:
    cloud = Cloud()
    async with cloud.running(cloud.controller):
        cloud.api.put(SERVICES, service())
        await cloud.settle()
        cloud.api.put(resources.NODES, node("n2", "10.98.0.12"))
        await cloud.settle()
        assert cloud.balancers.made["uid-of-web"].backends == ("10.98.0.11", "10.98.0.12")
        assert cloud.events.reasons[-1] == "UpdatedLoadBalancer"
        calls = cloud.balancers.calls
        cloud.api.put(resources.NODES, node("n2", "10.98.0.12", in_use=("x",)))
        await cloud.settle()
        assert cloud.balancers.calls == calls


async def test_a_service_of_another_class_is_left_alone() -> None:
    cloud = Cloud()
    other = service(loadBalancerClass="example.org/lb")
    other["metadata"]["finalizers"] = [FINALIZER]
    async with cloud.running(cloud.controller):
        cloud.api.put(SERVICES, other)
        await cloud.settle()
        assert cloud.balancers.calls == 0
        await cloud.api.delete(SERVICES, "web", "default")
        await cloud.settle()
        assert FINALIZER in cloud.web["metadata"]["finalizers"]


async def test_a_refusal_is_told_and_tried_again() -> None:
    cloud = Cloud()
    cloud.balancers.refuse = CloudError("the pool has no free address")
    async with cloud.running(cloud.controller):
        cloud.api.put(SERVICES, service())
        await cloud.settle()
        assert ("Warning", "SyncLoadBalancerFailed") in {e[:2] for e in cloud.events.seen}
        cloud.balancers.refuse = None
        await cloud.clock.advance(60)
        await cloud.settle()
        assert cloud.web["status"]["loadBalancer"]["ingress"]


async def test_a_balancer_that_died_is_made_again() -> None:
    cloud = Cloud()
    async with cloud.running(cloud.controller):
        cloud.api.put(SERVICES, service())
        await cloud.settle()
        calls = cloud.balancers.calls
        cloud.balancers.lost("uid-of-web")
        await cloud.settle()
        assert cloud.balancers.calls == calls + 1


async def test_at_the_start_addresses_are_reserved_and_orphans_removed() -> None:
    cloud = Cloud()
    cloud.balancers.made["gone"] = balancer(uid="gone")
    had = service() | {"status": {"loadBalancer": {"ingress": [{"ip": "10.98.1.8", "ipMode": "Proxy"}]}}}
    had["metadata"]["finalizers"] = [FINALIZER]
    cloud.api.put(SERVICES, had)
    async with cloud.running(cloud.controller):
        assert cloud.balancers.held == {"uid-of-web": "10.98.1.8"}
        assert "gone" not in cloud.balancers.made


async def test_a_new_node_is_introduced() -> None:
    rig = Rig()
    async with rig.running(lambda ctx: CloudNodes(ctx, LocalInstances())):
        rig.api.put(resources.NODES, node(taints=[{"key": TAINT, "effect": "NoSchedule"}, {"key": "mine"}]))
        await rig.settle()
        found = rig.api.find(resources.NODES, "n1")
        assert found
        assert found["spec"] == {"providerID": "local://n1", "taints": [{"key": "mine"}]}
        writes = rig.api.writes
        rig.api.put(resources.NODES, node("n2", taints=[{"key": "mine"}]))
        await rig.settle()
        assert rig.api.writes == writes + 1
