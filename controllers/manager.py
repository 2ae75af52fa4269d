"""Runs the controllers of the table in one process, over one client and one set of informers, while it is the leader."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from client.controller import Context
from client.daemon import Daemon, identity
from client.events import EventRecorder
from client.informer import InformerFactory
from client.leader import LeaderElector
from client.rest import ApiClient
from client.timing import Timing
from controllers.settings import Settings
from controllers.table import TABLE

LEASE = "kube-controller-manager"


async def serve(daemon: Daemon, kubeconfig: str, settings: Settings, names: list[str], timing: Timing | None) -> None:
    """Run until cancelled; with a `timing` only while holding the Lease. Raises LostLeadership when that is lost."""
    async with ApiClient.from_kubeconfig(kubeconfig, "cloudlet-controllers") as client:

        async def work() -> None:
            await run_controllers(daemon, client, settings, names)

        if timing is None:
            await work()
            return
        daemon.ready()  # a stand-by is ready, too: it waits for the Lease
        await LeaderElector(client, LEASE, identity(), timing=timing).run(work)


async def run_controllers(daemon: Daemon, client: ApiClient, settings: Settings, names: list[str]) -> None:
    """Build the named controllers, start their informers, and run them until cancelled."""
    recorder = EventRecorder(client, "cloudlet-controllers")
    context = Context(client=client, informers=InformerFactory(client), recorder=recorder)
    built = {name: TABLE[name](replace(context, recorder=recorder.named(component(name))), settings) for name in names}
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(recorder.run(), name="events")
        tasks.create_task(context.informers.run(), name="informers")
        for name, controller in built.items():
            if controller is None:
                daemon.log.info("left out for want of settings", controller=name)
            else:
                tasks.create_task(controller.run(), name=name)
        await context.informers.wait_synced()
        daemon.ready()


def component(name: str) -> str:
    """Who an event says it comes from: `job-controller`, `replication-controller`."""
    return {"replicationcontroller-controller": "replication-controller"}.get(name, name)
