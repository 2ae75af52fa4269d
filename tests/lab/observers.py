"""What is watched beside the clients of a recording: the leaders' Leases, and the containers of pods that may run once."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from api import meta, resources, timestamp
from api.errors import ApiError, Expired, Gone
from api.types import Object
from client.backoff import Backoff
from client.clock import Clock, RealClock
from client.command import CommandError
from client.rest import ApiClient
from tests.lab.leases import Glimpse, LeaseHistory, Tenure
from tests.lab.machines import Machine
from tests.lab.runs import Run

LEASES = ("kube-controller-manager", "kube-scheduler", "cloud-controller-manager")
_POLL_SECONDS, _WATCH_SECONDS = 1.0, 10
_LABEL = "io.cloudlet."
"""The kubelet's prefix for what a container is (kubelet/runtime.py)."""


def tenure(lease: Object) -> Tenure:
    """What a Lease says."""
    spec = lease.get("spec") or {}
    return Tenure(
        lease=meta.name(lease),
        revision=int(meta.resource_version(lease)),
        holder=str(spec.get("holderIdentity") or ""),
        duration=float(spec.get("leaseDurationSeconds") or 0),
        acquired=_seconds(spec.get("acquireTime")),
        renewed=_seconds(spec.get("renewTime")),
    )


def _seconds(text: str | None) -> float:
    return timestamp.parse(text).timestamp() if text else 0.0


class LeaseObserver:
    """Watches and reads the leaders' Leases. `run` until cancelled; the history is complete for each watch in it."""

    def __init__(self, client: ApiClient, clock: Clock | None = None) -> None:
        self.history = LeaseHistory()
        self._client, self._clock = client, clock or RealClock()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            group.create_task(self._read())

    async def _list(self) -> tuple[list[Glimpse], str]:
        begin = self._clock.now()
        async with asyncio.timeout(5):
            answer = await self._client.list(resources.LEASES, "kube-system")
        end = self._clock.now()
        found = [Glimpse(tenure(item), begin, end) for item in answer["items"] if meta.name(item) in LEASES]
        return found, meta.resource_version(answer)

    async def _read(self) -> None:
        while True:
            with contextlib.suppress(ApiError, TimeoutError):
                self.history.read += (await self._list())[0]
            await self._clock.sleep(_POLL_SECONDS)

    async def _watch(self) -> None:
        version, backoff = "", Backoff(0.1, 1.0)
        while True:
            try:
                if not version:
                    found, version = await self._list()
                    self.history.told.append(found)
                async with asyncio.timeout(_WATCH_SECONDS + 2):
                    async for event in self._client.watch(
                        resources.LEASES, "kube-system", resource_version=version, timeout_seconds=_WATCH_SECONDS
                    ):
                        version = meta.resource_version(event["object"])
                        backoff.reset()
                        self._told(event)
            except (Expired, Gone):
                version = ""
            except (ApiError, TimeoutError):
                pass
            await self._clock.sleep(backoff.next())

    def _told(self, event: Object) -> None:
        if event["type"] != "BOOKMARK" and meta.name(event["object"]) in LEASES:
            self.history.told[-1].append(Glimpse(tenure(event["object"]), float("-inf"), self._clock.now()))


@dataclass(slots=True)
class _Container:
    run: Run
    ended: bool = False


class ContainerObserver:
    """Follows Docker's events on one machine, for the pods of one namespace. Times are Docker's, by the machine's clock.

    Where the stream broke off (the machine lost its power), a container counts as running only as long as that is certain.
    """

    def __init__(self, machine: Machine, namespace: str, clock: Clock | None = None) -> None:
        self._machine, self._clock = machine, clock or RealClock()
        self._filters = (
            "--filter", f"label={_LABEL}pod.namespace={namespace}",
            "--filter", f"label={_LABEL}kind=container",
        )  # fmt: skip
        self._containers: dict[str, _Container] = {}

    @property
    def runs(self) -> list[Run]:
        """What certainly ran."""
        return [container.run for container in self._containers.values()]

    async def run(self) -> None:
        """Until cancelled."""
        backoff = Backoff(0.5, 2.0)
        while True:
            with contextlib.suppress(CommandError):
                since = await self.look()
                backoff.reset()
                async for line in self._machine.follow(
                    "docker", "events", "--since", f"{since:.6f}", "--format", "{{json .}}", "--filter",
                    "type=container", "--filter", "event=start", "--filter", "event=die", *self._filters,
                ):  # fmt: skip
                    self.apply(json.loads(line))
            await self._clock.sleep(backoff.next())

    async def look(self) -> float:
        """See what runs now; the machine's time just before. Raises CommandError."""
        now = float(await self._machine.run("date", "+%s.%N"))
        ids = (await self._machine.run("docker", "ps", "--quiet", "--no-trunc", *self._filters)).split()
        if ids:
            # One that ends in between makes the command fail; then its end is among the events.
            for container in json.loads(await self._machine.run("docker", "inspect", *ids)):
                labels, started = container["Config"]["Labels"], container["State"]["StartedAt"]
                self._running(container["Id"], labels, datetime.fromisoformat(started).timestamp(), now)
        return now

    def apply(self, event: Any) -> None:
        """One event of `docker events`."""
        moment, actor = event["timeNano"] / 1e9, event["Actor"]
        if event["Action"] == "start":
            self._running(actor["ID"], actor["Attributes"], moment, moment)
        elif container := self._containers.get(actor["ID"]):
            container.run = replace(container.run, end=max(container.run.end, moment))
            container.ended = True

    def _running(self, container: str, labels: dict[str, str], start: float, now: float) -> None:
        found = self._containers.get(container)
        if found is None:
            pod = f"{labels[_LABEL + 'pod.namespace']}/{labels[_LABEL + 'pod.name']}"
            uid, name = labels[_LABEL + "pod.uid"], labels[_LABEL + "container.name"]
            run = Run(self._machine.name, pod, uid, name, container, start, max(start, now))
            self._containers[container] = _Container(run)
        elif not found.ended:
            found.run = replace(found.run, end=max(found.run.end, now))
