"""The proxy as a whole: kernel settings, firewall, rules, DNS, and the news from the kernel that set things right again."""

from __future__ import annotations

import argparse
import asyncio
import contextlib

from client.clock import RealClock
from client.command import Commands
from client.daemon import Daemon
from client.rest import ApiClient
from proxy import machine, netlink
from proxy.agent import Agent, Settings
from proxy.dns import DnsServer, Resolver
from proxy.dns_forward import Forwarder
from proxy.forwarding import Forwarding
from proxy.netlink import TableEvent
from proxy.nft import KernelNft
from proxy.ruleset import TABLE

# Docker rewrites its chains rule by rule; look when it has finished.
_FIREWALL_PAUSE = 0.5


async def serve(daemon: Daemon, flags: argparse.Namespace, client: ApiClient, commands: Commands) -> None:
    """Run until cancelled. The rules stay when the proxy stops: established Services go on working."""
    settings = Settings(flags.hostname_override, flags.cluster_cidr, flags.cluster_dns, flags.cluster_domain)
    await machine.apply_settings(commands)
    agent = Agent(settings, client, commands, KernelNft(commands))
    firewall_changed = asyncio.Event()
    firewall_changed.set()

    def on_table(event: TableEvent) -> None:
        if event.deleted and f"{event.family} {event.table}" == TABLE:
            daemon.log.warning("somebody deleted our table, building it again")
            agent.syncer.request(full=True)
        elif event.family == "ip" and event.table == "filter":
            firewall_changed.set()

    def on_lost() -> None:
        agent.syncer.request(full=True)
        firewall_changed.set()

    listeners = [netlink.listen_tables(on_table, on_lost), netlink.listen_addresses(agent.machine_changed)]
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(agent.run())
            tasks.create_task(_keep_forwarding(Forwarding(commands, flags.cluster_cidr), firewall_changed))
            tasks.create_task(_serve_dns(daemon, agent, settings, commands))
    finally:
        for listener in listeners:
            listener.close()


async def _keep_forwarding(forwarding: Forwarding, changed: asyncio.Event) -> None:
    while True:
        await changed.wait()
        changed.clear()
        await forwarding.ensure()
        await asyncio.sleep(_FIREWALL_PAUSE)


async def _serve_dns(daemon: Daemon, agent: Agent, settings: Settings, commands: Commands) -> None:
    """Answer once the zone is complete; then the proxy is ready."""
    await agent.syncer.applied.wait()
    async with contextlib.AsyncExitStack() as stack:
        if settings.cluster_dns:
            await machine.add_dns_address(commands, settings.cluster_dns)
            resolver = Resolver(agent.zone, Forwarder(RealClock(), settings.cluster_dns))
            await stack.enter_async_context(DnsServer(resolver, settings.cluster_dns))
        daemon.ready()
        await asyncio.Event().wait()
