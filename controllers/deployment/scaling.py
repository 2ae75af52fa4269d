"""How many pods each ReplicaSet should ask for next. Pure: every function returns the sizes to set.

Sizes are given as pairs (ReplicaSet, replicas). Source: the Kubernetes documentation, "Deployments: Rolling Update Deployment,
Proportional scaling".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from api import meta
from api.types import Object
from controllers.deployment.sets import (
    MAX,
    Sets,
    active,
    age_key,
    bounds,
    reported,
    strategy,
    total,
    total_reported,
)
from controllers.scale import replicas_wanted

Size = tuple[Object, int]


def new_size(deployment: Object, sets: Sets, present: int) -> int:
    """What the new ReplicaSet, which now asks for `present`, may ask for without exceeding maxSurge."""
    wanted = replicas_wanted(deployment)
    if strategy(deployment) != "RollingUpdate":
        return wanted
    room = wanted + bounds(deployment)[0] - total(sets.all)
    if room <= 0:
        return present
    return present + min(room, wanted - present)


def scale_new(deployment: Object, sets: Sets) -> list[Size]:
    """First half of a rolling step: move the new ReplicaSet towards the wanted size."""
    if sets.new is None:
        return []
    present, wanted = replicas_wanted(sets.new), replicas_wanted(deployment)
    if present == wanted:
        return []
    size = wanted if present > wanted else new_size(deployment, sets, present)
    return [(sets.new, size)] if size != present else []


def scale_old(deployment: Object, sets: Sets) -> list[Size]:
    """Second half of a rolling step: take away old pods, broken ones first, never below the minimum available."""
    old = sets.active_old
    if not old:
        return []
    least = replicas_wanted(deployment) - bounds(deployment)[1]
    new_unavailable = 0
    if sets.new is not None:
        new_unavailable = replicas_wanted(sets.new) - reported(sets.new, "availableReplicas")
    spare = total(sets.all) - least - new_unavailable
    if spare <= 0:
        return []
    sizes = {meta.uid(rs): replicas_wanted(rs) for rs in old}
    _drop_unhealthy(old, sizes, spare)
    _drop_healthy(old, sizes, total_reported(sets.all, "availableReplicas") - least)
    return [(rs, sizes[meta.uid(rs)]) for rs in old if sizes[meta.uid(rs)] != replicas_wanted(rs)]


def _drop_unhealthy(old: Sequence[Object], sizes: dict[str, int], spare: int) -> None:
    for rs in old:
        unhealthy = replicas_wanted(rs) - reported(rs, "availableReplicas")
        drop = max(0, min(spare, unhealthy))
        sizes[meta.uid(rs)] -= drop
        spare -= drop


def _drop_healthy(old: Sequence[Object], sizes: dict[str, int], spare: int) -> None:
    for rs in old:
        if spare <= 0:
            return
        drop = min(sizes[meta.uid(rs)], spare)
        sizes[meta.uid(rs)] -= drop
        spare -= drop


def proportional(deployment: Object, sets: Sets) -> list[Size]:
    """Resize after the Deployment itself was scaled (also in the middle of a rollout, also while paused).

    The sizes of all active ReplicaSets are returned, changed or not, because each must note the new bounds.
    """
    wanted = replicas_wanted(deployment)
    only = _active_or_latest(sets)
    if only is not None:
        return [(only, wanted)]
    if _saturated(deployment, sets.new):
        return [(rs, 0) for rs in sets.active_old]
    if strategy(deployment) != "RollingUpdate":
        return []
    rows = active(sets.all)
    allowed = wanted + bounds(deployment)[0] if wanted > 0 else 0
    change = allowed - total(rows)
    if change > 0:  # the largest first, of equals the newest
        rows.sort(key=age_key, reverse=True)
    else:  # the largest first, of equals the oldest
        rows.sort(key=age_key)
    rows.sort(key=replicas_wanted, reverse=True)
    return _shares(deployment, rows, change)


def _shares(deployment: Object, rows: Sequence[Object], change: int) -> list[Size]:
    sizes, given = [], 0
    for rs in rows:
        share = 0
        if change and given != change:
            share = _fraction(deployment, rs)
            share = min(share, change - given) if change > 0 else max(share, change - given)
        given += share
        sizes.append(replicas_wanted(rs) + share)
    if rows and change:
        sizes[0] = max(0, sizes[0] + change - given)  # what rounding left over
    return list(zip(rows, sizes, strict=True))


def _fraction(deployment: Object, rs: Object) -> int:
    """How much the ReplicaSet grows (or shrinks) if it keeps its part of the Deployment's upper bound."""
    if replicas_wanted(deployment) == 0:
        return -replicas_wanted(rs)
    now = replicas_wanted(deployment) + bounds(deployment)[0]
    noted = meta.annotations(rs).get(MAX, "")
    before = int(noted) if noted.isdigit() and int(noted) > 0 else reported(deployment, "replicas") or now
    return math.floor(replicas_wanted(rs) * now / before + 0.5) - replicas_wanted(rs)


def _active_or_latest(sets: Sets) -> Object | None:
    rows = active(sets.all)
    if len(rows) > 1:
        return None
    if rows:
        return rows[0]
    return sets.new if sets.new is not None else (sets.old[-1] if sets.old else None)


def _saturated(deployment: Object, rs: Object | None) -> bool:
    """Whether the new ReplicaSet carries the whole Deployment, available and noted as such."""
    if rs is None:
        return False
    wanted = replicas_wanted(deployment)
    noted = meta.annotations(rs).get("deployment.kubernetes.io/desired-replicas")
    return replicas_wanted(rs) == wanted and noted == str(wanted) and reported(rs, "availableReplicas") == wanted
