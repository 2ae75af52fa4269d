"""NodeName, NodeUnschedulable, TaintToleration, NodeAffinity, ImageLocality: what a node is, whoever runs on it."""

from __future__ import annotations

import numpy as np

from scheduler.framework import MAX_SCORE, Cycle, Rejection
from scheduler.vectors import BoolArray, IntArray, Rows

UNSCHEDULABLE_TAINT = "node.kubernetes.io/unschedulable"
_MEGABYTE = 1024 * 1024
_MIN_IMAGE, _MAX_IMAGE = 23 * _MEGABYTE, 1000 * _MEGABYTE


def node_name(cycle: Cycle, rows: Rows) -> list[Rejection]:
    """`spec.nodeName` is set: no other node will do."""
    wanted = cycle.template.node_name
    if not wanted:
        return []
    mask = np.ones(cycle.snapshot.size, dtype=np.bool_)
    row = cycle.snapshot.rows.get(wanted)
    if row is not None:
        mask[row] = False
    return [Rejection(mask[rows], "node(s) didn't match the requested node name", resolvable=False)]


def node_unschedulable(cycle: Cycle, rows: Rows) -> list[Rejection]:
    """Cordoned nodes, unless the pod tolerates their taint (daemons do)."""
    cordoned = cycle.column(cycle.snapshot.unschedulable.a, rows)
    if not cordoned.any() or cycle.template.tolerates(UNSCHEDULABLE_TAINT, "", "NoSchedule"):
        return []
    return [Rejection(cordoned, "node(s) were unschedulable", resolvable=False)]


def untolerated(cycle: Cycle, rows: Rows) -> BoolArray | None:
    """Rows with a NoSchedule or NoExecute taint that the pod does not tolerate; None if there are none."""
    mask: BoolArray | None = None
    for (key, value, effect), present in cycle.snapshot.taints.items():
        if effect in ("NoSchedule", "NoExecute") and not cycle.template.tolerates(key, value, effect):
            column = cycle.column(present.a, rows)
            mask = column if mask is None else mask | column
    return mask


def taint_toleration(cycle: Cycle, rows: Rows) -> list[Rejection]:
    """Taints. The sentence names none of them since Kubernetes 1.35 (a pod's owner may not read nodes)."""
    mask = untolerated(cycle, rows)
    return [] if mask is None else [Rejection(mask, "node(s) had untolerated taint(s)", resolvable=False)]


def taint_score(cycle: Cycle, rows: Rows, _: BoolArray | None) -> IntArray | None:
    """The number of PreferNoSchedule taints not tolerated; fewer is better."""
    total: IntArray | None = None
    for (key, value, effect), present in cycle.snapshot.taints.items():
        if effect == "PreferNoSchedule" and not cycle.template.tolerates(key, value, effect):
            column = cycle.column(present.a, rows).astype(np.int64)
            total = column if total is None else total + column
    return total


def selected(cycle: Cycle, rows: Rows) -> BoolArray | None:
    """Rows that satisfy the pod's nodeSelector and required node affinity; None if it has neither."""
    template, labels = cycle.template, cycle.snapshot.labels
    span = cycle.span(rows)
    mask: BoolArray | None = None
    if template.node_selector:
        mask = labels.matching(template.node_selector, span)
    if template.node_affinity is not None:
        wanted = template.node_affinity.mask(labels, span, cycle.length(rows))
        mask = wanted if mask is None else mask & wanted
    return mask


def node_affinity(cycle: Cycle, rows: Rows) -> list[Rejection]:
    """nodeSelector and required node affinity."""
    mask = selected(cycle, rows)
    if mask is None:
        return []
    return [Rejection(~mask, "node(s) didn't match Pod's node affinity/selector", resolvable=False)]


def affinity_names(cycle: Cycle) -> frozenset[str] | None:
    """The nodes the affinity names by metadata.name, if it names them all: daemon pods do."""
    affinity = cycle.template.node_affinity
    return affinity.names() if affinity is not None and affinity.terms else None


def affinity_score(cycle: Cycle, rows: Rows, _: BoolArray | None) -> IntArray | None:
    """The weights of the preferred terms that match; more is better. An empty preference matches every node."""
    preferred = cycle.template.preferred_nodes
    if not preferred:
        return None
    total = np.zeros(cycle.length(rows), dtype=np.int64)
    for weight, term in preferred:
        total += weight * cycle.snapshot.labels.matching(term, cycle.span(rows)) if term else weight
    return total


def _tagged(image: str) -> str:
    """The name with `:latest` where it has neither tag nor digest."""
    return image if image.rfind(":") > image.rfind("/") else f"{image}:latest"


def image_locality(cycle: Cycle, rows: Rows, _: BoolArray | None) -> IntArray | None:
    """Bytes of the pod's images that a node has, each scaled by how many nodes have it (so that none draws all pods)."""
    snapshot, names = cycle.snapshot, cycle.template.images
    sums: IntArray | None = None
    for name in names:
        image = snapshot.images.get(_tagged(name))
        if image is None:
            continue
        if sums is None:
            sums = np.zeros(snapshot.size, dtype=np.int64)
        sums[list(image.rows)] += int(image.size * (len(image.rows) / snapshot.count))
    if sums is None:
        return None
    most = _MAX_IMAGE * len(names)
    return MAX_SCORE * (np.clip(sums[rows], _MIN_IMAGE, most) - _MIN_IMAGE) // (most - _MIN_IMAGE)
