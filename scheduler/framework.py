"""What a plugin is, and what it is given.

A plugin answers for many nodes at once: `filter` returns which rows it rejects and why, `score` a number for each row. Three
scopes say how long an answer holds, so that the cycle computes nothing twice:

- STATIC depends on the pod's template and on the nodes themselves (labels, taints, images);
- LOCAL depends besides on the pods of the same row (resources, ports): only rows that changed are asked again;
- GLOBAL depends on other rows (spreading, affinity) or other objects (volumes): asked in every cycle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, IntFlag, auto
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from api.types import Object
from scheduler.podinfo import PodInfo
from scheduler.snapshot import Snapshot
from scheduler.template import SpreadConstraint, Template
from scheduler.vectors import BoolArray, IntArray, Rows

MAX_SCORE = 100


class Scope(Enum):
    """How far a plugin looks; see the module."""

    STATIC = auto()
    LOCAL = auto()
    GLOBAL = auto()


class Event(IntFlag):
    """Changes in the cluster that can make a pod schedulable."""

    NODE_ADD = auto()
    NODE_LABEL = auto()
    NODE_TAINT = auto()
    NODE_ALLOCATABLE = auto()
    POD_ADD = auto()
    POD_LABEL = auto()
    POD_SHRINK = auto()
    POD_DELETE = auto()
    CLAIM = auto()
    VOLUME = auto()
    STORAGE_CLASS = auto()
    NAMESPACE = auto()


NOTHING = Event(0)
NODE = Event.NODE_ADD | Event.NODE_LABEL | Event.NODE_TAINT | Event.NODE_ALLOCATABLE
"""Everything that can change about a node."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Some rows are refused: `mask` is as long as the rows asked about.

    `resolvable` says whether removing pods could help (Kubernetes: Unschedulable, not UnschedulableAndUnresolvable).
    """

    mask: BoolArray
    reason: str
    resolvable: bool = True


@dataclass(frozen=True, slots=True)
class Refusal:
    """The pod is refused whatever the node (a PreFilter that fails)."""

    reason: str


class Volumes(Protocol):
    """Claims, volumes and classes as the volume plugins read them (see `scheduler.volumes`)."""

    def claim(self, namespace: str, name: str) -> Object | None: ...

    def volume(self, name: str) -> Object | None: ...

    def storage_class(self, name: str) -> Object | None: ...

    def available(self, storage_class: str) -> Iterable[Object]: ...

    def reserved_for(self, volume: str) -> str | None: ...


class Defaults(Protocol):
    """Where default spread constraints come from (see `scheduler.workloads`)."""

    def constraints(self, template: Template) -> tuple[SpreadConstraint, ...]: ...


@dataclass(slots=True)
class Cycle:
    """One pod being placed. `memo` is scratch space for plugins, by name, alive for this cycle only."""

    snapshot: Snapshot
    pod: PodInfo
    volumes: Volumes | None = None
    defaults: Defaults | None = None
    args: dict[str, Any] = field(default_factory=dict)
    memo: dict[str, Any] = field(default_factory=dict)

    @property
    def template(self) -> Template:
        """The pod's template."""
        return self.pod.template

    def length(self, rows: Rows) -> int:
        """How many rows `rows` are."""
        return self.snapshot.size if isinstance(rows, slice) else len(rows)

    def column(self, array: NDArray[Any], rows: Rows) -> NDArray[Any]:
        """`array` on `rows`, without the spare capacity at its end."""
        return array[: self.snapshot.size] if isinstance(rows, slice) else array[rows]

    def span(self, rows: Rows) -> Rows:
        """`rows` for indexing a vector: never its spare capacity."""
        return slice(self.snapshot.size) if isinstance(rows, slice) else rows


Filter = Callable[[Cycle, Rows], list[Rejection]]
Score = Callable[[Cycle, Rows, "BoolArray | None"], "IntArray | None"]
"""Scores on `rows`, or None when all are equal. GLOBAL scorers also get the mask of feasible nodes."""
Normalize = Callable[[IntArray], IntArray]
"""From the raw scores of the feasible nodes to 0..100."""
Hint = Callable[[PodInfo, "Change"], bool]


@dataclass(frozen=True, slots=True)
class Change:
    """Something happened: to the node `node`, or to `obj` (a pod, claim, ...; `old` is its state before)."""

    event: Event
    node: str = ""
    obj: Object | None = None
    old: Object | None = None
    pod: PodInfo | None = None


@dataclass(frozen=True, slots=True)
class Plugin:
    """One row of the registry.

    `wakes` are the events after which a pod that this plugin rejected may fit; `hint` narrows them down. Events of one
    node (and of its pods) ask `filter` about that node alone unless the scope is GLOBAL. `narrow` names the only nodes
    that can be meant, `filters` and `scores` say cheaply whether the pod concerns a GLOBAL plugin at all. A node refused
    for several reasons is counted under the first, or with `all_reasons` under each.
    """

    name: str
    scope: Scope
    weight: int = 0
    prefilter: Callable[[Cycle], Refusal | None] | None = None
    narrow: Callable[[Cycle], frozenset[str] | None] | None = None
    filter: Filter | None = None
    score: Score | None = None
    normalize: Normalize | None = None
    wakes: Event = NOTHING
    hint: Hint | None = None
    filters: Callable[[Cycle], bool] | None = None
    scores: Callable[[Cycle], bool] | None = None
    all_reasons: bool = False


def highest_first(scores: IntArray) -> IntArray:
    """Kubernetes' DefaultNormalizeScore: the highest becomes 100."""
    most = int(scores.max())
    return scores if most == 0 else scores * MAX_SCORE // most


def lowest_first(scores: IntArray) -> IntArray:
    """DefaultNormalizeScore reversed: 0 becomes 100, the highest 0."""
    most = int(scores.max())
    if most == 0:
        return np.full_like(scores, MAX_SCORE)
    return MAX_SCORE - scores * MAX_SCORE // most
