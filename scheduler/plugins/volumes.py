"""VolumeRestrictions, VolumeBinding, VolumeZone: the claims of a pod decide where it can run, or wait for it to decide."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from api import meta, quantity
from api.meta import is_deleting, labels
from api.selectors import Requirement, from_object
from api.types import Object
from scheduler.framework import Change, Cycle, Event, Refusal, Rejection, Volumes
from scheduler.labels import NodeTerms, node_terms
from scheduler.podinfo import PodInfo
from scheduler.vectors import BoolArray, Rows
from scheduler.volumes import SELECTED_NODE, Plan, class_name, is_bound

_NO_PROVISIONER = "kubernetes.io/no-provisioner"
_ZONE_LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")
_BETA = {
    "failure-domain.beta.kubernetes.io/zone": _ZONE_LABELS[0],
    "failure-domain.beta.kubernetes.io/region": _ZONE_LABELS[1],
}
_NOTHING_TO_BIND = "node(s) didn't find available persistent volumes to bind"


def has_claims(cycle: Cycle) -> bool:
    """Whether the pod uses any PersistentVolumeClaim."""
    return bool(cycle.template.claims) and cycle.volumes is not None


def _claims(cycle: Cycle, volumes: Volumes) -> Iterator[Object]:
    for name in cycle.template.claims:
        claim = volumes.claim(cycle.template.namespace, name)
        if claim is not None:
            yield claim


def _key(claim: Object) -> str:
    return f"{claim['metadata']['namespace']}/{claim['metadata']['name']}"


# --- VolumeRestrictions


def restrictions(cycle: Cycle, rows: Rows) -> list[Rejection]:
    """A ReadWriteOncePod claim (KEP-2485) is in use by another pod: no node will do until that pod is gone."""
    if cycle.volumes is None:
        return []
    for claim in _claims(cycle, cycle.volumes):
        modes = claim["spec"].get("accessModes") or ()
        if "ReadWriteOncePod" in modes and cycle.snapshot.claims.get(_key(claim)):
            reason = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
            return [Rejection(np.ones(cycle.length(rows), dtype=np.bool_), reason)]
    return []


# --- VolumeBinding


def binding_prefilter(cycle: Cycle) -> Refusal | None:
    """All claims exist, none is being deleted, those of class mode Immediate are bound."""
    template, volumes = cycle.template, cycle.volumes
    if volumes is None:
        return None
    for name in template.claims:
        claim = volumes.claim(template.namespace, name)
        refusal = _unusable(cycle, name, claim)
        if refusal or claim is None:
            return Refusal(refusal)
    for claim in _claims(cycle, volumes):
        if not is_bound(claim) and not _waits_for_consumer(claim, volumes):
            return Refusal("pod has unbound immediate PersistentVolumeClaims")
    return None


def _unusable(cycle: Cycle, name: str, claim: Object | None) -> str:
    ephemeral = name in cycle.template.ephemeral_claims
    if claim is None:
        if ephemeral:
            return f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
        return f'persistentvolumeclaim "{name}" not found'
    if (claim.get("status") or {}).get("phase") == "Lost":
        lost = claim["spec"].get("volumeName") or ""
        return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{lost}"'
    if is_deleting(claim):
        return f'persistentvolumeclaim "{name}" is being deleted'
    owners = claim["metadata"].get("ownerReferences") or ()
    if ephemeral and not any(o.get("controller") and o.get("uid") == cycle.pod.uid for o in owners):
        return f"PVC {_key(claim)} was not created for pod {cycle.pod.key} (pod is not owner)"
    return ""


def _waits_for_consumer(claim: Object, volumes: Volumes) -> bool:
    if claim["spec"].get("volumeName"):
        return False
    found = volumes.storage_class(class_name(claim))
    return found is not None and found.get("volumeBindingMode") == "WaitForFirstConsumer"


def _node_affinity(volume: Object) -> NodeTerms | None:
    return node_terms((volume["spec"].get("nodeAffinity") or {}).get("required"))


def _reachable(cycle: Cycle, volume: Object, rows: Rows) -> BoolArray:
    terms = _node_affinity(volume)
    if terms is None:
        return np.ones(cycle.length(rows), dtype=np.bool_)
    return terms.mask(cycle.snapshot.labels, cycle.span(rows), cycle.length(rows))


def binding(cycle: Cycle, rows: Rows) -> list[Rejection]:
    """Bound volumes reachable from the node; for each waiting claim a free volume there, or a provisioner."""
    volumes, size = cycle.volumes, cycle.length(rows)
    if volumes is None or not cycle.template.claims:
        return []
    lost, far = np.zeros(size, dtype=np.bool_), np.zeros(size, dtype=np.bool_)
    for claim in _claims(cycle, volumes):
        if is_bound(claim):
            volume = volumes.volume(claim["spec"]["volumeName"])
            if volume is None:
                lost[:] = True
            else:
                far |= ~_reachable(cycle, volume, rows)
    unmet = ~_plan(cycle, volumes, rows)[0]
    gone = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
    return [
        Rejection(lost, gone, resolvable=False),
        Rejection(far, "node(s) didn't match PersistentVolume's node affinity", resolvable=False),
        Rejection(unmet, _NOTHING_TO_BIND, resolvable=False),
    ]


def _capacity(obj: Object) -> int:
    spec = obj["spec"]
    found = spec.get("capacity") or (spec.get("resources") or {}).get("requests") or {}
    return quantity.value(found.get("storage", "0"))


def _plan(cycle: Cycle, volumes: Volumes, rows: Rows) -> tuple[BoolArray, list[tuple[Object, list[Object], list[int]]]]:
    """For each waiting claim the volumes that could serve it, and for each row which one (-1: provision).

    Returns the rows where all claims are served. The smallest fitting volume is taken, no volume twice.
    """
    size = cycle.length(rows)
    served = np.ones(size, dtype=np.bool_)
    taken: dict[str, BoolArray] = {}
    choices: list[tuple[Object, list[Object], list[int]]] = []
    waiting = [c for c in _claims(cycle, volumes) if not is_bound(c)]
    for claim in sorted(waiting, key=_capacity):
        chosen = np.full(size, -1, dtype=np.int64)
        candidates: list[Object] = []
        if SELECTED_NODE not in meta.annotations(claim):
            candidates = sorted(_candidates(claim, volumes), key=_capacity)
            candidates.sort(key=lambda v: not v["spec"].get("claimRef"))
        for number, volume in enumerate(candidates):
            name = volume["metadata"]["name"]
            used = taken.setdefault(name, np.zeros(size, dtype=np.bool_))
            here = (chosen < 0) & _reachable(cycle, volume, rows) & ~used
            chosen[here] = number
            used |= here
            if (chosen >= 0).all():
                break
        served &= (chosen >= 0) | _provisionable(cycle, claim, volumes, rows)
        choices.append((claim, candidates, chosen.tolist()))
    return served, choices


def _candidates(claim: Object, volumes: Volumes) -> Iterator[Object]:
    """Free volumes that the claim accepts (Kubernetes' FindMatchingVolume), wherever they are."""
    spec, key = claim["spec"], _key(claim)
    selector = from_object(spec["selector"]) if spec.get("selector") else None
    for volume in volumes.available(class_name(claim)):
        ours = volume["spec"]
        reference = ours.get("claimRef")
        if reference:
            if f"{reference.get('namespace')}/{reference.get('name')}" != key:
                continue
            if reference.get("uid") and reference["uid"] != claim["metadata"].get("uid"):
                continue
        elif (volume.get("status") or {}).get("phase") != "Available":
            continue
        if volumes.reserved_for(volume["metadata"]["name"]) not in (None, key) or is_deleting(volume):
            continue
        if (ours.get("volumeMode") or "Filesystem") != (spec.get("volumeMode") or "Filesystem"):
            continue
        if not set(spec.get("accessModes") or ()) <= set(ours.get("accessModes") or ()):
            continue
        if selector is not None and not selector.matches(labels(volume)):
            continue
        if _capacity(volume) >= _capacity(claim):
            yield volume


def _provisionable(cycle: Cycle, claim: Object, volumes: Volumes, rows: Rows) -> BoolArray:
    size = cycle.length(rows)
    found = volumes.storage_class(class_name(claim))
    if found is None or found.get("provisioner") in (None, "", _NO_PROVISIONER):
        return np.zeros(size, dtype=np.bool_)
    mask = np.ones(size, dtype=np.bool_)
    if selected := meta.annotations(claim).get(SELECTED_NODE):
        here = np.zeros(cycle.snapshot.size, dtype=np.bool_)
        row = cycle.snapshot.rows.get(selected)
        if row is not None:
            here[row] = True
        mask &= here[rows]
    if topologies := found.get("allowedTopologies"):
        terms = NodeTerms(
            tuple(
                tuple(Requirement(e["key"], "In", frozenset(e["values"])) for e in t.get("matchLabelExpressions") or ())
                for t in topologies
            )
        )
        mask &= terms.mask(cycle.snapshot.labels, cycle.span(rows), size)
    return mask


def plan_for(cycle: Cycle, row: int) -> Plan:
    """What must happen to the claims if the pod goes to `row`."""
    if cycle.volumes is None or not cycle.template.claims:
        return Plan()
    bind: list[tuple[str, str]] = []
    provision: list[str] = []
    for claim, candidates, chosen in _plan(cycle, cycle.volumes, np.array([row], dtype=np.intp))[1]:
        if chosen[0] >= 0:
            bind.append((_key(claim), candidates[chosen[0]]["metadata"]["name"]))
        else:
            provision.append(_key(claim))
    return Plan(tuple(bind), tuple(provision))


def binding_hint(pod: PodInfo, change: Change) -> bool:
    """One of the pod's own claims; any volume or class; any node."""
    if change.event is Event.CLAIM and change.obj is not None:
        claim = change.obj["metadata"]
        return bool(claim.get("namespace") == pod.template.namespace and claim["name"] in pod.template.claims)
    return True


# --- VolumeZone


def zone(cycle: Cycle, rows: Rows) -> list[Rejection]:
    """A bound volume labelled with zones wants its node in one of them."""
    volumes = cycle.volumes
    if volumes is None:
        return []
    mask = np.zeros(cycle.snapshot.size, dtype=np.bool_)
    for claim in _claims(cycle, volumes):
        volume = volumes.volume(claim["spec"].get("volumeName") or "")
        for key, value in labels(volume).items() if volume else ():
            wanted = _BETA.get(key, key)
            if wanted in _ZONE_LABELS:
                places = Requirement(wanted, "In", frozenset(value.split("__")))
                mask |= ~cycle.snapshot.labels.matching((places,), slice(cycle.snapshot.size))
    return [Rejection(mask[rows], "node(s) had no available volume zone", resolvable=False)]
