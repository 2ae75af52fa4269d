"""Puts the local provider together."""

from __future__ import annotations

import socket
from collections.abc import Callable

import structlog

from api.meta import name
from api.types import Object
from client.command import CommandError, Commands
from controllers.cloud.local.disks import LocalDisks
from controllers.cloud.local.load_balancers import LocalLoadBalancers
from controllers.cloud.local.loop import KernelLoops
from controllers.cloud.provider import CloudError, CloudProvider, Instance, Settings


class LocalInstances:
    """Nodes are what they say they are; none is ever declared gone, since only its machine could know."""

    async def find(self, node: Object) -> Instance | None:
        addresses = tuple((a["type"], a["address"]) for a in (node.get("status") or {}).get("addresses") or ())
        return Instance(provider_id=f"local://{name(node)}", addresses=addresses)


def is_own_address(ip: str) -> bool:
    """Whether this machine has the address: only then can a socket be bound to it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((ip, 0))
        except OSError:
            return False
    return True


def is_here(node_addresses: Callable[[str], list[str]]) -> Callable[[str], bool]:
    """A test whether a node, by name, runs on this machine."""
    return lambda node: any(is_own_address(ip) for ip in node_addresses(node) if ":" not in ip)


def make(settings: Settings, commands: Commands) -> CloudProvider:
    """The provider. Nothing is started or changed yet."""
    balancers, disks = _parts(settings, commands)
    return CloudProvider("local", instances=LocalInstances(), load_balancers=balancers, disks=disks)


def _parts(settings: Settings, commands: Commands) -> tuple[LocalLoadBalancers, LocalDisks]:
    root = settings.state_dir.absolute()
    balancers = LocalLoadBalancers(root / "load-balancers", settings.pool, settings.interface, commands)
    return balancers, LocalDisks(root / "disks", KernelLoops(commands), is_here(settings.node_addresses))


async def clean(settings: Settings, commands: Commands) -> None:
    """Remove every load balancer and disk. What fails is logged, the rest still done."""
    balancers, disks = _parts(settings, commands)
    log = structlog.get_logger("cleanup")
    for step in (balancers.clean, disks.clean):
        try:
            await step()
        except (CloudError, CommandError, OSError) as error:
            log.warning("not cleaned", error=str(error))
