"""Which volume suits a claim. Pure. Source: the Kubernetes documentation, "Persistent Volumes: Binding"."""

from __future__ import annotations

from collections.abc import Iterable

from api.meta import is_deleting, labels, name
from api.selectors import from_object
from api.types import Object
from controllers.volumes.names import class_of, is_claimed_by, requested, size_of


def best(claim: Object, volumes: Iterable[Object], *, prebound_only: bool = False) -> Object | None:
    """The volume that was kept for the claim, else the smallest free one that suits it; None if there is none.

    With `prebound_only` the choice among free volumes is left to the scheduler.
    """
    free: list[Object] = []
    for volume in volumes:
        if is_deleting(volume) or mismatch(claim, volume):
            continue
        if volume["spec"].get("claimRef"):
            if is_claimed_by(volume, claim):
                return volume
        elif not prebound_only and _selected(claim, volume):
            free.append(volume)
    return min(free, key=lambda v: (size_of(v), name(v)), default=None)


def mismatch(claim: Object, volume: Object) -> str:
    """Why the volume cannot serve the claim; empty when it can."""
    wanted, offered = claim["spec"], volume["spec"]
    if requested(claim) > size_of(volume):
        return "requested PV is too small"
    if class_of(claim) != class_of(volume):
        return "storageClassName does not match"
    if (wanted.get("volumeMode") or "Filesystem") != (offered.get("volumeMode") or "Filesystem"):
        return "incompatible volumeMode"
    if not set(wanted.get("accessModes") or ()) <= set(offered.get("accessModes") or ()):
        return "incompatible accessMode"
    if (wanted.get("volumeAttributesClassName") or "") != (offered.get("volumeAttributesClassName") or ""):
        return "volumeAttributesClassName does not match"
    return ""


def _selected(claim: Object, volume: Object) -> bool:
    selector = claim["spec"].get("selector")
    return selector is None or from_object(selector).matches(labels(volume))
