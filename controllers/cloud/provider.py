"""The protocol between the cloud controllers and an infrastructure. A provider offers what it can and leaves the rest None."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from api.types import Object


class CloudError(Exception):
    """The infrastructure refused, for a reason that trying again may change. The text is for people."""


class Unsupported(CloudError):
    """The provider cannot do this at all."""


class DiskBusy(CloudError):
    """A disk has not gone yet; its `follow`er is told when there is news."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A machine: what its Node should say about it."""

    provider_id: str
    kind: str = ""
    zone: str = ""
    region: str = ""
    addresses: tuple[tuple[str, str], ...] = ()
    """(type, address)."""


class Instances(Protocol):
    """The machines that nodes run on."""

    async def find(self, node: Object) -> Instance | None:
        """The node's machine; None when it no longer exists. Raises CloudError."""


@dataclass(frozen=True, slots=True)
class BalancerPort:
    """Connections to `port` go to `node_port` of the backends."""

    port: int
    node_port: int
    protocol: str = "TCP"


@dataclass(frozen=True, slots=True)
class Balancer:
    """A load balancer as a Service asks for it. `uid` identifies it for ever, `service` is `namespace/name`."""

    uid: str
    service: str
    ports: tuple[BalancerPort, ...] = ()
    backends: tuple[str, ...] = ()
    requested_ip: str = ""
    source_ranges: tuple[str, ...] = ()
    sticky_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Ingress:
    """Where a load balancer is reached. Mode "Proxy": connections arrive with the balancer's own address."""

    ip: str
    mode: str = "Proxy"

    def as_status(self) -> Object:
        """An entry of `status.loadBalancer.ingress`."""
        return {"ip": self.ip, "ipMode": self.mode}


class LoadBalancers(Protocol):
    """Load balancers; each call may be repeated."""

    async def restore(self, held: dict[str, str], on_lost: Callable[[str], None]) -> None:
        """Before anything else: who (uid) holds which address by the API's word. `on_lost` is told the uid of a balancer that
        has stopped by itself."""

    async def ensure(self, balancer: Balancer) -> list[Ingress]:
        """Make it, or make it what is asked for. Raises CloudError, Unsupported."""

    async def delete(self, uid: str) -> None:
        """Remove it and free its address; one that is not there is fine."""

    def known(self) -> list[str]:
        """The uids of all there are."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk: its real size in bytes, and the labels of the nodes that can use it."""

    handle: str
    size: int
    topology: Mapping[str, str] = field(default_factory=dict)


class Disks(Protocol):
    """Disks of a given size; each call may be repeated."""

    driver: str

    def follow(self, changed: Callable[[str], None]) -> None:
        """Before anything else: who is told the handle of a disk that has gone or may have to be looked at again."""

    async def create(self, name: str, size: int, node: str) -> Disk:
        """A disk of at least `size` bytes that the node can use, any node if none is named. Raises CloudError."""

    async def delete(self, disk: Disk) -> None:
        """Have it removed. Raises DiskBusy until it has gone."""

    async def keep(self, handle: str) -> None:
        """Ask nobody to remove it any more: it is to stay, or has gone with its volume."""


class Routes(Protocol):
    """Routes to the nodes' pod ranges in the provider's network."""

    async def ensure(self, wanted: dict[str, str]) -> None:
        """Pod range → node name, complete."""


class Tenure(Protocol):
    """What a provider has to do on the leader's own machine because another one may lead next."""

    async def hold(self) -> None:
        """While it leads; until cancelled."""

    async def stand_down(self) -> None:
        """Leave to the next leader what was made on this machine; may be repeated."""


@dataclass(slots=True)
class CloudProvider:
    """What a provider offers."""

    name: str
    instances: Instances | None = None
    load_balancers: LoadBalancers | None = None
    disks: Disks | None = None
    routes: Routes | None = None
    tenure: Tenure | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What a provider is made from. `state_dir` is where the provider keeps what must survive its process."""

    state_dir: Path
    pool: str = "10.98.1.0/24"
    interface: str = ""
    """The interface to the LAN that carries the load balancers' addresses; empty for one that this machine alone sees."""
    assured: Callable[[], float] = field(default=lambda: math.inf)
    """For how many seconds nobody else can become the leader."""
