"""An address that cannot be the virtual IP is refused before it is anybody's."""

from __future__ import annotations

import json

import pytest

from cloudctl.machine.preflight import Level, Request, run
from cloudctl.machine.preflight.checks import system
from cloudctl.machine.settings import Role
from tests.unit.cloudctl.machine.preflight.fake import ADDRESS, SERVER, FakeMachine

FREE, NEIGHBOUR = "192.0.2.9", "ip -json neighbour show"
TAKEN = json.dumps([{"dst": FREE, "dev": "eth0", "lladdr": "02:00:00:00:00:09", "state": ["REACHABLE"]}])
SILENT = json.dumps([{"dst": FREE, "dev": "eth0", "state": ["FAILED"]}])


async def said(machine: FakeMachine, request: Request) -> list[tuple[Level, str, str]]:
    found = await run(request, machine)
    return [(one.level, one.what, one.remedy) for one in found if one.name == "VirtualIp"]


@pytest.fixture(autouse=True)
def no_local_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "running_elsewhere", lambda cluster: "")


@pytest.mark.parametrize("neighbours", ["", "[]", SILENT])
async def test_a_free_address_of_the_network_will_do(neighbours: str) -> None:
    [(level, _, _)] = await said(FakeMachine(commands={NEIGHBOUR: neighbours}), Request(virtual_ip=FREE))
    assert level == Level.OK


@pytest.mark.parametrize(
    ("address", "why"),
    [
        (ADDRESS, "this machine's own address"),
        ("192.0.3.9", "no address of the machines' network 192.0.2.0/24 (eth0)"),
        ("192.0.2.255", "no address of the machines' network"),
        ("10.96.0.7", "one of the services'"),
        ("nine", "no IPv4 address"),
    ],
)
async def test_what_cannot_be_a_virtual_ip(address: str, why: str) -> None:
    [(level, what, _)] = await said(FakeMachine(), Request(virtual_ip=address))
    assert level == Level.ERROR and why in what


async def test_an_address_that_somebody_has_is_refused_unless_it_is_that_of_the_cluster_to_join() -> None:
    machine = FakeMachine(commands={NEIGHBOUR: TAKEN})
    [(level, what, _)] = await said(machine, Request(virtual_ip=FREE))
    assert level == Level.ERROR and "taken by 02:00:00:00:00:09" in what
    [(level, _, _)] = await said(machine, Request(virtual_ip=FREE, server=f"{SERVER}:6443"))
    assert level == Level.OK


async def test_the_missing_package_is_named_where_a_virtual_ip_is_wanted() -> None:
    machine = FakeMachine(missing={"keepalived"})
    [(level, _, remedy)] = await said(machine, Request(virtual_ip=FREE))
    assert level == Level.ERROR and remedy == "`apt-get install keepalived`"
    assert await said(machine, Request()) == []
    assert await said(machine, Request(role=Role.WORKER, virtual_ip=FREE)) == []
