"""Puts the local provider together."""

from __future__ import annotations

import structlog

from api.meta import name
from api.types import Object
from client.clock import RealClock
from client.command import CommandError, Commands
from client.controller import Context
from controllers.cloud.local.addresses import OWN_BRIDGE, Addresses, BridgeAddresses, LanAddresses
from controllers.cloud.local.arp import GratuitousArp
from controllers.cloud.local.disks import LocalDisks
from controllers.cloud.local.load_balancers import LocalLoadBalancers
from controllers.cloud.provider import CloudError, CloudProvider, Instance, Settings


class LocalInstances:
    """Nodes are what they say they are; none is ever declared gone, since only its machine could know."""

    async def find(self, node: Object) -> Instance | None:
        addresses = tuple((a["type"], a["address"]) for a in (node.get("status") or {}).get("addresses") or ())
        return Instance(provider_id=f"local://{name(node)}", addresses=addresses)


class LanTenure:
    """The addresses on the LAN are renewed while we lead; when we do not, none of them and no HAProxy stays here."""

    def __init__(self, addresses: LanAddresses, balancers: LocalLoadBalancers) -> None:
        self._addresses, self._balancers = addresses, balancers

    async def hold(self) -> None:
        await self._addresses.hold()

    async def stand_down(self) -> None:
        try:
            await self._balancers.clean()
        except (CloudError, OSError) as error:
            structlog.get_logger("load-balancers").error("not taken down", error=str(error))


def make(settings: Settings, commands: Commands, context: Context) -> CloudProvider:
    """The provider. Nothing is started or changed yet."""
    provider = CloudProvider("local", instances=LocalInstances(), disks=LocalDisks(context))
    if settings.interface:
        lan = LanAddresses(commands, settings.interface, settings.assured, GratuitousArp(), RealClock())
        balancers = _balancers(settings, lan, commands)
        provider.tenure = LanTenure(lan, balancers)
    else:
        balancers = _balancers(settings, BridgeAddresses(commands), commands)
    provider.load_balancers = balancers
    return provider


def _balancers(settings: Settings, addresses: Addresses, commands: Commands) -> LocalLoadBalancers:
    return LocalLoadBalancers(settings.state_dir.absolute() / "load-balancers", settings.pool, addresses, commands)


async def clean(settings: Settings, commands: Commands) -> None:
    """Remove every load balancer of this machine. What fails is logged."""
    addresses = BridgeAddresses(commands, settings.interface or OWN_BRIDGE)
    try:
        await _balancers(settings, addresses, commands).clean()
    except (CloudError, CommandError, OSError) as error:
        structlog.get_logger("cleanup").warning("not cleaned", error=str(error))
