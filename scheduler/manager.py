"""Puts the process together: client, informers, events, leader election, scheduler."""

from __future__ import annotations

import asyncio
import gc

from api.errors import ApiError
from api.types import Resource
from client.backoff import Backoff
from client.clock import RealClock
from client.daemon import Daemon, identity
from client.events import EventRecorder
from client.informer import InformerFactory
from client.leader import LeaderElector, LostLeadership
from client.rest import ApiClient
from client.timing import Timing
from scheduler.binding import PodWriter
from scheduler.config import Config
from scheduler.scheduler import Scheduler
from scheduler.wiring import OPTIONAL, Sources, served

_SYNC_SECONDS = 120.0


async def serve(daemon: Daemon, kubeconfig: str, config: Config, lease: str, timing: Timing) -> None:
    """Run until cancelled; with a `lease` name only while holding it. Raises LostLeadership."""
    async with ApiClient.from_kubeconfig(kubeconfig, "cloudlet-scheduler") as client:
        recorder = EventRecorder(client, "default-scheduler")
        informers = InformerFactory(client)
        sources = Sources(informers, await _ask(daemon, client))
        scheduler = Scheduler(sources, PodWriter(client), recorder, config)
        sources.follow(scheduler.state)

        async def work() -> None:
            await scheduler.run()
            raise RuntimeError("the scheduling loop has ended")

        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(recorder.run(), name="events")
                tasks.create_task(informers.run(), name="informers")
                await informers.wait_synced(_SYNC_SECONDS)
                # What is there now stays; the collector need not look at it again and again.
                gc.collect()
                gc.freeze()
                daemon.ready()
                await (LeaderElector(client, lease, identity(), timing=timing).run(work) if lease else work())
        except BaseExceptionGroup as group:
            if lost := group.subgroup(LostLeadership):
                raise LostLeadership(str(lost.exceptions[0])) from group
            raise


async def _ask(daemon: Daemon, client: ApiClient) -> set[Resource]:
    """Which optional resources the server has; waits for a server that is not there yet."""
    backoff, clock = Backoff(longest=5.0), RealClock()
    while True:
        try:
            return await served(client, OPTIONAL)
        except ApiError as error:
            delay = backoff.next()
            daemon.log.warning("waiting for the API server", error=error.message, retry_in=round(delay, 2))
            await clock.sleep(delay)
