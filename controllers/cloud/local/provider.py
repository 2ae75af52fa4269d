"""Puts the local provider together."""

from __future__ import annotations

import structlog

from api.meta import name
from api.types import Object
from client.command import CommandError, Commands
from client.controller import Context
from controllers.cloud.local.disks import LocalDisks
from controllers.cloud.local.load_balancers import LocalLoadBalancers
from controllers.cloud.provider import CloudError, CloudProvider, Instance, Settings


class LocalInstances:
    """Nodes are what they say they are; none is ever declared gone, since only its machine could know."""

    async def find(self, node: Object) -> Instance | None:
        addresses = tuple((a["type"], a["address"]) for a in (node.get("status") or {}).get("addresses") or ())
        return Instance(provider_id=f"local://{name(node)}", addresses=addresses)


def make(settings: Settings, commands: Commands, context: Context) -> CloudProvider:
    """The provider. Nothing is started or changed yet."""
    balancers = _balancers(settings, commands)
    return CloudProvider("local", instances=LocalInstances(), load_balancers=balancers, disks=LocalDisks(context))


def _balancers(settings: Settings, commands: Commands) -> LocalLoadBalancers:
    root = settings.state_dir.absolute()
    return LocalLoadBalancers(root / "load-balancers", settings.pool, settings.interface, commands)


async def clean(settings: Settings, commands: Commands) -> None:
    """Remove every load balancer of this machine. What fails is logged."""
    try:
        await _balancers(settings, commands).clean()
    except (CloudError, CommandError, OSError) as error:
        structlog.get_logger("cleanup").warning("not cleaned", error=str(error))
