"""The fault matrix: one case after the other on a lab, each with clients at work, a checked history and a row of a table."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from api import resources
from api.errors import ApiError
from api.types import Object
from client.backoff import Backoff
from client.command import CommandError
from tests.e2e.manifests import evicted_after
from tests.lab import history, leases, runs
from tests.lab.cases import Case
from tests.lab.cluster import Lab, NotWhole
from tests.lab.faults import Impossible, Target
from tests.lab.observers import ContainerObserver, LeaseObserver
from tests.lab.operations import Violation
from tests.lab.recorder import Recorder

_SET = "once"
_RATE = 25.0
_WRITES = 40
"""Acknowledged before a fault and after it."""
_WHOLE_SECONDS = 240.0
_SET_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Row:
    """What a case showed, in seconds: nobody could write for `outage`, one of the clients could not for `worst`.

    `problem` says why there are no figures.
    """

    case: Case
    outage: float = 0.0
    worst: float = 0.0
    acknowledged: int = 0
    violations: tuple[Violation, ...] = ()
    recovered: float = 0.0
    problem: str = ""
    impossible: bool = False

    @property
    def lost(self) -> int:
        """Acknowledged writes that are gone."""
        return sum(violation.promise == "lost" for violation in self.violations)

    @property
    def good(self) -> bool:
        """Nothing promised was broken; a fault that this lab cannot have breaks nothing."""
        return not self.violations and (self.impossible or not self.problem)


HEADER = (
    f"{'FAULT':<14} {'COMPONENT':<31} {'OUTAGE':>7} {'CLIENT':>7} {'WRITES':>7} {'LOST':>5} {'VIOLATIONS':>11} "
    f"{'RECOVERED':>10}"
)


def line(row: Row) -> str:
    """The row of a table under `HEADER`."""
    name = f"{row.case.fault.name:<14} {row.case.where:<31}"
    if row.problem:
        return f"{name} {'not possible here' if row.impossible else 'FAILED'}: {row.problem}"
    figures = (
        f"{row.outage:>6.2f}s {row.worst:>6.2f}s {row.acknowledged:>7} {row.lost:>5} {len(row.violations):>11} "
        f"{row.recovered:>9.1f}s"
    )
    return f"{name} {figures}"


@dataclass
class Matrix:
    """Runs cases. `image` is one of the machines' own images with a shell; `single_clock` whether their clocks agree."""

    lab: Lab
    image: str
    single_clock: bool = True
    _containers: list[ContainerObserver] = field(default_factory=list)
    _namespace: str = ""

    @asynccontextmanager
    async def ready(self) -> AsyncIterator[None]:
        """With a StatefulSet whose pods must never run twice, and an observer of its containers on each machine."""
        async with self.lab.namespace("lab-once") as self._namespace, self.lab.client() as client:
            self._containers = [ContainerObserver(machine, self._namespace) for machine in self.lab.machines]
            async with _background(*(each.run() for each in self._containers)):
                await client.create(resources.STATEFULSETS, _stateful_set(self.image), self._namespace)
                await self._set_ready()
                yield

    async def run(self, case: Case) -> Row:
        """One case on a whole cluster, which is whole again afterwards unless the row has a problem."""
        try:
            await self.lab.whole(_WHOLE_SECONDS)
            targets = [await component.target(self.lab) for component in case.components]
            if len(set(map(str, targets))) < len(targets):
                return Row(case, problem=f"{targets[0]} is all of them", impossible=True)
            return await self._measured(case, targets)
        except Impossible as error:
            return Row(case, problem=str(error), impossible=True)
        except (ApiError, CommandError, LookupError, NotWhole, TimeoutError) as error:
            return Row(case, problem=str(error) or type(error).__name__)

    async def _measured(self, case: Case, targets: list[Target]) -> Row:
        async with AsyncExitStack() as stack:
            namespace = await stack.enter_async_context(self.lab.namespace("lab"))
            observer = LeaseObserver(await stack.enter_async_context(self.lab.client()))
            await stack.enter_async_context(_background(observer.run()))
            recorder = await stack.enter_async_context(Recorder(self.lab.config, namespace, rate=_RATE))
            await recorder.worked(_WRITES)
            await self._fault(case, targets)
            recovered = await self.lab.whole(_WHOLE_SECONDS)
            await recorder.worked(_WRITES)
            await self._set_ready()
            recorded = await recorder.finish()
            found = history.check(recorded)
            found += leases.check(observer.history, 0.1 if self._agree(case) else None)
            found += await self._twice()
            return Row(case, recorder.outage(), recorder.worst(), len(recorded.acknowledged()), tuple(found), recovered)

    async def _fault(self, case: Case, targets: list[Target]) -> None:
        """At all targets at once, held, healed."""
        hold = case.fault.hold if case.hold is None else case.hold
        async with AsyncExitStack() as stack:
            await asyncio.gather(*(stack.enter_async_context(case.fault.inject(target)) for target in targets))
            await self.lab.clock.sleep(hold)

    def _agree(self, case: Case) -> bool:
        return self.single_clock and not case.fault.name.startswith("clock")

    async def _set_ready(self) -> None:
        """Wait until every pod of the StatefulSet is ready. Raises TimeoutError."""
        backoff = Backoff(0.2, 1.0)
        async with asyncio.timeout(_SET_SECONDS), self.lab.client() as client:
            while True:
                with contextlib.suppress(ApiError):
                    found = await client.get(resources.STATEFULSETS, _SET, self._namespace)
                    if (found.get("status") or {}).get("readyReplicas") == found["spec"]["replicas"]:
                        return
                await self.lab.clock.sleep(backoff.next())

    async def _twice(self) -> list[Violation]:
        """What ran twice so far."""
        await asyncio.gather(*(observer.look() for observer in self._containers))
        tolerance = 0.05 if self.single_clock else 1.0
        return runs.check((run for observer in self._containers for run in observer.runs), tolerance)


def _stateful_set(image: str) -> Object:
    script = "trap 'exit 0' TERM; while :; do sleep 3600 & wait; done"
    container = {"name": "main", "image": image, "command": ["sh", "-c", script]}
    pod = {"terminationGracePeriodSeconds": 1, "tolerations": evicted_after(2), "containers": [container]}
    labels = {"app": _SET}
    return {
        "metadata": {"name": _SET},
        "spec": {
            "replicas": 3,
            "serviceName": _SET,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


@asynccontextmanager
async def _background(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Work that goes on meanwhile. What it raises, it raises here at the end."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
