"""DefaultPreemption: which pods would have to go so that a more important one can come. Pure; the caller evicts.

Each candidate node is tried on the snapshot itself: take all less important pods out, see whether the newcomer fits, put
back as many as possible, the most important first, those that a PodDisruptionBudget protects before the others.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cmp_to_key

import numpy as np

from api.meta import labels, namespace
from api.selectors import from_object
from api.types import Object
from scheduler.cycle import Algorithm, Diagnosis
from scheduler.messages import no_node
from scheduler.podinfo import PodInfo
from scheduler.snapshot import Snapshot

MIN_CANDIDATES_PERCENT, MIN_CANDIDATES = 10, 100
NO_VICTIMS = "No preemption victims found for incoming pod"
NOT_HELPFUL = "Preemption is not helpful for scheduling"


@dataclass(frozen=True, slots=True)
class Victims:
    """What freeing `node` costs: the pods, most important first, and how many of them a budget protects."""

    node: str
    pods: tuple[PodInfo, ...]
    violations: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """`victims` to evict, or None with the sentence that says why not; `clear` when a nomination no longer holds."""

    victims: Victims | None
    message: str = ""
    clear: bool = False


def more_important(a: PodInfo, b: PodInfo) -> int:
    """Negative if `a` is: higher priority, then running for longer."""
    if a.priority != b.priority:
        return b.priority - a.priority
    return (a.started > b.started) - (a.started < b.started)


_BY_IMPORTANCE = cmp_to_key(more_important)


class Preemption:
    """Looks for victims on behalf of one profile. `rng` chooses where the search starts."""

    def __init__(self, algorithm: Algorithm, rng: random.Random | None = None) -> None:
        self._algorithm = algorithm
        self._rng = rng or random.Random()  # noqa: S311 - where a search starts

    @property
    def _snapshot(self) -> Snapshot:
        return self._algorithm.snapshot

    def evaluate(
        self,
        pod: PodInfo,
        diagnosis: Diagnosis,
        budgets: Sequence[Object] = (),
        nominated: Iterable[PodInfo] = (),
    ) -> Verdict:
        """Find the cheapest victims for a pod that no node can take. `nominated`: as in `Algorithm.schedule`."""
        if refusal := self._ineligible(pod, diagnosis):
            return Verdict(None, refusal)
        rows = diagnosis.candidates
        if rows and min(self._snapshot.priorities, default=pod.priority) >= pod.priority:
            # The usual case, where nobody is less important, must not cost a look at every node.
            reasons = {NO_VICTIMS: len(rows), NOT_HELPFUL: diagnosis.total - len(rows)}
            counted = {reason: number for reason, number in reasons.items() if number}
            return Verdict(None, no_node(diagnosis.total, counted), clear=True)
        wanted = min(len(rows), max(MIN_CANDIDATES, len(rows) * MIN_CANDIDATES_PERCENT // 100))
        offset = self._rng.randrange(len(rows)) if rows else 0
        found: list[Victims] = []
        reasons = {}
        awaited: dict[str, list[PodInfo]] = {}
        for other in nominated:
            if other.uid != pod.uid:
                awaited.setdefault(other.nominated, []).append(other.assumed(other.nominated))
        for row in rows[offset:] + rows[:offset]:
            guests = awaited.get(self._snapshot.names[row], [])
            for guest in guests:
                self._snapshot.add_pod(guest)
            victims = self._try(pod, row, budgets, reasons)
            for guest in guests:
                self._snapshot.remove_pod(guest)
            if victims is not None:
                found.append(victims)
                if len(found) >= wanted:
                    break
        if found:
            return Verdict(cheapest(found))
        if others := diagnosis.total - len(rows):
            reasons[NOT_HELPFUL] = others
        return Verdict(None, no_node(diagnosis.total, reasons), clear=True)

    def _ineligible(self, pod: PodInfo, diagnosis: Diagnosis) -> str:
        if pod.never_preempts:
            return "not eligible due to preemptionPolicy=Never."
        row = self._snapshot.rows.get(pod.nominated) if pod.nominated else None
        if row is not None and row in diagnosis.candidates:
            for other in self._snapshot.pods[row].values():
                if other.terminating and other.priority < pod.priority and _was_preempted(other):
                    return "not eligible due to a terminating pod on the nominated node."
        return ""

    def _try(self, pod: PodInfo, row: int, budgets: Sequence[Object], reasons: dict[str, int]) -> Victims | None:
        snapshot = self._snapshot
        potential = [p for p in snapshot.pods[row].values() if p.priority < pod.priority]
        if not potential:
            reasons[NO_VICTIMS] = reasons.get(NO_VICTIMS, 0) + 1
            return None
        potential.sort(key=_BY_IMPORTANCE)
        cycle = self._algorithm.cycle(pod)
        rows = np.array([row], dtype=np.intp)
        for victim in potential:
            snapshot.remove_pod(victim)
        out = list(potential)
        try:
            if not self._algorithm.fits(cycle, rows)[0]:
                for reason in self._algorithm.diagnose(cycle, rows).reasons:
                    reasons[reason] = reasons.get(reason, 0) + 1
                return None
            protected, free = split_by_budget(potential, budgets)
            violations = 0
            for victim in (*protected, *free):
                snapshot.add_pod(victim)
                if self._algorithm.fits(cycle, rows)[0]:
                    out.remove(victim)
                else:
                    snapshot.remove_pod(victim)
                    violations += victim in protected
        finally:
            for victim in out:
                snapshot.add_pod(victim)
        return Victims(snapshot.names[row], tuple(out), violations)


def _was_preempted(pod: PodInfo) -> bool:
    conditions = (pod.pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "DisruptionTarget" and c.get("reason") == "PreemptionByScheduler" for c in conditions)


def split_by_budget(pods: Iterable[PodInfo], budgets: Sequence[Object]) -> tuple[list[PodInfo], list[PodInfo]]:
    """(pods whose eviction would break a PodDisruptionBudget, the others), each in the order given."""
    left = [(b.get("status") or {}).get("disruptionsAllowed", 0) for b in budgets]
    selectors = [from_object((b.get("spec") or {}).get("selector")) for b in budgets]
    protected: list[PodInfo] = []
    free: list[PodInfo] = []
    for pod in pods:
        violates = False
        for number, budget in enumerate(budgets):
            mine = labels(pod.pod)
            if not mine or namespace(budget) != pod.template.namespace or selectors[number].is_everything:
                continue
            if not selectors[number].matches(mine):
                continue
            if pod.pod["metadata"]["name"] in ((budget.get("status") or {}).get("disruptedPods") or {}):
                continue  # already counted by the disruption controller
            left[number] -= 1
            violates = violates or left[number] < 0
        (protected if violates else free).append(pod)
    return protected, free


def cheapest(candidates: Sequence[Victims]) -> Victims:
    """Fewest budget violations, then lowest top priority, lowest sum of priorities, fewest pods, latest start.

    A candidate without victims costs nothing at all. Ties go to the first.
    """

    def cost(victims: Victims) -> tuple[int, int, int, int]:
        if not victims.pods:
            return (0, -(2**31) - 1, 0, 0)
        total = sum(p.priority + 2**31 for p in victims.pods)
        return (victims.violations, victims.pods[0].priority, total, len(victims.pods))

    least = min(cost(c) for c in candidates)
    equal = [c for c in candidates if cost(c) == least]
    return max(equal, key=_oldest_important) if equal[0].pods else equal[0]


def _oldest_important(victims: Victims) -> str:
    top = victims.pods[0].priority
    return min(p.started for p in victims.pods if p.priority == top)
