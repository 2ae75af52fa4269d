"""Runs the cloud controllers that the provider has parts for, while it is the leader."""

from __future__ import annotations

import argparse
import asyncio

from client import timing
from client.command import Commands
from client.controller import Context, Controller
from client.daemon import Daemon, identity
from client.events import EventRecorder
from client.informer import InformerFactory
from client.leader import LeaderElector
from client.rest import ApiClient
from controllers.cloud.nodes import CloudNodes
from controllers.cloud.provider import CloudProvider, Settings
from controllers.cloud.providers import PROVIDERS
from controllers.cloud.provisioner import Provisioner
from controllers.cloud.service import ServiceLoadBalancers

LEASE = "cloud-controller-manager"


def settings_of(flags: argparse.Namespace) -> Settings:
    """A provider's settings from the flags."""
    return Settings(flags.state_dir, flags.load_balancer_pool, flags.load_balancer_interface)


async def serve(daemon: Daemon, flags: argparse.Namespace) -> None:
    """Run until cancelled. Raises LostLeadership when the Lease is lost."""
    async with ApiClient.from_kubeconfig(flags.kubeconfig, "cloudlet-cloud") as client:

        async def work() -> None:
            await _run(daemon, client, flags)

        if not flags.leader_elect:
            await work()
            return
        daemon.ready()  # a stand-by is ready, too: it waits for the Lease
        await LeaderElector(client, LEASE, identity(), timing=timing.of(flags)).run(work)


async def _run(daemon: Daemon, client: ApiClient, flags: argparse.Namespace) -> None:
    context = Context(client, InformerFactory(client), EventRecorder(client, "cloudlet-cloud"))
    provider = PROVIDERS[flags.provider](settings_of(flags), Commands(), context)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(context.recorder.run())
        controllers = _controllers(context, provider)
        tasks.create_task(context.informers.run())
        for controller in controllers:
            tasks.create_task(controller.run(), name=controller.name)
        await context.informers.wait_synced()
        daemon.ready()


def _controllers(context: Context, provider: CloudProvider) -> list[Controller]:
    found: list[Controller] = []
    if provider.load_balancers:
        found.append(ServiceLoadBalancers(context, provider.load_balancers))
    if provider.disks:
        found.append(Provisioner(context, provider.disks))
    if provider.instances:
        found.append(CloudNodes(context, provider.instances))
    return found
