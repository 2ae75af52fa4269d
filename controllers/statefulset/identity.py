"""What a StatefulSet's pods and claims are called, and what makes a pod the one it should be. Pure.

Source: the Kubernetes documentation, "StatefulSets: Pod Identity, PersistentVolumeClaim retention".
"""

from __future__ import annotations

import copy
import re

from api import meta, resources
from api.types import Object
from controllers.scale import replicas_wanted
from controllers.templates import REVISION_LABEL, pod_from

POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"
_NAME = re.compile(r"(.*)-([0-9]+)")


def ordinal_of(pod: Object) -> int:
    """The number at the end of the pod's name, -1 without one."""
    match = _NAME.fullmatch(meta.name(pod))
    return int(match[2]) if match else -1


def is_member(owner: Object, pod: Object) -> bool:
    """Whether the pod has a name of this set."""
    match = _NAME.fullmatch(meta.name(pod))
    return match is not None and match[1] == meta.name(owner)


def start_of(owner: Object) -> int:
    """The first ordinal."""
    return int((owner["spec"].get("ordinals") or {}).get("start") or 0)


def in_range(owner: Object, ordinal: int) -> bool:
    """Whether the set wants a pod of that ordinal."""
    return start_of(owner) <= ordinal < start_of(owner) + replicas_wanted(owner)


def claim_name(template: Object, owner: Object, ordinal: int) -> str:
    """`<template>-<set>-<ordinal>`."""
    return f"{meta.name(template)}-{meta.name(owner)}-{ordinal}"


def claim_templates(owner: Object) -> list[Object]:
    """`spec.volumeClaimTemplates`."""
    return list(owner["spec"].get("volumeClaimTemplates") or ())


def revision_of(pod: Object) -> str:
    """The name of the ControllerRevision that the pod was made from."""
    return meta.labels(pod).get(REVISION_LABEL, "")


def pod_for(owner: Object, ordinal: int, revision: str) -> Object:
    """The pod to create from the set's template, which is of the revision with that name."""
    pod = pod_from(owner["spec"]["template"], resources.STATEFULSETS, owner, name=f"{meta.name(owner)}-{ordinal}")
    pod["metadata"].setdefault("labels", {})[REVISION_LABEL] = revision
    pod["spec"]["hostname"] = meta.name(pod)
    if owner["spec"].get("serviceName"):
        pod["spec"]["subdomain"] = owner["spec"]["serviceName"]
    return with_identity(owner, pod)


def with_identity(owner: Object, pod: Object) -> Object:
    """A copy of the pod with the labels and volumes that its place in the set calls for; `pod` itself if it has them."""
    ordinal = ordinal_of(pod)
    labels = {**meta.labels(pod), POD_NAME: meta.name(pod), POD_INDEX: str(ordinal)}
    volumes = _volumes(owner, pod, ordinal)
    if labels == meta.labels(pod) and volumes == (pod["spec"].get("volumes") or []):
        return pod
    spec = {**pod["spec"], "volumes": volumes} if volumes else pod["spec"]
    return {**pod, "metadata": {**pod["metadata"], "labels": labels}, "spec": spec}


def _volumes(owner: Object, pod: Object, ordinal: int) -> list[Object]:
    present = list(pod["spec"].get("volumes") or ())
    claims = {meta.name(t): claim_name(t, owner, ordinal) for t in claim_templates(owner)}
    mounted = {v["name"]: v for v in present}
    if all((mounted.get(n, {}).get("persistentVolumeClaim") or {}).get("claimName") == c for n, c in claims.items()):
        return present
    own = [{"name": n, "persistentVolumeClaim": {"claimName": c, "readOnly": False}} for n, c in claims.items()]
    return own + [v for v in present if v["name"] not in claims]


def claims_for(owner: Object, pod: Object) -> list[Object]:
    """The claims that the pod needs, as they are to be created."""
    found = []
    for template in claim_templates(owner):
        claim = copy.deepcopy(template)
        selector = owner["spec"].get("selector") or {}
        metadata: Object = {
            "name": claim_name(template, owner, ordinal_of(pod)),
            "namespace": meta.namespace(owner),
            "labels": {**meta.labels(template), **(selector.get("matchLabels") or {})},
            "annotations": dict(meta.annotations(template)),
        }
        owners = claim_owners(owner, pod)
        if owners:
            metadata["ownerReferences"] = owners
        found.append({"metadata": metadata, "spec": claim["spec"]})
    return found


def retention(owner: Object) -> tuple[bool, bool]:
    """(delete the claims when the set is deleted, delete a claim when its pod is scaled away)."""
    policy = owner["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return policy.get("whenDeleted") == "Delete", policy.get("whenScaled") == "Delete"


def claim_owners(owner: Object, pod: Object) -> list[Object]:
    """The owner references by which the garbage collector carries out the retention policy."""
    when_deleted, when_scaled = retention(owner)
    condemned = not in_range(owner, ordinal_of(pod))
    if when_scaled and condemned:
        return (
            [{"apiVersion": "v1", "kind": "Pod", "name": meta.name(pod), "uid": meta.uid(pod)}] if meta.uid(pod) else []
        )
    if when_deleted:
        return [meta.owner_reference(resources.STATEFULSETS, owner)]
    return []
