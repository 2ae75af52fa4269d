"""The scheduling loop: take a pod, choose its node, assume it there, write it down; what fails goes back to its queue.

Choosing is synchronous and one at a time. Everything that waits for the API runs beside it, so that the next pod is placed
while the last ones are being bound; how many may be under way is bounded.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Coroutine
from functools import partial
from typing import Any, Protocol

import structlog

from api.errors import ApiError, Conflict, NotFound
from client.clock import Clock, RealClock
from client.events import EventType
from scheduler import metrics
from scheduler.binding import PodWriter, VolumesNotBound
from scheduler.config import Config
from scheduler.cycle import Algorithm, Diagnosis, Placement
from scheduler.messages import unschedulable
from scheduler.plugins.volumes import plan_for
from scheduler.podinfo import PodInfo
from scheduler.preemption import Preemption, Verdict
from scheduler.queue import QueuedPod, SchedulingQueue
from scheduler.snapshot import Snapshot
from scheduler.state import State
from scheduler.volumes import Plan
from scheduler.wiring import Sources
from scheduler.writes import Writes

_BINDS_AT_ONCE, _BINDS_WAITING = 16, 256
_SLICE_SECONDS = 0.01
"""How long cycles may run before the event loop gets a turn."""


class Recorder(Protocol):
    """Where events go (`client.events.EventRecorder`)."""

    def event(self, obj: dict[str, Any], kind: EventType, reason: str, message: str) -> None: ...


class Scheduler:
    """All profiles over one snapshot and one queue."""

    def __init__(
        self,
        sources: Sources,
        writer: PodWriter,
        recorder: Recorder,
        config: Config | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        config = config or Config()
        self._sources, self._writer, self._recorder = sources, writer, recorder
        self._clock = clock or RealClock()
        namespaces: dict[str, Any] = {}
        self.snapshot = Snapshot(namespaces)
        self.queue = SchedulingQueue(self._clock, initial=config.initial_backoff, longest=config.longest_backoff)
        self.algorithms = {
            p.name: Algorithm(self.snapshot, p, sources.catalog, sources.workloads, rng) for p in config.profiles
        }
        self._preemptions = {n: Preemption(a, rng) for n, a in self.algorithms.items()}
        self.state = State(self.snapshot, self.queue, namespaces, self.algorithms)
        self._writes = Writes(self._clock)
        self._slots = asyncio.Semaphore(_BINDS_AT_ONCE)
        self._binding = 0
        self._room = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger("scheduler")
        for place in ("active", "backoff", "unschedulable", "gated"):
            metrics.PENDING.labels(place).set_function(partial(self._size, place))

    def _size(self, place: str) -> float:
        return self.queue.sizes()[place]

    async def run(self) -> None:
        """Schedule until cancelled. The informers must have synced."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._writes.run(), name="conditions")
            tasks.create_task(self._loop(), name="cycles")

    async def _loop(self) -> None:
        try:
            while True:
                queued: QueuedPod | None = await self.queue.pop()
                until = time.monotonic() + _SLICE_SECONDS
                while queued is not None:
                    self.schedule_one(queued)
                    while self._binding >= _BINDS_WAITING:
                        self._room.clear()
                        await self._room.wait()
                    if time.monotonic() > until:
                        await asyncio.sleep(0)
                        until = time.monotonic() + _SLICE_SECONDS
                    queued = self.queue.pop_nowait()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def schedule_one(self, queued: QueuedPod) -> None:
        """One cycle for one pod, to the point where only writing is left."""
        info = queued.info
        name = info.pod["spec"].get("schedulerName", "default-scheduler")
        algorithm = self.algorithms[name]
        began = time.perf_counter()
        try:
            result = algorithm.schedule(info, self.state.rivals(info) if self.state.nominated else ())
            if isinstance(result, Placement):
                self._placed(queued, algorithm, result)
            else:
                self._unschedulable(queued, name, result)
        except Exception:  # a pod that a plugin cannot digest must not stop the others
            self._log.exception("cycle failed", pod=info.key)
            metrics.ATTEMPTS.labels("error", name).inc()
            self.queue.retry(queued)
            return
        metrics.ATTEMPT_SECONDS.observe(time.perf_counter() - began)

    # --- a node was found

    def _placed(self, queued: QueuedPod, algorithm: Algorithm, result: Placement) -> None:
        info = queued.info
        plan = plan_for(algorithm.cycle(info), result.row) if info.template.claims else Plan()
        placed = self.state.assume(info, result.node)
        self._sources.catalog.reserve(plan, result.node)
        self._binding += 1
        self._spawn(self._bind(queued, placed, plan, self._clock.now()), f"bind {info.key}")

    async def _bind(self, queued: QueuedPod, placed: PodInfo, plan: Plan, began: float) -> None:
        info, counted = queued.info, True
        try:
            if plan:
                # Provisioning may take minutes: it must not hold up pods that need none.
                self._bound_or_not()
                counted = False
                claims = [f"{info.template.namespace}/{c}" for c in info.template.claims]
                await self._writer.bind_volumes(plan, self._sources.catalog, claims, placed.node)
            async with self._slots:
                await self._writer.bind(placed, placed.node)
        except VolumesNotBound as error:
            self._failed(queued, placed, str(error))
        except ApiError as error:
            await self._unclear(queued, placed, error)
        else:
            self._bound(queued, placed, began)
        finally:
            self._sources.catalog.release(plan)
            if counted:
                self._bound_or_not()

    def _bound_or_not(self) -> None:
        self._binding -= 1
        self._room.set()

    def _bound(self, queued: QueuedPod, placed: PodInfo, began: float) -> None:
        info, name = queued.info, placed.pod["spec"].get("schedulerName", "default-scheduler")
        self.queue.remove(info.uid)
        self.state.nominate(info, "")
        now = self._clock.now()
        metrics.ATTEMPTS.labels("scheduled", name).inc()
        metrics.BIND_SECONDS.observe(now - began)
        metrics.POD_SECONDS.observe(now - queued.first)
        self._recorder.event(placed.pod, "Normal", "Scheduled", f"Successfully assigned {placed.key} to {placed.node}")

    async def _unclear(self, queued: QueuedPod, placed: PodInfo, error: ApiError) -> None:
        """The write failed, or its answer was lost: only the API knows which."""
        if isinstance(error, NotFound):
            self.state.forget(placed)
            self.queue.remove(placed.uid)
            return
        try:
            node = await self._writer.node_of(placed)
        except ApiError:
            node = ""
        if node is None:
            self.state.forget(placed)
            self.queue.remove(placed.uid)
        elif node == placed.node:
            self._bound(queued, placed, self._clock.now())
        elif node:
            self.state.forget(placed)  # somebody else bound it; the informer brings it
            self.queue.remove(placed.uid)
        else:
            prefix = "" if isinstance(error, Conflict) else "binding rejected: "
            self._failed(queued, placed, f"{prefix}{error.message}")

    def _failed(self, queued: QueuedPod, placed: PodInfo, message: str) -> None:
        name = placed.pod["spec"].get("schedulerName", "default-scheduler")
        self._log.warning("binding failed", pod=placed.key, node=placed.node, error=message)
        metrics.ATTEMPTS.labels("error", name).inc()
        self.state.forget(placed)
        self.queue.retry(queued)
        self._explain(queued.info, "SchedulerError", message, None)

    # --- no node was found

    def _unschedulable(self, queued: QueuedPod, name: str, diagnosis: Diagnosis) -> None:
        info = queued.info
        metrics.ATTEMPTS.labels("unschedulable", name).inc()
        verdict = Verdict(None)
        if diagnosis.total and self.algorithms[name].profile.preemption:
            metrics.PREEMPTIONS.inc()
            rivals = self.state.rivals(info) if self.state.nominated else ()
            verdict = self._preemptions[name].evaluate(info, diagnosis, self._sources.budgets(), rivals)
        message = unschedulable(diagnosis, verdict.message)
        nominated: str | None = None
        if verdict.victims is not None:
            nominated = verdict.victims.node
        elif verdict.clear and info.nominated:
            nominated = ""
        if nominated is not None:
            self.state.nominate(info, nominated)
        # Without nodes nothing rejected the pod; the first node to come is what it waits for.
        self.queue.unschedulable(queued, diagnosis.plugins or {"NodeName"})
        self._explain(info, "Unschedulable", message, nominated)
        if verdict.victims is not None:
            metrics.VICTIMS.observe(len(verdict.victims.pods))
            self._spawn(self._preempt(info, verdict), f"preempt for {info.key}")

    def _explain(self, info: PodInfo, reason: str, message: str, nominated: str | None) -> None:
        self._recorder.event(info.pod, "Warning", "FailedScheduling", message)
        queued = self.queue.get(info.uid)
        pod = queued.info.pod if queued else info.pod
        self._writes.put(info.uid, partial(self._condition, pod, reason, message, nominated))

    async def _condition(self, pod: dict[str, Any], reason: str, message: str, nominated: str | None) -> None:
        try:
            await self._writer.set_condition(pod, reason, message, nominated)
        except NotFound:
            return

    async def _preempt(self, info: PodInfo, verdict: Verdict) -> None:
        if verdict.victims is None:
            return
        node = verdict.victims.node
        for lesser in [p for p in self.state.nominated.values() if p.nominated == node and p.priority < info.priority]:
            # They will not fit any more; let them look elsewhere.
            self.state.nominate(lesser, "")
            self._writes.put(lesser.uid, partial(self._clear_nomination, lesser.pod))
            self.queue.activate(lesser.uid)
        try:
            for victim in verdict.victims.pods:
                if not victim.terminating:
                    await self._writer.evict(victim, info)
                    self._recorder.event(
                        victim.pod, "Normal", "Preempted", f"Preempted by pod {info.uid} on node {node}"
                    )
        except ApiError as error:
            self._log.warning("preemption failed", pod=info.key, node=node, error=error.message)
            self.queue.activate(info.uid)

    async def _clear_nomination(self, pod: dict[str, Any]) -> None:
        try:
            await self._writer.clear_nomination(pod)
        except NotFound:
            return

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._log.error("a task ended by an error", task=task.get_name(), exc_info=error)
