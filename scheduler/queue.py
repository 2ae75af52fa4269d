"""The three queues of pods that want a node.

Promises: *active* hands out the highest priority first, within it the pod that has waited longest; a pod that failed waits
in *back-off* for 1 s, doubling to 10 s with each attempt; a pod that no node can take waits in *unschedulable* until an event
that could help (see `move`), five minutes at most; a pod with scheduling gates waits until they are gone. A pod is in one
place at a time and is handed out to one caller at a time.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from client.clock import Clock, RealClock, Timer
from scheduler.podinfo import PodInfo
from scheduler.template import Template

INITIAL_SECONDS, LONGEST_SECONDS, FLUSH_SECONDS = 1.0, 10.0, 300.0
PLACES = ("active", "backoff", "unschedulable", "gated", "working")

Group = tuple[Template, frozenset[str]]
"""Pods of one template that failed for the same plugins: one decision wakes them all."""


@dataclass(slots=True, eq=False)
class QueuedPod:
    """A pod on its way: `first` and `since` are clock seconds, `plugins` those that rejected it last."""

    info: PodInfo
    first: float
    attempts: int = 0
    since: float = 0.0
    plugins: frozenset[str] = frozenset()
    gated: bool = False
    place: str = ""
    group: Group | None = None
    message: str = ""
    order: tuple[int, float, int] = field(default=(0, 0.0, 0))


class SchedulingQueue:
    """See the module. All methods are synchronous but `pop`."""

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        initial: float = INITIAL_SECONDS,
        longest: float = LONGEST_SECONDS,
        flush: float = FLUSH_SECONDS,
    ) -> None:
        self._clock = clock or RealClock()
        self._initial, self._longest, self._flush = initial, longest, flush
        self._pods: dict[str, QueuedPod] = {}
        self._active: list[tuple[tuple[int, float, int], QueuedPod]] = []
        self._later: list[tuple[float, int, QueuedPod]] = []
        # In the order of `since`: a dict keeps the order of insertion.
        self._stuck: dict[str, QueuedPod] = {}
        self._groups: dict[Group, dict[str, QueuedPod]] = {}
        self._sizes = dict.fromkeys(PLACES, 0)
        self._count = itertools.count()
        self._timer: tuple[float, Timer] | None = None
        self._arrived = asyncio.Event()

    def __len__(self) -> int:
        return len(self._pods)

    def get(self, uid: str) -> QueuedPod | None:
        """A pod that is queued or being worked on."""
        return self._pods.get(uid)

    def sizes(self) -> dict[str, int]:
        """Pods by place: active, backoff, unschedulable, gated, working. Safe to call from another thread."""
        return dict(self._sizes)

    # --- pods come, change, go

    def add(self, info: PodInfo, gated: bool = False) -> None:
        """A pending pod has appeared (or its gates have gone)."""
        pod = self._pods.get(info.uid)
        if pod is None:
            pod = self._pods[info.uid] = QueuedPod(info, self._clock.now())
        pod.info = info
        if gated:
            self._leave(pod)
            self._put(pod, "gated")
            pod.gated = True
        elif pod.place in ("", "gated"):
            pod.gated = False
            self._activate(pod)

    def update(self, info: PodInfo, helps: bool) -> None:
        """A queued pod has changed; `helps` when its spec or labels did, so that it may fit now."""
        pod = self._pods.get(info.uid)
        if pod is None:
            return
        pod.info = info
        if pod.place == "active" and -info.priority != pod.order[0]:
            self._activate(pod)
        elif pod.place == "unschedulable" and helps:
            self._leave(pod)
            self._wait_or_go(pod)

    def remove(self, uid: str) -> None:
        """The pod is gone, assigned, or none of our business any more."""
        pod = self._pods.pop(uid, None)
        if pod is not None:
            self._leave(pod)

    def __contains__(self, uid: object) -> bool:
        return uid in self._pods

    # --- the scheduler takes and returns pods

    async def pop(self) -> QueuedPod:
        """The next pod to schedule; waits for one. Give it back with `unschedulable`, `retry` or `remove`."""
        while True:
            pod = self.pop_nowait()
            if pod is not None:
                return pod
            self._arrived.clear()
            await self._arrived.wait()

    def pop_nowait(self) -> QueuedPod | None:
        """The next pod, or None."""
        while self._active:
            order, pod = heapq.heappop(self._active)
            if pod.place == "active" and pod.order == order:
                self._put(pod, "working")
                pod.attempts += 1
                return pod
        return None

    def unschedulable(self, pod: QueuedPod, plugins: Iterable[str]) -> None:
        """No node can take it: wait for an event that `plugins` care for."""
        if self._pods.get(pod.info.uid) is not pod:
            return
        pod.plugins = frozenset(plugins)
        pod.since = self._clock.now()
        self._put(pod, "unschedulable")
        pod.group = (pod.info.template, pod.plugins)
        self._groups.setdefault(pod.group, {})[pod.info.uid] = pod
        self._stuck[pod.info.uid] = pod
        self._set_timer()

    def retry(self, pod: QueuedPod) -> None:
        """Something went wrong that is not the pod's fault: try again after its back-off."""
        if self._pods.get(pod.info.uid) is not pod:
            return
        self._leave(pod)
        pod.since = self._clock.now()
        self._wait_or_go(pod)

    def activate(self, uid: str) -> None:
        """Let a waiting pod be tried at once."""
        pod = self._pods.get(uid)
        if pod is not None and pod.place in ("unschedulable", "backoff"):
            self._leave(pod)
            self._activate(pod)

    def move(self, helps: Callable[[QueuedPod], bool]) -> int:
        """An event has happened: wake the unschedulable pods that it `helps`, asked once for each group."""
        moved = 0
        for group, members in list(self._groups.items()):
            if helps(next(iter(members.values()))):
                moved += len(members)
                for pod in list(members.values()):
                    self._leave(pod)
                    self._wait_or_go(pod)
                self._groups.pop(group, None)
        return moved

    @property
    def waiting(self) -> bool:
        """Whether any pod is unschedulable: without one, events need no thought."""
        return bool(self._groups)

    # --- inner workings

    def backoff(self, attempts: int) -> float:
        """Seconds to wait after that many attempts."""
        return float(min(self._initial * 2 ** max(0, min(attempts, 30) - 1), self._longest))

    def _wait_or_go(self, pod: QueuedPod) -> None:
        due = pod.since + self.backoff(pod.attempts)
        if due <= self._clock.now():
            self._activate(pod)
            return
        self._put(pod, "backoff")
        heapq.heappush(self._later, (due, next(self._count), pod))
        self._set_timer()

    def _activate(self, pod: QueuedPod) -> None:
        self._put(pod, "active")
        pod.order = (-pod.info.priority, pod.first, next(self._count))
        heapq.heappush(self._active, (pod.order, pod))
        self._arrived.set()

    def _put(self, pod: QueuedPod, place: str) -> None:
        if pod.place:
            self._sizes[pod.place] -= 1
        if place:
            self._sizes[place] += 1
        pod.place = place

    def _leave(self, pod: QueuedPod) -> None:
        self._put(pod, "")
        if pod.group is not None:
            self._stuck.pop(pod.info.uid, None)
            members = self._groups.get(pod.group)
            if members is not None:
                members.pop(pod.info.uid, None)
                if not members:
                    del self._groups[pod.group]
            pod.group = None

    def _set_timer(self) -> None:
        while self._later and not self._backs_off(*self._later[0]):
            heapq.heappop(self._later)
        due = [self._later[0][0]] if self._later else []
        if self._stuck:
            due.append(next(iter(self._stuck.values())).since + self._flush)
        if not due:
            return
        when = min(due)
        if self._timer is not None:
            if self._timer[0] <= when:
                return
            self._timer[1].cancel()
        self._timer = (when, self._clock.call_later(max(0.0, when - self._clock.now()), self._due))

    def _backs_off(self, when: float, _: int, pod: QueuedPod) -> bool:
        return pod.place == "backoff" and when == pod.since + self.backoff(pod.attempts)

    def _due(self) -> None:
        self._timer = None
        now = self._clock.now() + 1e-6
        while self._later and self._later[0][0] <= now:
            entry = heapq.heappop(self._later)
            if self._backs_off(*entry):
                self._leave(entry[2])
                self._activate(entry[2])
        for pod in list(self._stuck.values()):
            if pod.since + self._flush > now:
                break
            self._leave(pod)
            self._wait_or_go(pod)
        self._set_timer()
