"""PodTopologySpread (KEP-895, KEP-3022, KEP-3094, KEP-3243): pods of a kind even over zones, nodes or any label's values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scheduler.counters import Question
from scheduler.framework import MAX_SCORE, Change, Cycle, Event, Rejection
from scheduler.plugins.nodes import selected, untolerated
from scheduler.podinfo import PodInfo
from scheduler.template import SpreadConstraint
from scheduler.terms import PodTerm
from scheduler.vectors import EVERY, BoolArray, IntArray, Rows

HOSTNAME = "kubernetes.io/hostname"
_REASON = "node(s) didn't match pod topology spread constraints"


def _question(namespace: str, constraint: SpreadConstraint) -> Question:
    return Question((PodTerm(constraint.selector, frozenset((namespace,))),), living=True)


def _counts(cycle: Cycle, constraint: SpreadConstraint) -> NDArray[Any]:
    """Matching pods on every row. A selector that matches nothing (none was given) counts none."""
    size = cycle.snapshot.size
    if constraint.selector.nothing:
        return np.zeros(size, dtype=np.int32)
    return cycle.snapshot.counters.count(_question(cycle.template.namespace, constraint)).a[:size]


def _eligible(cycle: Cycle, constraint: SpreadConstraint) -> BoolArray:
    """Nodes whose pods count, by the constraint's nodeAffinityPolicy and nodeTaintsPolicy."""
    memo = cycle.memo.setdefault("spread", {})
    policy = (constraint.honor_affinity, constraint.honor_taints)
    mask: BoolArray | None = memo.get(policy)
    if mask is None:
        mask = cycle.snapshot.alive.a[: cycle.snapshot.size].copy()
        if constraint.honor_affinity and (wanted := selected(cycle, EVERY)) is not None:
            mask &= wanted
        if constraint.honor_taints and (repelled := untolerated(cycle, EVERY)) is not None:
            mask &= ~repelled
        memo[policy] = mask
    return mask


def _domains(cycle: Cycle, constraint: SpreadConstraint, where: BoolArray) -> tuple[NDArray[Any], NDArray[Any], int]:
    """Domain of every row (-1: none), pods in each domain, number of values. Only rows in `where` are counted."""
    column = cycle.snapshot.labels.column(constraint.topology_key)
    ids = column.ids.a[: cycle.snapshot.size]
    where = where & (ids >= 0)
    total = np.bincount(ids[where], weights=_counts(cycle, constraint)[where], minlength=len(column.values))
    return ids, total.astype(np.int64), len(column.values)


def _with_all_keys(cycle: Cycle, constraints: list[SpreadConstraint]) -> BoolArray:
    mask = cycle.snapshot.alive.a[: cycle.snapshot.size].copy()
    for constraint in constraints:
        mask &= cycle.snapshot.labels.ids(constraint.topology_key, slice(cycle.snapshot.size)) >= 0
    return mask


def has_hard(cycle: Cycle) -> bool:
    """Whether there is anything to filter by."""
    return any(c.hard for c in cycle.template.spread)


def spread(cycle: Cycle, rows: Rows) -> list[Rejection]:
    """DoNotSchedule constraints: the pod's domain may not lead the emptiest one by more than maxSkew."""
    hard = [c for c in cycle.template.spread if c.hard]
    if not hard:
        return []
    found: list[Rejection] = []
    complete = _with_all_keys(cycle, hard)
    for constraint in hard:
        where = complete & _eligible(cycle, constraint)
        ids, totals, values = _domains(cycle, constraint, where)
        missing = ids < 0
        if missing.any():
            found.append(Rejection(missing[rows], f"{_REASON} (missing required label)", resolvable=False))
        if not values:
            continue
        present = np.bincount(ids[where], minlength=values) > 0
        number = int(present.sum())
        # With fewer domains than minDomains, the ones still to come count as empty.
        least = int(totals[present].min()) if number and number >= constraint.min_domains else 0
        own = 1 if constraint.selector.matches(cycle.template.labels) else 0
        beyond = np.append(totals + own - least > constraint.max_skew, False)
        found.append(Rejection(beyond[ids][rows], _REASON))
    return found


def _soft(cycle: Cycle) -> tuple[list[SpreadConstraint], bool]:
    """ScheduleAnyway constraints, and whether they are the cluster's defaults."""
    if cycle.template.spread:
        return [c for c in cycle.template.spread if not c.hard], False
    return (list(cycle.defaults.constraints(cycle.template)), True) if cycle.defaults else ([], True)


def has_soft(cycle: Cycle) -> bool:
    """Whether there is anything to score by."""
    return bool(_soft(cycle)[0])


def spread_score(cycle: Cycle, rows: Rows, feasible: BoolArray | None) -> IntArray | None:
    """0..100 for each row: nodes in domains with few matching pods first, domains of rare keys weighing less.

    With the pod's own constraints, a node that lacks one of the labels gets 0.
    """
    soft, defaulted = _soft(cycle)
    if not soft or feasible is None:
        return None
    complete = _with_all_keys(cycle, soft)
    scored = feasible if defaulted else feasible & complete
    points = np.zeros(cycle.snapshot.size, dtype=np.float64)
    for constraint in soft:
        where = _eligible(cycle, constraint)
        where = where if defaulted else where & complete
        ids, totals, values = _domains(cycle, constraint, where)
        if constraint.topology_key == HOSTNAME:
            matching, number = _counts(cycle, constraint), int(scored.sum())
        else:
            number = len(np.unique(ids[scored & (ids >= 0)])) if values else 0
            matching = np.append(totals, 0)[ids]
        weighted = matching * math.log(number + 2) + (constraint.max_skew - 1)
        points += np.where(ids >= 0, weighted, 0.0)
    # Go's math.Round: halves away from zero, and nothing here is negative.
    raw = np.floor(points + 0.5).astype(np.int64)
    result = np.zeros(cycle.snapshot.size, dtype=np.int64)
    if not scored.any():
        return None
    values_scored = raw[scored]
    most, least = int(values_scored.max()), int(values_scored.min())
    result[scored] = MAX_SCORE if most == 0 else MAX_SCORE * (most + least - values_scored) // most
    return result[rows]


def spread_hint(pod: PodInfo, change: Change) -> bool:
    """Pods the constraints count, in the same namespace; any node that has or had one of the keys."""
    if change.pod is None:
        return True
    other = change.pod.template
    if other.namespace != pod.template.namespace:
        return False
    return change.event is Event.POD_LABEL or any(c.selector.matches(other.labels) for c in pod.template.spread)
