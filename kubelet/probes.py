"""Startup, liveness and readiness probes of one pod: a task per probe of each running container.

Promises: nothing is probed before the startup probe has succeeded; a readiness probe starts as failed and a liveness probe
as passed; `successThreshold` and `failureThreshold` count in a row; the first probe comes right after `initialDelaySeconds`.
Source: Kubernetes' "Configure Liveness, Readiness and Startup Probes".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from api.types import Object
from client.clock import Clock
from kubelet.handlers import Outcome, Target
from kubelet.runtime import EngineDown

Kind = Literal["startupProbe", "livenessProbe", "readinessProbe"]
_WORDS: dict[Kind, str] = {"startupProbe": "Startup", "livenessProbe": "Liveness", "readinessProbe": "Readiness"}
Run = Callable[[Object, Target, float], Awaitable[Outcome]]
Tell = Callable[[Object, str, str, str], None]
"""(container, event type, reason, message)."""


@dataclass(slots=True)
class Tally:
    """Counts outcomes in a row against the thresholds. Pure."""

    successes_needed: int
    failures_needed: int
    state: bool
    streak: int = 0
    last: bool | None = None

    def add(self, ok: bool) -> bool:
        """Take one outcome; whether the state changed or was confirmed anew by a threshold just reached."""
        self.streak = self.streak + 1 if ok == self.last else 1
        self.last = ok
        needed = self.successes_needed if ok else self.failures_needed
        if self.streak < needed:
            return False
        changed = self.state != ok or (not ok and self.streak == needed)
        self.state = ok
        return changed


def _seconds(probe: Object, name: str, default: int) -> float:
    value = probe.get(name)
    return float(default if value is None else value)


class _Watched:
    """One running container and its probes' results."""

    def __init__(self, target: Target, began: float) -> None:
        self.target, self.began = target, began
        self.startup_over = asyncio.Event()
        self.ready = not target.container.get("readinessProbe")
        self.failed = ""
        self.failed_probe: Object = {}
        self.tasks: list[asyncio.Task[None]] = []


class Probes:
    """The probes of one pod. `changed` is called when a result changes what the pod looks like."""

    def __init__(self, run: Run, clock: Clock, changed: Callable[[], None], tell: Tell) -> None:
        self._run, self._clock, self._changed, self._tell = run, clock, changed, tell
        self._watched: dict[str, _Watched] = {}

    def follow(self, targets: Iterable[Target], age: Callable[[Target], float]) -> None:
        """Probe exactly these running containers; `age` is how many seconds ago one was started."""
        present = {t.container_id: t for t in targets}
        for container_id in [i for i in self._watched if i not in present]:
            self._end(container_id)
        for container_id, target in present.items():
            known = self._watched.get(container_id)
            if known is None:
                self._begin(target, self._clock.now() - age(target))
            elif known.target.address != target.address:
                known.target = target

    def _begin(self, target: Target, began: float) -> None:
        watched = self._watched[target.container_id] = _Watched(target, began)
        container = target.container
        if not container.get("startupProbe"):
            watched.startup_over.set()
        kinds: tuple[Kind, ...] = ("startupProbe", "livenessProbe", "readinessProbe")
        for kind in kinds:
            if probe := container.get(kind):
                name = f"{kind} {container['name']}"
                watched.tasks.append(asyncio.create_task(self._cycle(watched, kind, probe), name=name))

    def _end(self, container_id: str) -> None:
        for task in self._watched.pop(container_id).tasks:
            task.cancel()

    def stop(self, container_id: str) -> None:
        """Stop probing a container that is about to be stopped; its readiness stays what it was."""
        if watched := self._watched.get(container_id):
            for task in watched.tasks:
                task.cancel()

    def close(self) -> None:
        """End all probes."""
        for container_id in list(self._watched):
            self._end(container_id)

    def is_started(self, container_id: str) -> bool:
        """Whether a container needs no startup probe any more."""
        watched = self._watched.get(container_id)
        return watched is not None and watched.startup_over.is_set()

    def is_ready(self, container_id: str) -> bool:
        """Whether a container is ready as far as its probes say."""
        watched = self._watched.get(container_id)
        return watched is not None and watched.startup_over.is_set() and watched.ready

    def failure(self, container_id: str) -> str:
        """Why a container has to be killed, or an empty string."""
        watched = self._watched.get(container_id)
        return watched.failed if watched else ""

    def grace(self, container_id: str) -> int | None:
        """The grace period of the probe that failed, if it has one of its own."""
        watched = self._watched.get(container_id)
        value = watched.failed_probe.get("terminationGracePeriodSeconds") if watched else None
        return None if value is None else int(value)

    async def _cycle(self, watched: _Watched, kind: Kind, probe: Object) -> None:
        if kind != "startupProbe":
            await watched.startup_over.wait()
        first = watched.began + _seconds(probe, "initialDelaySeconds", 0) - self._clock.now()
        if first > 0:
            await self._clock.sleep(first)
        tally = Tally(
            int(_seconds(probe, "successThreshold", 1)),
            int(_seconds(probe, "failureThreshold", 3)),
            state=kind == "livenessProbe",
        )
        while True:
            begun = self._clock.now()
            if await self._once(watched, kind, probe, tally):
                return
            period = _seconds(probe, "periodSeconds", 10)
            await self._clock.sleep(max(0.05, period - (self._clock.now() - begun)))

    async def _once(self, watched: _Watched, kind: Kind, probe: Object, tally: Tally) -> bool:
        """Probe once and note the result; True when this probe has nothing more to do."""
        try:
            outcome = await self._run(probe, watched.target, max(1.0, _seconds(probe, "timeoutSeconds", 1)))
        except EngineDown:
            return False
        if not outcome.ok:
            text = f"{_WORDS[kind]} probe failed: {outcome.message}"
            self._tell(watched.target.container, "Warning", "Unhealthy", text)
        if not tally.add(outcome.ok):
            return False
        if kind == "readinessProbe":
            watched.ready = tally.state
        elif not tally.state:
            name = watched.target.container["name"]
            watched.failed = f"Container {name} failed {_WORDS[kind].lower()} probe, will be restarted"
            watched.failed_probe = probe
        elif kind == "startupProbe":
            watched.startup_over.set()
        self._changed()
        return (kind == "startupProbe") or bool(watched.failed)
