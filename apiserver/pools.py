"""The address range and the port range of Services: each address and each port belongs to one Service at most.

A cluster IP is an IPAddress object (as in Kubernetes since 1.33), a node port one key in etcd; both are made by a write that
fails when it exists. `holder` is `namespace/name` of the Service.
"""

from __future__ import annotations

import contextlib
import ipaddress
import random
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol, TypeVar

import orjson

from api import errors, timestamp
from api.resources import IPADDRESSES, SERVICES
from api.types import Object
from apiserver.service_fields import ADDRESSLESS
from apiserver.store import Remove, Unchanged

if TYPE_CHECKING:
    from apiserver.core import Core

MANAGED_BY = {"ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io", "ipaddress.kubernetes.io/ip-family": "IPv4"}
TRIES = 64
"""Addresses tried at random before the range is searched in order."""


class Taken(ValueError):
    """The address or port belongs to another Service."""


def holder_of(service: Object) -> str:
    """Return the name under which a Service holds its allocations."""
    return f"{service['metadata']['namespace']}/{service['metadata']['name']}"


def addresses_of(service: Object) -> set[str]:
    """Return the cluster IPs a Service uses."""
    spec = service["spec"]
    return {ip for ip in (spec.get("clusterIPs") or [spec.get("clusterIP") or ""]) if ip not in ADDRESSLESS}


def ports_of(service: Object) -> set[int]:
    """Return the node ports a Service uses, the health check's included."""
    spec = service["spec"]
    found = {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}
    return found | ({spec["healthCheckNodePort"]} if spec.get("healthCheckNodePort") else set())


Item = TypeVar("Item", str, int)


class Pool(Protocol[Item]):
    """A range of things of which each belongs to one holder at most."""

    taken: str
    full: str

    def check(self, what: Item) -> None:
        """Raise ValueError when it is not of the range."""
        ...

    def is_taken(self, what: Item) -> bool:
        """Tell whether it is known to be allocated."""
        ...

    async def take(self, what: Item, holder: str) -> None:
        """Allocate it. Raises Taken."""
        ...

    async def holder(self, what: Item) -> str:
        """Return who has it, "" for nobody."""
        ...

    async def release(self, what: Item, holder: str) -> None:
        """Give it back, if the holder has it."""
        ...

    def candidates(self) -> Iterable[Item]:
        """Yield free ones."""
        ...


