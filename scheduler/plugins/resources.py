"""NodePorts, NodeResourcesFit, NodeResourcesBalancedAllocation: what the pods of the same node leave free."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scheduler.framework import MAX_SCORE, Cycle, Rejection
from scheduler.vectors import BoolArray, IntArray, Rows

_BASIC = ("cpu", "memory")
_DEFAULT_RESOURCES = (("cpu", 1), ("memory", 1))


def node_ports(cycle: Cycle, rows: Rows) -> list[Rejection]:
    """Host ports that are taken, or would collide with a wildcard address."""
    mask: BoolArray | None = None
    for port in cycle.template.ports:
        taken = cycle.snapshot.port_taken(port)
        if taken is not None:
            mask = taken if mask is None else mask | taken
    return [] if mask is None else [Rejection(mask[rows], "node(s) didn't have free ports for the requested pod ports")]


def fit(cycle: Cycle, rows: Rows) -> list[Rejection]:
    """Room for one more pod and for everything it requests. What exceeds the whole node, preemption cannot free."""
    snapshot = cycle.snapshot
    full = cycle.column(snapshot.pod_count.a, rows) >= cycle.column(snapshot.allowed_pods.a, rows)
    found = [Rejection(full, "Too many pods")]
    for resource, wanted in cycle.template.requests.items():
        reason = f"Insufficient {resource}"
        allocatable = snapshot.allocatable.get(resource)
        if allocatable is None:
            found.append(Rejection(np.ones(cycle.length(rows), dtype=np.bool_), reason, resolvable=False))
            continue
        room = cycle.column(allocatable.a, rows)
        lacking = wanted > room - cycle.column(snapshot.requested[resource].a, rows)
        never = wanted > room
        if never.any():
            found.append(Rejection(never, reason, resolvable=False))
            lacking = lacking & ~never
        found.append(Rejection(lacking, reason))
    return found


def _strategy(cycle: Cycle) -> tuple[str, tuple[tuple[str, int], ...]]:
    args = cycle.args.get("NodeResourcesFit") or {}
    strategy = args.get("scoringStrategy") or {}
    resources = tuple((r["name"], r.get("weight") or 1) for r in strategy.get("resources") or ())
    return strategy.get("type") or "LeastAllocated", resources or _DEFAULT_RESOURCES


def _after(cycle: Cycle, resource: str, rows: Rows) -> tuple[IntArray, IntArray] | None:
    """Allocatable, and requested with the pod on board (containers without a request at their default)."""
    snapshot, template = cycle.snapshot, cycle.template
    if resource not in snapshot.allocatable:
        return None
    allocatable = cycle.column(snapshot.allocatable[resource].a, rows)
    if resource == "cpu":
        return allocatable, cycle.column(snapshot.nonzero_cpu.a, rows) + template.nonzero[0]
    if resource == "memory":
        return allocatable, cycle.column(snapshot.nonzero_memory.a, rows) + template.nonzero[1]
    wanted = template.requests.get(resource, 0)
    if not wanted and resource != "ephemeral-storage":
        return None  # a pod that asks for no GPU is not judged by GPUs
    return allocatable, cycle.column(snapshot.requested[resource].a, rows) + wanted


def fit_score(cycle: Cycle, rows: Rows, _: BoolArray | None) -> IntArray | None:
    """LeastAllocated (spread) or MostAllocated (pack): the weighted mean over the resources, in whole points."""
    kind, resources = _strategy(cycle)
    size = cycle.length(rows)
    total, weights = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    for resource, weight in resources:
        state = _after(cycle, resource, rows)
        if state is None:
            continue
        allocatable, used = state
        exists = allocatable > 0
        # Pods without requests count with a default, so that more than the whole can be "used".
        used = np.minimum(used, allocatable)
        shown = allocatable - used if kind == "LeastAllocated" else used
        points = shown * MAX_SCORE // np.maximum(allocatable, 1)
        total += np.where(exists, points * weight, 0)
        weights += weight * exists
    return total // np.maximum(weights, 1)


def balanced(cycle: Cycle, rows: Rows, _: BoolArray | None) -> IntArray | None:
    """100 less the standard deviation of the shares in use; pods without requests are not scored (they always win)."""
    args = cycle.args.get("NodeResourcesBalancedAllocation") or {}
    names = tuple(r["name"] for r in args.get("resources") or ()) or _BASIC
    template, snapshot = cycle.template, cycle.snapshot
    if not any(template.requests.get(name) for name in names):
        return None
    shares: list[NDArray[Any]] = []
    present: list[BoolArray] = []
    for name in names:
        wanted = template.requests.get(name, 0)
        if name not in snapshot.allocatable or (name not in _BASIC and not wanted):
            continue
        allocatable = cycle.column(snapshot.allocatable[name].a, rows)
        used = cycle.column(snapshot.requested[name].a, rows) + wanted
        present.append(allocatable > 0)
        shares.append(np.minimum(used / np.maximum(allocatable, 1), 1.0))
    if len(shares) == 2:
        spread = np.where(present[0] & present[1], np.abs((shares[0] - shares[1]) / 2), 0.0)
    else:
        spread = _deviation(np.array(shares), np.array(present))
    return ((1.0 - spread) * MAX_SCORE).astype(np.int64)


def _deviation(shares: NDArray[Any], present: NDArray[Any]) -> NDArray[Any]:
    """Population standard deviation over the resources each node has; a node with one has none."""
    number = np.maximum(present.sum(axis=0), 1)
    mean = (shares * present).sum(axis=0) / number
    squares = ((shares - mean) ** 2 * present).sum(axis=0)
    return np.asarray(np.sqrt(squares / number))
