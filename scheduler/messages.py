"""The sentences of FailedScheduling, word for word as Kubernetes writes them."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.cycle import Diagnosis

NO_NODES = "no nodes available to schedule pods"


def no_node(total: int, reasons: Mapping[str, int], refusal: str = "") -> str:
    """`0/2 nodes are available: 1 Insufficient cpu, 1 Too many pods.`"""
    text = f"0/{total} nodes are available:"
    if refusal:
        return f"{text} {refusal}."
    counted = sorted(f"{number} {reason}" for reason, number in reasons.items())
    return f"{text} {', '.join(counted)}." if counted else text


def unschedulable(diagnosis: Diagnosis, preemption: str = "") -> str:
    """The whole sentence of a pod that no node can take; `preemption` is what the search for victims said."""
    if not diagnosis.total:
        return NO_NODES
    text = no_node(diagnosis.total, diagnosis.reasons, diagnosis.refusal)
    return f"{text} preemption: {preemption}" if preemption else text
