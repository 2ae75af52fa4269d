"""Which pods to delete first when there are too many. Pure.

Source: the Kubernetes documentation, "ReplicaSet: Scaling a ReplicaSet" and "Pod deletion cost".
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from api import meta
from api.types import Object
from controllers.podstate import created_at, is_ready, node_of, phase, ready_since, restarts

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}

Rank = tuple[int, int, int, int, int, int, str, int, int, str]


def deletion_cost(pod: Object) -> int:
    """The pod's own word on what its deletion costs; 0 when it says nothing or nonsense."""
    try:
        return int(meta.annotations(pod).get(DELETION_COST, "0"))
    except ValueError:
        return 0


def _age_bucket(since: datetime | None, now: datetime) -> int:
    """Ages in powers of two: pods of about the same age are equal, so that none is always the one to go (KEP-2185)."""
    if since is None:
        return -1
    seconds = (now - since).total_seconds()
    return int(math.log2(seconds)) if seconds >= 1 else -1


def rank(pod: Object, neighbours: int, now: datetime) -> Rank:
    """A sort key: the pod with the smallest goes first.

    Unassigned, pending, not ready, cheap, doubled up on a node, recently ready, often restarted, recently created.
    """
    ready = is_ready(pod)
    return (
        1 if node_of(pod) else 0,
        _PHASES.get(phase(pod), 2),
        1 if ready else 0,
        deletion_cost(pod),
        -neighbours,
        _age_bucket(ready_since(pod), now) if ready else 0,
        meta.uid(pod) if ready else "",
        -restarts(pod),
        _age_bucket(created_at(pod), now),
        meta.uid(pod),
    )


def pods_to_delete(active: Sequence[Object], related: Sequence[Object], count: int, now: datetime) -> list[Object]:
    """The `count` pods of `active` to delete. `related` are active pods of the same owner's owner, `active` among them:
    a node that holds many of them loses one first."""
    if count >= len(active):
        return list(active)
    crowd = Counter(node_of(pod) for pod in related if node_of(pod))
    return sorted(active, key=lambda pod: rank(pod, crowd[node_of(pod)], now))[:count]
