"""The scheduling cycle: one pod, all nodes, the best of them. Pure: it reads the snapshot and changes nothing.

What can be kept is kept on a *board*, one for each template and profile: the mask and the scores of STATIC plugins until a
node changes, those of LOCAL plugins row by row as pods come and go. So a second replica costs a look at the rows that have
changed since the first one and a search for the maximum.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scheduler.framework import Cycle, Defaults, Plugin, Refusal, Rejection, Scope, Volumes
from scheduler.podinfo import PodInfo
from scheduler.registry import PLUGINS
from scheduler.snapshot import Snapshot
from scheduler.template import Template
from scheduler.vectors import EVERY, BoolArray, IntArray, Rows

_BOARD_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Profile:
    """A named set of plugins with their weights: pods choose one by `spec.schedulerName`."""

    name: str = "default-scheduler"
    plugins: tuple[Plugin, ...] = PLUGINS
    weights: Mapping[str, int] = field(default_factory=lambda: {p.name: p.weight for p in PLUGINS})
    args: Mapping[str, Any] = field(default_factory=dict)
    preemption: bool = True
    gates: bool = True


@dataclass(slots=True)
class Diagnosis:
    """Why no node will do.

    `reasons` counts nodes by sentence; `plugins` are those that rejected; `candidates` the rows where removing pods might
    help; `refusal` is set instead when the pod was refused before any node was looked at.
    """

    total: int
    reasons: dict[str, int] = field(default_factory=dict)
    plugins: set[str] = field(default_factory=set)
    candidates: list[int] = field(default_factory=list)
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Placement:
    """The node chosen, and among how many that would do."""

    node: str
    row: int
    feasible: int


class _Board:
    """What is known about one template: see the module. `ranked` is the LOCAL score, -1 where the pod cannot go."""

    __slots__ = ("diagnosis", "epoch", "feasible", "local", "moment", "ranked", "scores", "size", "static")

    def __init__(self) -> None:
        self.epoch, self.moment, self.size = -1, -1, 0
        self.static: BoolArray = np.zeros(0, dtype=np.bool_)
        self.feasible: BoolArray = self.static
        self.local: IntArray = np.zeros(0, dtype=np.int64)
        self.ranked: IntArray = self.local
        self.scores: list[tuple[Plugin, IntArray]] = []
        self.diagnosis: tuple[int, int, Diagnosis] | None = None


class Algorithm:
    """Places pods of one profile. `rng` breaks ties and is injectable, so that tests are repeatable."""

    def __init__(
        self,
        snapshot: Snapshot,
        profile: Profile | None = None,
        volumes: Volumes | None = None,
        defaults: Defaults | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.snapshot = snapshot
        self.profile = profile or Profile()
        self.volumes, self.defaults = volumes, defaults
        self._rng = rng or random.Random()  # noqa: S311 - a tie between equal nodes
        self._boards: OrderedDict[Template, _Board] = OrderedDict()
        weights = self.profile.weights
        by_scope = {s: [p for p in self.profile.plugins if p.scope is s] for s in Scope}
        self._filters = {s: [p for p in ps if p.filter] for s, ps in by_scope.items()}
        self._scorers = {s: [p for p in ps if p.score and weights.get(p.name)] for s, ps in by_scope.items()}

    def cycle(self, pod: PodInfo) -> Cycle:
        """The context that the plugins are given for one pod."""
        return Cycle(self.snapshot, pod, self.volumes, self.defaults, dict(self.profile.args))

    def schedule(self, pod: PodInfo, nominated: Iterable[PodInfo] = ()) -> Placement | Diagnosis:
        """Choose a node, or say why there is none.

        `nominated` are pods of at least this priority that wait for room on a node they were promised.
        """
        board = self._boards.get(pod.template)
        if board is not None and board.diagnosis is not None:
            epoch, moment, diagnosis = board.diagnosis
            if (epoch, moment) == (self.snapshot.epoch, self.snapshot.moment):
                return diagnosis  # a replica failed a moment ago, and nothing has changed since
        cycle = self.cycle(pod)
        for plugin in self.profile.plugins:
            if plugin.prefilter is not None and (refusal := plugin.prefilter(cycle)):
                return self._refused(plugin, refusal)
        board = self._board(cycle)
        feasible, narrowed = board.feasible, False
        for plugin in self._filters[Scope.GLOBAL]:
            if plugin.filter is None or (plugin.filters and not plugin.filters(cycle)):
                continue
            for rejection in plugin.filter(cycle, EVERY):
                feasible = feasible & ~rejection.mask
                narrowed = True
        lost = self._promised(cycle, feasible, nominated)
        if lost:
            feasible, narrowed = feasible.copy(), True
            feasible[lost] = False
        promised = self.snapshot.rows.get(pod.nominated) if pod.nominated else None
        if promised is not None and feasible[promised]:
            return Placement(pod.nominated, promised, 1)
        placement = self._best(cycle, board, feasible, narrowed)
        if placement is not None:
            return placement
        diagnosis = self.diagnose(cycle)
        if not lost and not pod.template.claims:  # both depend on more than the snapshot
            board.diagnosis = (self.snapshot.epoch, self.snapshot.moment, diagnosis)
        return diagnosis

    def fits(self, cycle: Cycle, rows: Rows) -> BoolArray:
        """Which of `rows` pass every filter as things stand. For few rows: nothing is kept."""
        mask = cycle.column(self.snapshot.alive.a, rows).copy()
        cycle.memo.clear()
        for plugin in self.profile.plugins:
            if plugin.filter is not None and not (plugin.filters and not plugin.filters(cycle)):
                for rejection in plugin.filter(cycle, rows):
                    mask &= ~rejection.mask
        return mask

    def diagnose(self, cycle: Cycle, rows: Rows = EVERY) -> Diagnosis:
        """Ask the filters once more, in order, to count what each rejects. For every row, or for a few of them."""
        alive = cycle.column(self.snapshot.alive.a, rows).copy()
        left = alive
        diagnosis = Diagnosis(self.snapshot.count)
        hopeless = np.zeros(len(alive), dtype=np.bool_)
        for plugin, rejections, named in self._verdicts(cycle, rows):
            rejected = np.zeros(len(left), dtype=np.bool_)
            for rejection in rejections:
                fresh = rejection.mask & left
                if not plugin.all_reasons or named:
                    fresh &= ~rejected
                if number := int(fresh.sum()):
                    diagnosis.reasons[rejection.reason] = diagnosis.reasons.get(rejection.reason, 0) + number
                    diagnosis.plugins.add(plugin.name)
                    rejected |= fresh
                    if not rejection.resolvable:
                        hopeless |= fresh
            left = left & ~rejected
        candidates = np.flatnonzero(alive & ~left & ~hopeless)
        diagnosis.candidates = (candidates if isinstance(rows, slice) else rows[candidates]).tolist()
        return diagnosis

    def _verdicts(self, cycle: Cycle, rows: Rows) -> Iterable[tuple[Plugin, list[Rejection], bool]]:
        for plugin in self.profile.plugins:
            if plugin.narrow is not None and (names := plugin.narrow(cycle)) is not None:
                mask = np.ones(self.snapshot.size, dtype=np.bool_)
                mask[[self.snapshot.rows[n] for n in names if n in self.snapshot.rows]] = False
                reason = f"node(s) didn't satisfy plugin(s) [{plugin.name}]"
                yield plugin, [Rejection(mask[rows], reason, resolvable=False)], True
        for plugin in self.profile.plugins:
            if plugin.filter is not None and not (plugin.filters and not plugin.filters(cycle)):
                yield plugin, plugin.filter(cycle, rows), False

    def _refused(self, plugin: Plugin, refusal: Refusal) -> Diagnosis:
        return Diagnosis(self.snapshot.count, plugins={plugin.name}, refusal=refusal.reason)

    # --- the board

    def _board(self, cycle: Cycle) -> _Board:
        board = self._boards.get(cycle.template)
        if board is None:
            board = self._boards[cycle.template] = _Board()
            if len(self._boards) > max(16, _BOARD_BYTES // (40 * self.snapshot.pool.capacity)):
                self._boards.popitem(last=False)
        else:
            self._boards.move_to_end(cycle.template)
        snapshot = self.snapshot
        if board.epoch != snapshot.epoch:
            self._refresh_static(cycle, board)
        changed = snapshot.changed_since(board.moment) if board.moment >= 0 else None
        if changed is None or len(changed) * 4 > snapshot.size:
            self._refresh_local(cycle, board, EVERY)
        elif changed:
            self._refresh_local(cycle, board, np.unique(np.array(changed, dtype=np.intp)))
        board.moment = snapshot.moment
        return board

    def _refresh_static(self, cycle: Cycle, board: _Board) -> None:
        snapshot = self.snapshot
        mask = snapshot.alive.a[: snapshot.size].copy()
        for plugin in self._filters[Scope.STATIC]:
            for rejection in plugin.filter(cycle, EVERY) if plugin.filter else ():
                mask &= ~rejection.mask
        board.static = mask
        board.scores = []
        for plugin in self._scorers[Scope.STATIC]:
            raw = plugin.score(cycle, EVERY, None) if plugin.score else None
            if raw is not None:
                board.scores.append((plugin, raw))
        board.epoch, board.moment, board.size = snapshot.epoch, -1, snapshot.size
        board.feasible = np.zeros(snapshot.size, dtype=np.bool_)
        board.local = np.zeros(snapshot.size, dtype=np.int64)
        board.ranked = np.zeros(snapshot.size, dtype=np.int64)

    def _refresh_local(self, cycle: Cycle, board: _Board, rows: Rows) -> None:
        mask = board.static[rows].copy()
        for plugin in self._filters[Scope.LOCAL]:
            for rejection in plugin.filter(cycle, rows) if plugin.filter else ():
                mask &= ~rejection.mask
        total = np.zeros(len(mask), dtype=np.int64)
        for plugin in self._scorers[Scope.LOCAL]:
            scores = plugin.score(cycle, rows, None) if plugin.score else None
            if scores is not None:
                if plugin.normalize is not None:
                    raise TypeError(f"{plugin.name}: a LOCAL score cannot be normalised over the nodes")
                total += self.profile.weights[plugin.name] * scores
        board.feasible[rows] = mask
        board.local[rows] = total
        board.ranked[rows] = np.where(mask, total, -1)

    # --- nominated pods, scores, choice

    def _promised(self, cycle: Cycle, feasible: BoolArray, nominated: Iterable[PodInfo]) -> list[int]:
        """Feasible rows that are not, once the pods nominated to them have come (Kubernetes filters twice)."""
        by_row: dict[int, list[PodInfo]] = {}
        for other in nominated:
            row = self.snapshot.rows.get(other.nominated)
            if other.uid != cycle.pod.uid and row is not None and feasible[row]:
                by_row.setdefault(row, []).append(other.assumed(other.nominated))
        lost = []
        for row, pods in by_row.items():
            for pod in pods:
                self.snapshot.add_pod(pod)
            if not self.fits(cycle, np.array([row], dtype=np.intp))[0]:
                lost.append(row)
            for pod in pods:
                self.snapshot.remove_pod(pod)
        cycle.memo.clear()
        return lost

    def _best(self, cycle: Cycle, board: _Board, feasible: BoolArray, narrowed: bool) -> Placement | None:
        ranked = self.totals(cycle, board, feasible, narrowed)
        if not len(ranked):
            return None
        best = int(ranked.max())
        if best < 0:
            return None
        ties = np.flatnonzero(ranked == best)
        row = int(ties[int(self._rng.random() * len(ties))]) if len(ties) > 1 else int(ties[0])
        return Placement(self.snapshot.names[row], row, int(np.count_nonzero(feasible)))

    def totals(self, cycle: Cycle, board: _Board, feasible: BoolArray, narrowed: bool) -> IntArray:
        """The weighted sum of all scores on every row, -1 where the pod cannot go."""
        weights = self.profile.weights
        scorers = [p for p in self._scorers[Scope.GLOBAL] if not p.scores or p.scores(cycle)]
        if not scorers and not board.scores and not narrowed:
            return board.ranked
        if not feasible.any():
            return np.full(len(feasible), -1, dtype=np.int64)
        total = board.local.copy()
        for plugin, raw in board.scores:
            if plugin.normalize is None:
                total += weights[plugin.name] * raw
            else:
                total[feasible] += weights[plugin.name] * plugin.normalize(raw[feasible])
        for plugin in scorers:
            scores = plugin.score(cycle, EVERY, feasible) if plugin.score else None
            if scores is not None:
                total += weights[plugin.name] * scores
        return np.where(feasible, total, -1)

    def scores(self, pod: PodInfo) -> dict[str, int]:
        """The total of every feasible node by name, for tests and for explaining a choice."""
        cycle = self.cycle(pod)
        board = self._board(cycle)
        feasible = self.fits(cycle, EVERY)
        total = self.totals(cycle, board, feasible, True)
        return {self.snapshot.names[row]: int(total[row]) for row in np.flatnonzero(feasible).tolist()}
