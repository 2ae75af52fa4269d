"""The allocator's books: what is repaired, what is released, and that nothing is handed out twice."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from api import errors, timestamp
from api.resources import IPADDRESSES, SERVICES
from api.types import Object, Resource
from apiserver.allocators import GRACE, ServiceAllocator
from apiserver.pools import MANAGED_BY, AddressPool, PortPool, Taken
from apiserver.store import Remove, Unchanged
from tests.unit.apiserver.fakes import FakeLookup

OLD = timestamp.format(datetime.now(UTC) - timedelta(seconds=GRACE + 60))


@dataclass
class FakeEtcd:
    """Keys with revisions, written if the revision is the expected one."""

    keys: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)
    revision: int = 1

    async def put(self, key: bytes, value: bytes, expected: int, lease: int = 0) -> Any:
        if self.keys.get(key, (b"", 0))[1] != expected:
            return SimpleNamespace(ok=False)
        self.revision += 1
        self.keys[key] = (value, self.revision)
        return SimpleNamespace(ok=True)

    async def get(self, key: bytes) -> tuple[Any, int]:
        found = self.keys.get(key)
        return (SimpleNamespace(key=key, value=found[0], mod_revision=found[1]) if found else None), self.revision

    async def delete(self, key: bytes, expected: int) -> None:
        if self.keys.get(key, (b"", 0))[1] == expected:
            del self.keys[key]

    async def pages(self, prefix: bytes) -> AsyncIterator[tuple[Sequence[Any], int]]:
        found = [SimpleNamespace(key=key, value=value[0]) for key, value in self.keys.items() if key.startswith(prefix)]
        yield found, self.revision


class FakeCore:
    """As much of the core as allocation needs, in memory."""

    def __init__(self, cidr: str = "10.0.0.0/28", ports: str = "30000-30007") -> None:
        self.lookup = FakeLookup()
        self.etcd = FakeEtcd()
        self.options = SimpleNamespace(service_cluster_ip_range=cidr, service_node_port_range=ports)
        self.feed = SimpleNamespace(prefix="/registry/", fresh=self.lookup.fresh)
        self.store = self

    def cache(self, resource: Resource) -> Resource:
        return resource

    async def create(self, resource: Resource, obj: Object) -> Object:
        meta = obj["metadata"]
        if self.lookup.get(resource, meta.get("namespace", ""), meta["name"]):
            raise errors.already_exists(resource, meta["name"])
        meta.setdefault("creationTimestamp", timestamp.now())
        return self.lookup.put(resource, obj)

    async def modify(self, resource: Resource, key: str, name: str, mutate: Callable[[Object], Any]) -> None:
        found = self.lookup.get(resource, "", name)
        if found is None:
            raise errors.not_found(resource, name)
        try:
            await mutate(found)
        except Remove:
            self.lookup.drop(resource, "", name)
        except Unchanged:
            return


def service(name: str, ip: str = "", *ports: int) -> Object:
    made = [{"port": 80, "nodePort": port} for port in ports]
    return {"metadata": {"namespace": "ns", "name": name}, "spec": {"clusterIP": ip, "clusterIPs": [ip], "ports": made}}


def core_and_allocator() -> tuple[FakeCore, ServiceAllocator]:
    core = FakeCore()
    return core, ServiceAllocator(core)  # type: ignore[arg-type]


def address(core: FakeCore, ip: str, holder: str, created: str = OLD) -> None:
    parent = {"group": "", "resource": "services", "namespace": "ns", "name": holder}
    meta = {"name": ip, "labels": dict(MANAGED_BY), "creationTimestamp": created}
    core.lookup.put(IPADDRESSES, {"metadata": meta, "spec": {"parentRef": parent}})


def port(core: FakeCore, number: int, holder: str, since: str = OLD) -> None:
    value = orjson.dumps({"service": f"ns/{holder}", "since": since})
    core.etcd.keys[f"/registry/ranges/servicenodeports/{number}".encode()] = (value, 7)


def held(core: FakeCore) -> tuple[set[str], set[int]]:
    ips = {obj["metadata"]["name"] for obj in core.lookup.list(IPADDRESSES)}
    return ips, {int(key.rpartition(b"/")[2]) for key in core.etcd.keys}


async def test_repair_frees_what_nobody_uses_and_keeps_what_is_young() -> None:
    core, allocator = core_and_allocator()
    core.lookup.put(SERVICES, service("used", "10.0.0.2", 30001))
    for ip, holder, created in (
        ("10.0.0.2", "used", OLD),
        ("10.0.0.3", "gone", OLD),
        ("10.0.0.4", "used", OLD),
        ("10.0.0.5", "coming", timestamp.now()),
    ):
        address(core, ip, holder, created)
    for number, holder, since in ((30001, "used", OLD), (30002, "gone", OLD), (30003, "coming", timestamp.now())):
        port(core, number, holder, since)
    await allocator.repair()
    assert held(core) == ({"10.0.0.2", "10.0.0.5"}, {30001, 30003})


async def test_repair_takes_what_services_use_without_having_it() -> None:
    core, allocator = core_and_allocator()
    core.lookup.put(SERVICES, service("restored", "10.0.0.9", 30004))
    await allocator.repair()
    assert held(core) == ({"10.0.0.9"}, {30004})


async def test_repair_leaves_addresses_of_others_alone() -> None:
    core, allocator = core_and_allocator()
    core.lookup.put(IPADDRESSES, {"metadata": {"name": "10.0.0.8", "creationTimestamp": OLD}, "spec": {}})
    await allocator.repair()
    assert held(core)[0] == {"10.0.0.8"}


async def test_a_deleted_service_gives_back_and_a_changed_one_keeps_what_it_still_uses() -> None:
    core, allocator = core_and_allocator()
    address(core, "10.0.0.2", "a")
    for number in (30001, 30002):
        port(core, number, "a")
    allocator.observe("ADDED", service("a", "10.0.0.2", 30001, 30002))
    allocator.observe("MODIFIED", core.lookup.put(SERVICES, service("a", "10.0.0.2", 30002)))
    await settled(allocator)
    assert held(core) == ({"10.0.0.2"}, {30002})
    core.lookup.drop(SERVICES, "ns", "a")
    allocator.observe("DELETED", service("a", "10.0.0.2", 30002))
    await settled(allocator)
    assert held(core) == (set(), set())
    assert not allocator.ports.used


async def settled(allocator: ServiceAllocator) -> None:
    pending = set(allocator._releasing.values())
    if pending:
        await asyncio.wait(pending, timeout=5)


async def test_only_its_holder_releases_an_address() -> None:
    core, allocator = core_and_allocator()
    address(core, "10.0.0.2", "b")
    port(core, 30001, "b")
    await allocator.addresses.release("10.0.0.2", "ns/a")
    await allocator.ports.release(30001, "ns/a")
    assert held(core) == ({"10.0.0.2"}, {30001})


async def test_a_whole_range_is_handed_out_and_no_more() -> None:
    core = FakeCore("10.0.0.0/27")
    pool = AddressPool(core, "10.0.0.0/27")  # type: ignore[arg-type]
    given = []
    for _ in range(30):
        candidate = next(iter(pool.candidates()))
        await pool.take(candidate, "ns/a")
        given.append(candidate)
    assert len(set(given)) == 30 and list(pool.candidates()) == []
    assert all(int(ip.rpartition(".")[2]) >= 17 for ip in given[:14]), "the lower part goes last"
    with pytest.raises(Taken):
        await pool.take(given[0], "ns/b")


@pytest.mark.parametrize("wrong", ["10.0.0.0", "10.0.0.15", "10.0.1.1", "nonsense"])
def test_addresses_outside_the_range_are_refused(wrong: str) -> None:
    pool = AddressPool(FakeCore(), "10.0.0.0/28")  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        pool.check(wrong)


def test_ports_outside_the_range_are_refused() -> None:
    pool = PortPool(FakeCore(), "30000-30007")  # type: ignore[arg-type]
    pool.check(30007)
    for wrong in (29999, 30008):
        with pytest.raises(ValueError, match="The range of valid ports is 30000-30007"):
            pool.check(wrong)