class AddressPool:
    """The cluster IPs of one range. The lowest part is left to addresses asked for by number as long as the rest suffices."""

    taken = "provided IP is already allocated"
    full = "range is full"

    def __init__(self, core: Core, cidr: str) -> None:
        self._core = core
        self.network = ipaddress.IPv4Network(cidr)
        first, last = int(self.network.network_address) + 1, int(self.network.broadcast_address) - 1
        size = last - first + 1
        offset = min(max(16, size // 16), 256) if size > 16 else 0
        self._first, self._last, self._dynamic = first, last, first + offset

    @property
    def first(self) -> str:
        """The first address of the range: that of default/kubernetes."""
        return str(ipaddress.IPv4Address(self._first))

    def check(self, address: str) -> None:
        """Raise ValueError when an address is not one of the range's usable ones."""
        number = int(ipaddress.IPv4Address(address))
        if not self._first <= number <= self._last:
            raise ValueError(
                f"the provided IP ({address}) is not in the valid range. The range of valid IPs is {self.network}"
            )

    def is_taken(self, address: str) -> bool:
        """Tell whether the cache knows the address as allocated."""
        return self._core.lookup.get(IPADDRESSES, "", address) is not None

    async def take(self, address: str, holder: str) -> None:
        """Allocate an address. Raises Taken."""
        namespace, _, name = holder.partition("/")
        parent = {"group": "", "resource": "services", "namespace": namespace, "name": name}
        wanted: Object = {"metadata": {"name": address, "labels": dict(MANAGED_BY)}, "spec": {"parentRef": parent}}
        try:
            await self._core.create(IPADDRESSES, wanted)
        except errors.AlreadyExists as error:
            raise Taken(self.taken) from error

    async def holder(self, address: str) -> str:
        """Return who has an address, "" for nobody."""
        await self._core.feed.fresh()
        found = self._core.lookup.get(IPADDRESSES, "", address)
        return parent_of(found) if found else ""

    async def release(self, address: str, holder: str) -> None:
        """Give an address back, if `holder` has it. What it has been given again meanwhile stays."""
        found = self._core.lookup.get(IPADDRESSES, "", address)
        if found is None:
            await self._core.feed.fresh()
            found = self._core.lookup.get(IPADDRESSES, "", address)
        if found is None or parent_of(found) != holder:
            return
        uid = found["metadata"]["uid"]

        async def gone(current: Object) -> Object:
            if current["metadata"]["uid"] != uid:
                raise Unchanged(current)
            raise Remove(current)

        with contextlib.suppress(errors.NotFound):
            await self._core.store.modify(self._core.cache(IPADDRESSES), address, address, gone)

    def candidates(self) -> Iterable[str]:
        """Yield addresses to try, at random, from the upper part first."""
        for low, high in ((self._dynamic, self._last), (self._first, self._dynamic - 1)):
            if high < low:
                continue
            for _ in range(TRIES):
                address = str(ipaddress.IPv4Address(random.randint(low, high)))  # noqa: S311 a spread, not a secret
                if not self.is_taken(address):
                    yield address
            for number in range(low, high + 1):
                address = str(ipaddress.IPv4Address(number))
                if not self.is_taken(address):
                    yield address


def parent_of(address: Object) -> str:
    """Return the holder of an IPAddress object."""
    parent = (address.get("spec") or {}).get("parentRef") or {}
    return f"{parent.get('namespace', '')}/{parent.get('name', '')}"


class PortPool:
    """The node ports of one range; one etcd key per port in use."""

    taken = "provided port is already allocated"
    full = "range is full"

    def __init__(self, core: Core, ports: str) -> None:
        self._core = core
        low, _, high = ports.partition("-")
        self._low, self._high = int(low), int(high or low)
        size = self._high - self._low + 1
        self._dynamic = self._low + (min(max(16, size // 32), 128) if size > 16 else 0)
        self.used: dict[int, str] = {}
        """Ports of the Services in the cache: port -> holder."""

    def key(self, port: int) -> bytes:
        """Return the etcd key of a port."""
        return f"{self._core.feed.prefix}ranges/servicenodeports/{port}".encode()

    def check(self, port: int) -> None:
        """Raise ValueError when a port is outside the range."""
        if not self._low <= port <= self._high:
            raise ValueError(
                f"provided port is not in the valid range. The range of valid ports is {self._low}-{self._high}"
            )

    def is_taken(self, port: int) -> bool:
        """Tell whether the cache knows a Service that uses the port."""
        return port in self.used

    async def take(self, port: int, holder: str) -> None:
        """Allocate a port. Raises Taken."""
        value = orjson.dumps({"service": holder, "since": timestamp.now()})
        written = await self._core.etcd.put(self.key(port), value, 0)
        if not written.ok:
            raise Taken(self.taken)

    async def holder(self, port: int) -> str:
        """Return who has a port, "" for nobody."""
        pair, _ = await self._core.etcd.get(self.key(port))
        return str(orjson.loads(pair.value).get("service")) if pair is not None else ""

    async def release(self, port: int, holder: str) -> None:
        """Give a port back, if `holder` has it and does not use it (again)."""
        pair, _ = await self._core.etcd.get(self.key(port))
        await self._core.feed.fresh()
        namespace, _, name = holder.partition("/")
        service = self._core.lookup.get(SERVICES, namespace, name)
        if service is not None and port in ports_of(service):
            return
        if pair is not None and orjson.loads(pair.value).get("service") == holder:
            await self._core.etcd.delete(self.key(port), int(pair.mod_revision))

    def candidates(self) -> Iterable[int]:
        """Yield ports to try, at random, from the upper part first."""
        for low, high in ((self._dynamic, self._high), (self._low, self._dynamic - 1)):
            free = [port for port in range(low, high + 1) if port not in self.used]
            random.shuffle(free)
            yield from free
