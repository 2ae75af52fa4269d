"""Takes everything the proxy has put into the kernel out again."""

from __future__ import annotations

import structlog

from client.command import CommandError, Commands
from proxy import machine, syncer
from proxy.forwarding import Forwarding
from proxy.nft import Nft
from proxy.routes import Routes


async def clean(commands: Commands, nft: Nft, cluster_cidr: str) -> None:
    """Remove table, firewall rules, routes and the DNS address. What fails is logged, the rest still done."""
    log = structlog.get_logger("cleanup")
    for name, step in (
        # First, because only a rule of the table keeps other machines away from 127.0.0.1 while this is set.
        ("route_localnet", commands.run("sysctl", "-q", "-w", "net.ipv4.conf.all.route_localnet=0")),
        ("nftables", syncer.remove_table(nft)),
        ("firewall", Forwarding(commands, cluster_cidr).remove()),
        ("routes", Routes(commands).sync({})),
        ("dns", machine.remove_dns_address(commands)),
    ):
        try:
            await step
        except CommandError as error:
            log.warning("not cleaned", what=name, error=str(error))
