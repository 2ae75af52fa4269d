"""Names and small facts that all volume controllers share; each is Kubernetes' own, so that either side can be exchanged."""

from __future__ import annotations

from collections.abc import Iterator

from api import meta
from api.meta import name, namespace, uid
from api.quantity import value
from api.types import Object
from api.volumes import claim_name

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
PROVISIONER = "volume.kubernetes.io/storage-provisioner"
PROVISIONER_BETA = "volume.beta.kubernetes.io/storage-provisioner"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
NO_PROVISIONER = "kubernetes.io/no-provisioner"
WAIT = "WaitForFirstConsumer"
SHARED = frozenset({"ReadWriteMany", "ReadOnlyMany"})
"""The access modes with which several nodes use a volume at once."""
_CLASS_BETA = "volume.beta.kubernetes.io/storage-class"


def class_of(obj: Object) -> str:
    """The storage class of a claim or volume, empty for none."""
    return meta.annotations(obj).get(_CLASS_BETA) or (obj.get("spec") or {}).get("storageClassName") or ""


def has_class(claim: Object) -> bool:
    """Whether the claim says anything about its class; the empty class is something."""
    return _CLASS_BETA in meta.annotations(claim) or (claim.get("spec") or {}).get("storageClassName") is not None


def size_of(volume: Object) -> int:
    """A volume's capacity in bytes."""
    return value((volume["spec"].get("capacity") or {}).get("storage", "0"))


def requested(claim: Object) -> int:
    """What a claim asks for, in bytes."""
    return value(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", "0"))


def claims_of(pod: Object) -> Iterator[str]:
    """The names of the claims a pod uses; that of a generic ephemeral volume is made of the pod's and the volume's."""
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        if claim := claim_name(pod, volume):
            yield claim


def claim_keys(pod: Object) -> list[str]:
    """The same as `namespace/name`, for an index."""
    return [f"{namespace(pod)}/{claim}" for claim in claims_of(pod)]


def is_claimed_by(volume: Object, claim: Object) -> bool:
    """Whether the volume's claimRef means this claim; one that an administrator wrote has no uid yet."""
    ref = volume["spec"].get("claimRef") or {}
    if (ref.get("namespace"), ref.get("name")) != (namespace(claim), name(claim)):
        return False
    return ref.get("uid") in (None, "", uid(claim))


def volume_of(attachment: Object) -> str:
    """The name of the PersistentVolume an attachment is for."""
    return str(attachment["spec"]["source"].get("persistentVolumeName") or "")


def is_shared(volume: Object) -> bool:
    """Whether several nodes may use the volume at once."""
    return bool(SHARED & set(volume["spec"].get("accessModes") or ()))
