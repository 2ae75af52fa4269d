"""The Service `default/kubernetes`: its address, and the endpoints of the API servers that are alive.

Every server keeps a key under /registry/masterleases/ with a lease of its own; who does not renew it drops out. Every server
writes Endpoints and EndpointSlices from the keys it sees, so any number of them agrees.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import random
import socket
from typing import TYPE_CHECKING

from api import errors
from api.resources import ENDPOINTS, ENDPOINTSLICES, SERVICES
from api.types import Object, Resource
from apiserver.allocators import ServiceAllocator
from apiserver.bootstrap import ensure
from apiserver.pools import Taken

if TYPE_CHECKING:
    from apiserver.core import Core

log = logging.getLogger("apiserver.kubernetes_service")

NAMESPACE, NAME = "default", "kubernetes"
TTL = 15
"""Seconds after which a silent server drops out."""
RENEW = 5.0
Address = tuple[str, int]


def advertised(options_address: str, bind_address: str) -> str:
    """Return the address that clients in the cluster reach this server by."""
    if options_address:
        return options_address
    if bind_address and not ipaddress.ip_address(bind_address).is_unspecified:
        return bind_address
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: asks the kernel which address it would use
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def service(cluster_ip: str, port: int) -> Object:
    """Return the Service object."""
    return {
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE,
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "clusterIP": cluster_ip,
            "clusterIPs": [cluster_ip],
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}],
            "sessionAffinity": "None",
            "type": "ClusterIP",
        },
        "status": {"loadBalancer": {}},
    }


def _by_port(alive: list[Address]) -> dict[int, list[str]]:
    ports: dict[int, list[str]] = {}
    for address, port in sorted(alive):
        ports.setdefault(port, []).append(address)
    return ports


def endpoints(alive: list[Address]) -> Object:
    """Return the Endpoints object of the live servers."""
    subsets = [
        {"addresses": [{"ip": ip} for ip in ips], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}
        for port, ips in _by_port(alive).items()
    ]
    labels = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    return {"metadata": {"name": NAME, "namespace": NAMESPACE, "labels": labels}, "subsets": subsets}


def slices(alive: list[Address]) -> list[Object]:
    """Return the EndpointSlices of the live servers: `kubernetes`, and one more for each further port in use."""
    found = []
    for index, (port, ips) in enumerate(_by_port(alive).items()):
        found.append(
            {
                "metadata": {
                    "name": f"{NAME}-{port}" if index else NAME,
                    "namespace": NAMESPACE,
                    "labels": {"kubernetes.io/service-name": NAME},
                },
                "addressType": "IPv4",
                "endpoints": [{"addresses": [ip], "conditions": {"ready": True}} for ip in ips],
                "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
            }
        )
    return found


class KubernetesService:
    """Keeps the Service and its endpoints; `start` is the startup hook, `run` its background part."""

    def __init__(self, core: Core, allocator: ServiceAllocator) -> None:
        self._core = core
        self._allocator = allocator
        options = core.options
        self.address: Address = (advertised(options.advertise_address, options.bind_address), options.secure_port)

    async def start(self, core: Core) -> None:
        """Make the Service and announce this server, then keep both up to date in the background."""
        await self._service()
        await self._renew()
        await self.reconcile()
        core.spawn(self.run())

    async def _service(self) -> None:
        wanted = service(self._allocator.addresses.first, self.address[1])
        with contextlib.suppress(Taken):  # by this Service, at an earlier start
            await self._allocator.addresses.take(wanted["spec"]["clusterIP"], f"{NAMESPACE}/{NAME}")
        await ensure(self._core, SERVICES, wanted)

    def _key(self, address: Address) -> bytes:
        return f"{self._core.feed.prefix}masterleases/{address[0]}:{address[1]}".encode()

    async def _renew(self) -> None:
        etcd, key = self._core.etcd, self._key(self.address)
        lease = await etcd.grant(TTL)
        pair, _ = await etcd.get(key)
        written = await etcd.put(key, b"{}", int(pair.mod_revision) if pair else 0, lease)
        if not written.ok and written.current is not None:
            log.debug("another worker of this server has renewed its lease")

    async def alive(self) -> list[Address]:
        """Return the addresses of all servers that renew their lease."""
        prefix = f"{self._core.feed.prefix}masterleases/".encode()
        found = []
        async for page, _ in self._core.etcd.pages(prefix):
            for pair in page:
                ip, _, port = pair.key[len(prefix) :].decode().rpartition(":")
                found.append((ip, int(port)))
        return sorted(found)

    async def reconcile(self) -> None:
        """Write Endpoints and EndpointSlices of the live servers where they differ from what is there."""
        alive = await self.alive()
        if not alive:
            return
        await self._write(ENDPOINTS, endpoints(alive), ("subsets",))
        wanted = slices(alive)
        for one in wanted:
            await self._write(ENDPOINTSLICES, one, ("endpoints", "ports", "addressType"))
        names = {one["metadata"]["name"] for one in wanted}
        for present in list(self._core.lookup.list(ENDPOINTSLICES, NAMESPACE)):
            meta = present["metadata"]
            own = (meta.get("labels") or {}).get("kubernetes.io/service-name") == NAME
            if own and meta["name"] not in names and meta["name"].startswith(f"{NAME}-"):
                try:
                    await self._core.remove(ENDPOINTSLICES, NAMESPACE, meta["name"])
                except errors.NotFound:
                    continue

    async def _write(self, resource: Resource, wanted: Object, fields: tuple[str, ...]) -> None:
        name = wanted["metadata"]["name"]
        if await ensure(self._core, resource, wanted):
            return
        present = self._core.lookup.get(resource, NAMESPACE, name)
        if present is not None and all(present.get(field) == wanted[field] for field in fields):
            return
        content = {field: wanted[field] for field in fields}
        await self._core.update(resource, NAMESPACE, name, lambda current: {**current, **content})

    async def run(self) -> None:
        """Renew and reconcile until the server is told to stop; then take it out at once."""
        stopping = self._core.stopping
        try:
            while not stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RENEW * random.uniform(0.8, 1.2)):  # noqa: S311 jitter
                        await stopping.wait()
                        break
                try:
                    await self._renew()
                    await self._service()
                    await self.reconcile()
                except errors.ApiError as error:
                    log.warning("could not renew this server's place in default/kubernetes: %s", error)
        finally:
            await self._leave()

    async def _leave(self) -> None:
        try:
            async with asyncio.timeout(2.0):
                if len(await self.alive()) > 1:
                    key = self._key(self.address)
                    pair, _ = await self._core.etcd.get(key)
                    if pair is not None:
                        await self._core.etcd.delete(key, int(pair.mod_revision))
                    await self.reconcile()
        except (TimeoutError, errors.ApiError) as error:
            log.info("this server's lease is left to run out: %s", error)
