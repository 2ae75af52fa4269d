"""A Deployment's ReplicaSets: which one is new, which are old, their revisions and annotations. Pure.

Source of the annotations: the Kubernetes reference, "Well-Known Labels, Annotations and Taints".
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from api import meta
from api.types import Object
from controllers.percent import fenceposts
from controllers.podstate import created_at
from controllers.scale import replicas_wanted
from controllers.templates import same_template

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX = "deployment.kubernetes.io/max-replicas"
_NOT_COPIED = {
    "kubectl.kubernetes.io/last-applied-configuration", REVISION, HISTORY, DESIRED, MAX, "deprecated.deployment.rollback.to",
}  # fmt: skip
_HISTORY_LENGTH = 2000


@dataclass(frozen=True, slots=True)
class Sets:
    """The ReplicaSets of one Deployment: the one of the present template, if there is one, and all others, oldest first."""

    new: Object | None
    old: tuple[Object, ...]

    @property
    def all(self) -> list[Object]:
        return [*self.old, self.new] if self.new is not None else list(self.old)

    @property
    def active_old(self) -> list[Object]:
        """Old ones that ask for pods."""
        return active(self.old)

    def with_new(self, new: Object) -> Sets:
        """The same with another (or a changed) new ReplicaSet."""
        return replace(self, new=new)


def split(deployment: Object, sets: Iterable[Object]) -> Sets:
    """Tell new from old. Of several with the present template the oldest is the new one, as in every earlier decision."""
    ordered = sorted(sets, key=age_key)
    template = deployment["spec"]["template"]
    new = next((rs for rs in ordered if same_template(rs["spec"]["template"], template)), None)
    return Sets(new, tuple(rs for rs in ordered if rs is not new))


def age_key(obj: Object) -> tuple[object, str]:
    """Sorts oldest first, namesakes of a second by name."""
    return created_at(obj), meta.name(obj)


def reported(obj: Object, field: str) -> int:
    """A number of the status, 0 if it is not there yet."""
    return int((obj.get("status") or {}).get(field) or 0)


def total(sets: Iterable[Object]) -> int:
    """Sum of what they ask for."""
    return sum(replicas_wanted(rs) for rs in sets)


def total_reported(sets: Iterable[Object], field: str) -> int:
    """Sum of a number of their statuses."""
    return sum(reported(rs, field) for rs in sets)


def active(sets: Iterable[Object]) -> list[Object]:
    """Those that ask for at least one pod."""
    return [rs for rs in sets if replicas_wanted(rs) > 0]


def strategy(deployment: Object) -> str:
    """`RollingUpdate` or `Recreate`."""
    return str((deployment["spec"].get("strategy") or {}).get("type") or "RollingUpdate")


def bounds(deployment: Object) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) in pods; both 0 for Recreate."""
    if strategy(deployment) != "RollingUpdate":
        return 0, 0
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    wanted = replicas_wanted(deployment)
    surge, unavailable = fenceposts(rolling.get("maxSurge"), rolling.get("maxUnavailable"), wanted)
    return surge, min(unavailable, wanted)


def revision(obj: Object) -> int:
    """The revision annotation as a number, 0 if missing or nonsense."""
    text = meta.annotations(obj).get(REVISION, "0")
    return int(text) if text.isdigit() else 0


def next_revision(old: Sequence[Object]) -> int:
    """The revision that the new ReplicaSet must at least have."""
    return max((revision(rs) for rs in old), default=0) + 1


def size_annotations(deployment: Object) -> dict[str, str]:
    """What scaling notes on a ReplicaSet: the Deployment's size then and its upper bound."""
    wanted = replicas_wanted(deployment)
    return {DESIRED: str(wanted), MAX: str(wanted + bounds(deployment)[0])}


def with_annotations(rs: Object, more: dict[str, str]) -> Object:
    """A copy with these annotations added, or `rs` itself if it has them."""
    present = meta.annotations(rs)
    if all(present.get(k) == v for k, v in more.items()):
        return rs
    return {**rs, "metadata": {**rs["metadata"], "annotations": {**present, **more}}}


def annotated_new(deployment: Object, rs: Object, number: int, *, exists: bool) -> Object:
    """The new ReplicaSet with the Deployment's annotations and its revision; `rs` itself if nothing changes.

    The revision only grows; the one it had before goes to the history annotation.
    """
    wanted = {k: v for k, v in meta.annotations(deployment).items() if k not in _NOT_COPIED}
    before = revision(rs)
    if before < number:
        wanted[REVISION] = str(number)
        if before:
            wanted[HISTORY] = _history(meta.annotations(rs).get(HISTORY, ""), before)
    if not exists:
        wanted |= size_annotations(deployment)
    return with_annotations(rs, wanted)


def _history(present: str, before: int) -> str:
    numbers = [n for n in present.split(",") if n] + [str(before)]
    while len(",".join(numbers)) > _HISTORY_LENGTH:
        numbers.pop(0)
    return ",".join(numbers)


def replica_set_for(deployment: Object, digest: str, owner: Object, size: int, number: int) -> Object:
    """The ReplicaSet to create for the present template. `owner` is the reference to the Deployment."""
    label = {"pod-template-hash": digest}
    template = copy.deepcopy(deployment["spec"]["template"])
    labels = (template.setdefault("metadata", {}).get("labels") or {}) | label
    template["metadata"]["labels"] = labels
    selector = copy.deepcopy(deployment["spec"]["selector"])
    selector["matchLabels"] = (selector.get("matchLabels") or {}) | label
    rs: Object = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{meta.name(deployment)}-{digest}",
            "namespace": meta.namespace(deployment),
            "labels": dict(labels),
            "ownerReferences": [owner],
        },
        "spec": {
            "replicas": size,
            "selector": selector,
            "template": template,
            "minReadySeconds": int(deployment["spec"].get("minReadySeconds") or 0),
        },
    }
    return annotated_new(deployment, rs, number, exists=False)


def to_clean_up(deployment: Object, old: Sequence[Object]) -> list[Object]:
    """Old ReplicaSets beyond `revisionHistoryLimit`, lowest revision first, that hold no pod and are not in motion."""
    limit = deployment["spec"].get("revisionHistoryLimit")
    alive = [rs for rs in old if not meta.is_deleting(rs)]
    surplus = len(alive) - (10 if limit is None else int(limit))
    if surplus <= 0:
        return []
    alive.sort(key=lambda rs: (revision(rs), age_key(rs)))
    return [
        rs
        for rs in alive[:surplus]
        if reported(rs, "replicas") == 0
        and replicas_wanted(rs) == 0
        and int(rs["metadata"].get("generation") or 0) <= reported(rs, "observedGeneration")
    ]
