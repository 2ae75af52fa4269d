"""Prometheus metrics, under the names kube-scheduler gives them."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)

ATTEMPTS = Counter(
    "scheduler_schedule_attempts",
    "Attempts to schedule pods, by the result: scheduled, unschedulable or error.",
    ("result", "profile"),
)
ATTEMPT_SECONDS = Histogram(
    "scheduler_scheduling_algorithm_duration_seconds", "The pure cycle: choosing a node for one pod.", buckets=_SECONDS
)
BIND_SECONDS = Histogram(
    "scheduler_scheduling_attempt_duration_seconds",
    "From taking a pod off the queue to its binding.",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0),
)
POD_SECONDS = Histogram(
    "scheduler_pod_scheduling_sli_duration_seconds",
    "From a pod's first appearance in the queue to its binding, all attempts included.",
    buckets=(0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0),
)
PENDING = Gauge("scheduler_pending_pods", "Pods waiting, by queue: active, backoff, unschedulable, gated.", ("queue",))
PREEMPTIONS = Counter("scheduler_preemption_attempts", "Searches for victims.")
VICTIMS = Histogram("scheduler_preemption_victims", "Pods evicted for one pod.", buckets=(1, 2, 4, 8, 16, 32, 64))
