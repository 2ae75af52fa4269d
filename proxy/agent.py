"""The proxy's own state: what has changed in the API and on the machine since the last round, turned into table and zone.

Informers mark keys; `prepare` (called by the syncer) works them off; `finish` does what must wait until the kernel has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from api import resources
from api.meta import key as key_of
from api.meta import labels, namespace
from api.types import Object
from client.backoff import Backoff
from client.clock import Clock, RealClock, Timer
from client.command import CommandError, Commands
from client.informer import InformerFactory
from client.reflector import Reflector
from client.rest import ApiClient
from proxy import conntrack, machine, routes
from proxy.base import NODE_IPS, base_rules
from proxy.chains import host_port_rules, service_rules
from proxy.conntrack import Conntrack, Flow
from proxy.dns_records import Zone
from proxy.hostports import HostPort, host_ports
from proxy.nft import Nft
from proxy.routes import Routes
from proxy.ruleset import Ruleset
from proxy.services import ServicePort, service_ports
from proxy.syncer import Syncer
from proxy.table import Table

SERVICE_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the flags say. `cluster_dns` is empty when another program serves DNS."""

    node: str
    cluster_cidr: str
    cluster_dns: str
    cluster_domain: str


class _HostPortSink:
    """Keeps the host ports of one node's pods, and nothing else of them."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._ports: dict[str, list[HostPort]] = {}

    def replace(self, objects: list[Object]) -> None:
        """Take a complete list for the truth."""
        found = {key_of(pod): ports for pod in objects if (ports := host_ports(pod))}
        for key in self._ports.keys() | found.keys():
            self._set(key, found.get(key, []))

    def apply(self, kind: str, obj: Object) -> None:
        """Take one event."""
        self._set(key_of(obj), [] if kind == "DELETED" else host_ports(obj))

    def clear(self) -> None:
        """The node has gone from this machine."""
        self.replace([])

    def _set(self, key: str, ports: list[HostPort]) -> None:
        if ports == self._ports.get(key, []):
            return
        if ports:
            self._ports[key] = ports
        else:
            del self._ports[key]
        self._agent.set_host_ports(key, ports)


class Agent:
    """Wires informers, table, zone and kernel together."""

    def __init__(
        self, settings: Settings, client: ApiClient, commands: Commands, nft: Nft, clock: Clock | None = None
    ) -> None:
        self._settings, self._client, self._commands = settings, client, commands
        self._clock = clock or RealClock()
        self.informers = InformerFactory(client)
        self._services = self.informers.informer(resources.SERVICES)
        self._slices = self.informers.informer(resources.ENDPOINTSLICES)
        self._nodes = self.informers.informer(resources.NODES)
        self._slices.add_index("service", _service_of)
        self.table = Table()
        self.table.replace("base", base_rules(settings.cluster_cidr))
        self.zone = Zone(settings.cluster_domain, settings.cluster_dns or "0.0.0.0", settings.cluster_cidr)  # noqa: S104
        self.syncer = Syncer(self.table, nft, self._clock, self.prepare, self.finish)
        self._routes, self._conntrack = Routes(commands), Conntrack(commands)
        self._dirty: set[str] = set()
        self._machine_changed = True
        self._look_backoff = Backoff(first=0.5)
        self._look_again: Timer | None = None
        self._local: dict[str, list[str]] = {}
        self._ports: dict[str, list[ServicePort]] = {}
        self._flows: set[Flow] = set()
        self._pods: dict[str, tuple[_HostPortSink, asyncio.Task[None]]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._log = structlog.get_logger("proxy")
        self._listen()

    def _listen(self) -> None:
        self._services.add_handler(self._on_service, lambda _, new: self._on_service(new), self._on_service)
        self._slices.add_handler(self._on_slice, self._on_slice_change, self._on_slice)
        self._nodes.add_handler(self._on_node, self._on_node_change, self._on_node)

    def _on_service(self, service: Object) -> None:
        self._mark((key_of(service),))

    def _on_slice(self, part: Object) -> None:
        self._mark(_service_of(part))

    def _on_slice_change(self, old: Object, new: Object) -> None:
        self._mark((*_service_of(old), *_service_of(new)))

    def _on_node(self, node: Object) -> None:
        self.machine_changed()

    def _on_node_change(self, old: Object, new: Object) -> None:
        # Nodes report every few seconds; their addresses and pod ranges hardly ever change.
        if machine.internal_ips(old) != machine.internal_ips(new) or old.get("spec") != new.get("spec"):
            self.machine_changed()

    def _mark(self, keys: Iterable[str]) -> None:
        self._dirty.update(keys)
        self.syncer.request()

    def machine_changed(self) -> None:
        """Look at the machine's addresses and the nodes again in the next round."""
        self._machine_changed = True
        self.syncer.request()

    def set_host_ports(self, pod: str, ports: list[HostPort]) -> None:
        """What one pod of this machine binds."""
        self.table.replace(f"pod {pod}", host_port_rules(ports))
        self.syncer.request()

    async def run(self) -> None:
        """Keep the kernel up to date until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            self._tasks.create_task(self.informers.run())
            await self.informers.wait_synced(timeout=float("inf"))
            self._tasks.create_task(self.syncer.run())

    async def prepare(self) -> None:
        """Turn everything marked into table and zone."""
        if self._machine_changed:
            self._machine_changed = False
            await self._look_or_try_again()
        dirty, self._dirty = self._dirty, set()
        for key in sorted(dirty):
            self._update(key)

    async def finish(self) -> None:
        """After the kernel has the new rules: forget flows that still follow the old ones."""
        flows, self._flows = self._flows, set()
        await self._conntrack.forget(flows)

    def _update(self, key: str) -> None:
        service = self._services.lister.get(key)
        slices = self._slices.lister.by_index("service", key)
        ports = service_ports(service, slices, self._local.__contains__) if service else []
        if self._settings.cluster_dns and not any(p.everywhere.usable for p in ports):
            # We serve the cluster DNS address ourselves; its Service has no endpoints.
            ports = [p for p in ports if self._settings.cluster_dns not in p.cluster_ips]
        self._flows |= conntrack.stale(self._ports.get(key, ()), ports)
        self._ports[key] = ports
        if service is None:
            del self._ports[key]
            self.zone.remove(key)
        else:
            self.zone.replace(service, slices)
        self.table.replace(f"service {key}", service_rules(ports, self._settings.cluster_cidr))

    async def _look_or_try_again(self) -> None:
        """What cannot be read stays as it was: without addresses every node would count as one of another machine."""
        if self._look_again is not None:
            self._look_again.cancel()
            self._look_again = None
        try:
            await self._look_at_machine()
        except CommandError as error:
            pause = self._look_backoff.next()
            self._log.warning("machine not looked at, trying again", error=str(error), seconds=round(pause, 1))
            self._look_again = self._clock.call_later(pause, self.machine_changed)
        else:
            self._look_backoff.reset()

    async def _look_at_machine(self) -> None:
        """Take in addresses and nodes. Raises CommandError when addresses or routes are not to be read."""
        own = await machine.addresses(self._commands)
        nodes = self._nodes.lister.list()
        local = machine.local_nodes(nodes, own, self._settings.node)
        if local.keys() != self._local.keys():
            self._dirty.update(self._services.lister.keys())
        self._local = local
        ips = {ip for ips in local.values() for ip in ips} | ({own.primary} if own.primary else set())
        self.table.replace("nodes", Ruleset(elements={(NODE_IPS, ip): "" for ip in ips}))
        self._follow_pods(local)
        await self._routes.sync(routes.desired(nodes, local))

    def _follow_pods(self, local: Iterable[str]) -> None:
        """Watch the pods of exactly these nodes."""
        wanted = set(local)
        for name in self._pods.keys() - wanted:
            sink, task = self._pods.pop(name)
            task.cancel()
            sink.clear()
        for name in wanted - self._pods.keys():
            if self._tasks is not None:
                sink = _HostPortSink(self)
                reflector = Reflector(self._client, resources.PODS, sink, field_selector=f"spec.nodeName={name}")
                self._pods[name] = (sink, self._tasks.create_task(reflector.run(), name=f"pods of {name}"))


def _service_of(part: Object) -> tuple[str, ...]:
    name = labels(part).get(SERVICE_LABEL)
    return (f"{namespace(part)}/{name}",) if name else ()
