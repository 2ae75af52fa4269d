"""Runs the cloud controllers that the provider has parts for, while it is the leader."""

from __future__ import annotations

import argparse
import asyncio
import math
import socket
import uuid
from pathlib import Path

from client import timing
from client.command import Commands
from client.controller import Context, Controller
from client.daemon import Daemon
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


def settings_of(flags: argparse.Namespace, elector: LeaderElector | None = None) -> Settings:
    """A provider's settings from the flags; without an elector nobody else can ever lead."""
    assured = elector.assured if elector else lambda: math.inf
    return Settings(flags.state_dir, flags.load_balancer_pool, flags.load_balancer_interface, assured)


def candidate(state_dir: Path) -> str:
    """Who we are in the election: the same after a restart, so that we go on at once with what we left running."""
    place = state_dir / "identity"
    if not place.exists():
        state_dir.mkdir(parents=True, exist_ok=True)
        fresh = place.with_suffix(".new")
        fresh.write_text(f"{socket.gethostname()}_{uuid.uuid4()}")
        fresh.rename(place)
    return place.read_text().strip()


async def serve(daemon: Daemon, flags: argparse.Namespace) -> None:
    """Run until cancelled. Raises LostLeadership when the Lease is lost."""
    async with ApiClient.from_kubeconfig(flags.kubeconfig, "cloudlet-cloud") as client:
        elector = None
        if flags.leader_elect:
            elector = LeaderElector(client, LEASE, candidate(flags.state_dir), timing=timing.of(flags))
        context = Context(client, InformerFactory(client), EventRecorder(client, "cloudlet-cloud"))
        provider = PROVIDERS[flags.provider](settings_of(flags, elector), Commands(), context)
        if elector is None:
            await _run(daemon, context, provider)
            return
        daemon.ready()  # a stand-by is ready, too: it waits for the Lease
        await elect(elector, daemon, context, provider)


async def elect(elector: LeaderElector, daemon: Daemon, context: Context, provider: CloudProvider) -> None:
    """Work while we lead, and leave nothing on this machine that the next leader will have on its own."""

    async def stand_down() -> None:
        if provider.tenure:
            await provider.tenure.stand_down()

    async def work() -> None:
        try:
            await _run(daemon, context, provider)
        finally:
            await stand_down()

    await elector.run(work, stand_down)


async def _run(daemon: Daemon, context: Context, provider: CloudProvider) -> None:
    async with asyncio.TaskGroup() as tasks:
        if provider.tenure:
            tasks.create_task(provider.tenure.hold())
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
