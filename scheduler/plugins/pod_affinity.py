"""InterPodAffinity: near pods, away from pods, and what running pods ask of newcomers (the symmetry)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scheduler.counters import Question
from scheduler.framework import MAX_SCORE, Change, Cycle, Rejection
from scheduler.owners import Kind
from scheduler.podinfo import PodInfo
from scheduler.vectors import BoolArray, IntArray, Rows

HARD_POD_AFFINITY_WEIGHT = 1


def _per_domain(cycle: Cycle, topology_key: str, weights: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """(sum of `weights` over each row's domain, 0 without the label; domain id of each row)."""
    column = cycle.snapshot.labels.column(topology_key)
    ids = column.ids.a[: cycle.snapshot.size]
    labelled = ids >= 0
    totals = np.bincount(ids[labelled], weights=weights[: cycle.snapshot.size][labelled], minlength=len(column.values))
    return np.append(totals, 0.0)[ids], ids


def applies(cycle: Cycle) -> bool:
    """Whether the pod has required terms, or running pods keep others away."""
    template = cycle.template
    return bool(template.affinity or template.anti_affinity or cycle.snapshot.owned.any(Kind.ANTI))


def pod_affinity(cycle: Cycle, rows: Rows) -> list[Rejection]:
    """Required affinity, required anti-affinity, and the required anti-affinity of the pods that are there."""
    found: list[Rejection] = []
    template, snapshot = cycle.template, cycle.snapshot
    if template.affinity:
        found.append(Rejection(~_near(cycle)[rows], "node(s) didn't match pod affinity rules", resolvable=False))
    if template.anti_affinity:
        mask = np.zeros(snapshot.size, dtype=np.bool_)
        for term in template.anti_affinity:
            counts = snapshot.counters.count(Question((term.pods,)))
            mask |= _per_domain(cycle, term.topology_key, counts.a)[0] > 0
        found.append(Rejection(mask[rows], "node(s) didn't match pod anti-affinity rules"))
    owned = snapshot.owned.about(template, Kind.ANTI)
    if owned:
        mask = np.zeros(snapshot.size, dtype=np.bool_)
        for entry in owned:
            mask |= _per_domain(cycle, entry.term.topology_key, entry.weights.a)[0] > 0
        found.append(Rejection(mask[rows], "node(s) didn't satisfy existing pods anti-affinity rules"))
    return found


def _near(cycle: Cycle) -> BoolArray:
    """Rows where every required affinity term is met by pods that match all of them.

    The first pod of a group that has affinity to itself may go anywhere the labels exist.
    """
    template, snapshot = cycle.template, cycle.snapshot
    counts = snapshot.counters.count(Question(tuple(t.pods for t in template.affinity)))
    labelled = snapshot.alive.a[: snapshot.size].copy()
    met = labelled.copy()
    anybody = False
    for term in template.affinity:
        near, ids = _per_domain(cycle, term.topology_key, counts.a)
        labelled &= ids >= 0
        met &= near > 0
        anybody = anybody or bool((near > 0).any())
    met &= labelled
    if not anybody and all(
        t.pods.matches(template.namespace, template.labels, snapshot.namespaces) for t in template.affinity
    ):
        return labelled
    return met


def has_preferences(cycle: Cycle) -> bool:
    """Whether the pod or a running pod prefers anything."""
    template, owned = cycle.template, cycle.snapshot.owned
    return bool(template.preferred or template.preferred_anti or owned.any(Kind.PREFERRED) or owned.any(Kind.NEAR))


def affinity_score(cycle: Cycle, rows: Rows, feasible: BoolArray | None) -> IntArray | None:
    """0..100 between the least and the most wanted feasible node; None when all are wanted alike."""
    template, snapshot = cycle.template, cycle.snapshot
    args = cycle.args.get("InterPodAffinity") or {}
    hard_weight = args.get("hardPodAffinityWeight", HARD_POD_AFFINITY_WEIGHT)
    parts: list[tuple[str, int, NDArray[Any]]] = []
    for weighted in template.preferred:
        parts.append((weighted.term.topology_key, weighted.weight, _running(cycle, weighted.term.pods)))
    for weighted in template.preferred_anti:
        parts.append((weighted.term.topology_key, -weighted.weight, _running(cycle, weighted.term.pods)))
    if not (args.get("ignorePreferredTermsOfExistingPods") and not parts):
        parts += [(o.term.topology_key, 1, o.weights.a) for o in snapshot.owned.about(template, Kind.PREFERRED)]
    if hard_weight:
        parts += [(o.term.topology_key, hard_weight, o.weights.a) for o in snapshot.owned.about(template, Kind.NEAR)]
    if not parts or feasible is None:
        return None
    total = np.zeros(snapshot.size, dtype=np.float64)
    for topology_key, weight, counts in parts:
        total += weight * _per_domain(cycle, topology_key, counts)[0]
    wanted = total[feasible]
    least, most = wanted.min(), wanted.max()
    if most == least:
        return None
    points: IntArray = (MAX_SCORE * ((total - least) / (most - least))).astype(np.int64)
    return points[rows]


def _running(cycle: Cycle, pods: Any) -> NDArray[Any]:
    return cycle.snapshot.counters.count(Question((pods,))).a


def affinity_hint(pod: PodInfo, change: Change) -> bool:
    """A pod that the terms speak of, or that may itself have kept the newcomer away; any change of a node."""
    if change.pod is None:
        return True
    if change.pod.template.anti_affinity:
        return True
    template = pod.template
    if any(t.pods.namespace_selector is not None for t in (*template.affinity, *template.anti_affinity)):
        return True
    other = change.pod.template
    return any(t.pods.matches(other.namespace, other.labels, {}) for t in (*template.affinity, *template.anti_affinity))
