"""Addresses and node ports of Services, handed out once whatever number of servers hands them out.

Every cluster IP is an IPAddress object (as in Kubernetes since 1.33), every node port one key in etcd; both are made by a write
that fails when it exists, before the Service is stored. What the Service's write does not use is given back at once; what a
deleted or changed Service leaves is released when its event arrives, by any server; what a crash leaves, by `repair`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import orjson

from api import errors, timestamp
from api.errors import FieldError
from api.resources import IPADDRESSES, SERVICES
from api.types import Object
from apiserver.plugins import AdmissionRequest
from apiserver.pools import (
    MANAGED_BY,
    AddressPool,
    Item,
    Pool,
    PortPool,
    Taken,
    addresses_of,
    holder_of,
    parent_of,
    ports_of,
)
from apiserver.service_fields import NODE_PORT_TYPES, carry_over, family_errors, set_families

if TYPE_CHECKING:
    from apiserver.core import Core

log = logging.getLogger("apiserver.allocators")

REPAIR_INTERVAL = 180.0
"""Seconds between two looks for allocations that nobody uses."""
GRACE = 60.0
"""Seconds an allocation may stand without its Service: it may be about to be stored."""


class ServiceAllocator:
    """The admission plugin that fills in and allocates a Service's addresses and node ports, and releases what is left over.

    Promises: two Services never get one address or port; an explicit one that is out of range or taken is Invalid at its
    path; a failed or dry-run write keeps nothing; deleting a Service, or changing its type, frees what it had.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self.addresses = AddressPool(core, core.options.service_cluster_ip_range)
        self.ports = PortPool(core, core.options.service_node_port_range)
        self._known: dict[str, tuple[set[str], set[int]]] = {}
        self._releasing: dict[str | int, asyncio.Task[None]] = {}

    def observe(self, kind: str, service: Object) -> None:
        """Follow the Services of the cache; release what a deleted or changed one no longer uses."""
        holder = holder_of(service)
        had = self._known.pop(holder, (set(), set()))
        has: tuple[set[str], set[int]] = (
            (set(), set()) if kind == "DELETED" else (addresses_of(service), ports_of(service))
        )
        if kind != "DELETED":
            self._known[holder] = has
        for port in had[1] - has[1]:
            if self.ports.used.get(port) == holder:
                del self.ports.used[port]
            self._release_soon(port, self.ports.release(port, holder))
        for port in has[1]:
            self.ports.used[port] = holder
        for address in had[0] - has[0]:
            self._release_soon(address, self.addresses.release(address, holder))

    def _release_soon(self, what: str | int, work: Awaitable[None]) -> None:
        async def quietly() -> None:
            try:
                await work
            except errors.ApiError as error:
                log.warning("could not release %s now, repair will: %s", what, error)

        task = asyncio.create_task(quietly())
        self._releasing[what] = task
        task.add_done_callback(lambda _: self._releasing.pop(what, None))

    async def __call__(self, request: AdmissionRequest) -> None:
        """Complete a Service that is created or updated."""
        service = request.object
        if request.resource is not SERVICES or request.subresource or service is None:
            return
        if request.operation not in ("CREATE", "UPDATE"):
            return
        if request.old is not None:
            carry_over(service, request.old)
        wrong = family_errors(service)
        if wrong:
            raise errors.invalid(SERVICES, request.name, wrong)
        set_families(service)
        old_addresses = addresses_of(request.old) if request.old else set()
        old_ports = ports_of(request.old) if request.old else set()
        await self._addresses(request, service, old_addresses)
        await self._ports(request, service, old_ports)

    async def _addresses(self, request: AdmissionRequest, service: Object, old: set[str]) -> None:
        spec = service["spec"]
        if spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None":
            return
        address = spec.get("clusterIP") or ""
        if address in old:
            return
        if not address:
            address = await self._any(request, self.addresses)
        else:
            await self._asked_address(request, address)
        spec["clusterIP"], spec["clusterIPs"] = address, [address]

    async def _asked_address(self, request: AdmissionRequest, address: str) -> None:
        try:
            self.addresses.check(address)
            await self._take(request, self.addresses, address)
        except ValueError as error:
            why = f"failed to allocate IP {address}: {error}"
            raise errors.invalid(
                SERVICES, request.name, [FieldError("spec.clusterIPs", "Invalid value", [address], why)]
            ) from error

    async def _ports(self, request: AdmissionRequest, service: Object, old: set[int]) -> None:
        spec = service["spec"]
        kind = spec.get("type", "ClusterIP")
        if kind not in NODE_PORT_TYPES:
            return
        held = set(old)
        for index, port in enumerate(spec.get("ports") or ()):
            if port.get("nodePort") and port["nodePort"] not in held:
                await self._asked_port(request, port["nodePort"], f"spec.ports[{index}].nodePort")
                held.add(port["nodePort"])
        if kind == "NodePort" or spec.get("allocateLoadBalancerNodePorts", True) is not False:
            for port in spec.get("ports") or ():
                if not port.get("nodePort"):
                    port["nodePort"] = _shared(spec["ports"], port) or await self._any(request, self.ports)
        if kind == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local":
            asked = spec.get("healthCheckNodePort")
            if not asked:
                spec["healthCheckNodePort"] = await self._any(request, self.ports)
            elif asked not in held:
                await self._asked_port(request, asked, "spec.healthCheckNodePort")

    async def _asked_port(self, request: AdmissionRequest, port: int, path: str) -> None:
        try:
            self.ports.check(port)
            await self._take(request, self.ports, port)
        except ValueError as error:
            raise errors.invalid(
                SERVICES, request.name, [FieldError(path, "Invalid value", port, str(error))]
            ) from error

    async def _take(self, request: AdmissionRequest, pool: Pool[Item], what: Item) -> None:
        """Take one that was asked for; one whose release is on its way is waited for. Raises Taken.

        An update may find what another one of the same Service has taken just now: that will do, and is not its own to
        give back.
        """
        holder = holder_of_request(request)
        if request.dry_run:
            if pool.is_taken(what):
                raise Taken(pool.taken)
            return
        try:
            await pool.take(what, holder)
        except Taken:
            await self._core.feed.fresh()
            if release := self._releasing.get(what):
                await asyncio.wait({release}, timeout=5.0)
            try:
                await pool.take(what, holder)
            except Taken:
                if request.operation == "CREATE" or await pool.holder(what) != holder:
                    raise
                return  # another write to this Service has taken it and answers for it
        request.undo.append(_giving_back(pool, what, holder))

    async def _any(self, request: AdmissionRequest, pool: Pool[Item]) -> Item:
        """Take any free one. Raises InternalError when the range is full."""
        for candidate in pool.candidates():
            try:
                await self._take(request, pool, candidate)
            except Taken:
                continue
            return candidate
        raise errors.InternalError(f"Internal error occurred: failed to allocate: {pool.full}")

    async def repair(self) -> None:
        """Free what no Service uses (a crash between two writes leaves it) and allocate what Services use unallocated."""
        await self._core.feed.fresh()
        services = {holder_of(service): service for service in self._core.lookup.list(SERVICES)}
        now = timestamp.parse(timestamp.now()).timestamp()
        for address in list(self._core.lookup.list(IPADDRESSES)):
            meta, holder = address["metadata"], parent_of(address)
            if any((meta.get("labels") or {}).get(key) != value for key, value in MANAGED_BY.items()):
                continue
            used = holder in services and meta["name"] in addresses_of(services[holder])
            if not used and now - timestamp.parse(meta["creationTimestamp"]).timestamp() > GRACE:
                await self.addresses.release(meta["name"], holder)
        await self._repair_ports(services, now)
        for holder, service in services.items():
            for ip in addresses_of(service):
                await _make_sure(self.addresses, ip, holder)
            for port in ports_of(service):
                await _make_sure(self.ports, port, holder)

    async def _repair_ports(self, services: dict[str, Object], now: float) -> None:
        prefix = self.ports.key(0)[:-1]
        async for page, _ in self._core.etcd.pages(prefix):
            for pair in page:
                port, value = int(pair.key[len(prefix) :]), orjson.loads(pair.value)
                holder = value["service"]
                used = holder in services and port in ports_of(services[holder])
                if not used and now - timestamp.parse(value["since"]).timestamp() > GRACE:
                    await self.ports.release(port, holder)

    async def run(self) -> None:
        """Repair now and then until cancelled."""
        while True:
            try:
                await self.repair()
            except errors.ApiError as error:
                log.warning("repair of allocations failed, will be tried again: %s", error)
            await asyncio.sleep(REPAIR_INTERVAL * random.uniform(0.8, 1.2))  # noqa: S311 jitter


async def _make_sure(pool: Pool[Item], what: Item, holder: str) -> None:
    try:
        pool.check(what)
        await pool.take(what, holder)
    except ValueError:
        return  # taken (by this holder, as it should be) or from a range that was configured earlier


def holder_of_request(request: AdmissionRequest) -> str:
    """Return the holder name of the Service a request is about."""
    return f"{request.namespace}/{request.name}"


def _giving_back(pool: Pool[Item], what: Item, holder: str) -> Callable[[], Awaitable[None]]:
    async def give_back() -> None:
        await pool.release(what, holder)

    return give_back


def _shared(ports: list[Object], port: Object) -> int | None:
    """Return the node port of a sibling with the same port number and another protocol, which two protocols may share."""
    for other in ports:
        same = other.get("port") == port.get("port") and other.get("protocol", "TCP") != port.get("protocol", "TCP")
        if same and other.get("nodePort"):
            return int(other["nodePort"])
    return None
