"""The numbers in a DaemonSet's status. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from api import meta
from api.types import Object
from controllers.daemonset.placement import eligible
from controllers.daemonset.rollout import ByNode, delay_of, is_updated
from controllers.podstate import created_at, is_available, is_ready


def compute(
    daemon: Object,
    nodes: Sequence[Object],
    by_node: ByNode,
    digest: str,
    now: datetime,
    *,
    collisions: int | None,
    observed: bool,
) -> Object:
    """The new status; `observed` says whether this generation has been acted upon."""
    present = daemon.get("status") or {}
    counts = dict.fromkeys(
        (
            "desiredNumberScheduled", "currentNumberScheduled", "numberMisscheduled", "numberReady",
            "updatedNumberScheduled", "numberAvailable",
        ),
        0,
    )  # fmt: skip
    for node in nodes:
        pods = sorted(by_node.get(meta.name(node), ()), key=created_at)
        if not eligible(daemon, node)[0]:
            counts["numberMisscheduled"] += bool(pods)
            continue
        counts["desiredNumberScheduled"] += 1
        if not pods:
            continue
        counts["currentNumberScheduled"] += 1
        counts["updatedNumberScheduled"] += is_updated(pods[0], digest)
        if is_ready(pods[0]):
            counts["numberReady"] += 1
            counts["numberAvailable"] += is_available(pods[0], delay_of(daemon), now)
    status: Object = {**present, **counts}
    status["numberUnavailable"] = counts["desiredNumberScheduled"] - counts["numberAvailable"]
    if observed:
        status["observedGeneration"] = int(daemon["metadata"].get("generation") or 0)
    if collisions is not None:
        status["collisionCount"] = collisions
    return status
