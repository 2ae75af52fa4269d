"""The columns of volumes, claims, storage classes and the CSI kinds."""

from api.columns.cells import AGE, NAME, NONE, UNSET, Column, at, dig, joined, name, of
from api.types import Object

_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
_DEFAULT = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")


def _modes(modes: list[str] | None) -> str:
    given = set(modes or ())
    return ",".join(short for mode, short in _MODES.items() if mode in given)


def _claim(volume: Object) -> str:
    ref = dig(volume, "spec", "claimRef")
    return f"{ref.get('namespace', '')}/{ref.get('name', '')}" if ref else ""


def _phase(obj: Object) -> str:
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else str(dig(obj, "status", "phase") or "")


def _bound(claim: Object, show: str) -> str:
    """A cell that is empty until the claim is bound to a volume."""
    if not dig(claim, "spec", "volumeName"):
        return ""
    if show == "capacity":
        return str((dig(claim, "status", "capacity") or {}).get("storage", "0"))
    return _modes(dig(claim, "status", "accessModes"))


_CLASS = Column("VolumeAttributesClass", at("spec.volumeAttributesClassName", UNSET))
_VOLUME_MODE = Column("VolumeMode", at("spec.volumeMode", UNSET), wide=True)

PERSISTENTVOLUMES = (
    NAME,
    Column("Capacity", of(lambda obj: (dig(obj, "spec", "capacity") or {}).get("storage", "0"))),
    Column("Access Modes", of(lambda obj: _modes(dig(obj, "spec", "accessModes")))),
    Column("Reclaim Policy", at("spec.persistentVolumeReclaimPolicy")),
    Column("Status", of(_phase)),
    Column("Claim", of(_claim)),
    Column("StorageClass", at("spec.storageClassName")),
    _CLASS,
    Column("Reason", at("status.reason")),
    AGE,
    _VOLUME_MODE,
)
PERSISTENTVOLUMECLAIMS = (
    NAME,
    Column("Status", of(_phase)),
    Column("Volume", at("spec.volumeName")),
    Column("Capacity", of(lambda obj: _bound(obj, "capacity"))),
    Column("Access Modes", of(lambda obj: _bound(obj, "modes"))),
    Column("StorageClass", at("spec.storageClassName")),
    _CLASS,
    AGE,
    _VOLUME_MODE,
)


def _class_name(obj: Object) -> str:
    marks = obj["metadata"].get("annotations") or {}
    return f"{name(obj)} (default)" if any(marks.get(key) == "true" for key in _DEFAULT) else name(obj)


STORAGECLASSES = (
    Column("Name", of(_class_name), format="name"),
    Column("Provisioner", at("provisioner")),
    Column("ReclaimPolicy", at("reclaimPolicy", "Delete")),
    Column("VolumeBindingMode", at("volumeBindingMode", "Immediate")),
    Column("AllowVolumeExpansion", of(lambda obj: bool(obj.get("allowVolumeExpansion"))), type="boolean"),
    AGE,
)
VOLUMEATTRIBUTESCLASSES = (NAME, Column("DriverName", at("driverName")), AGE)
VOLUMEATTACHMENTS = (
    NAME,
    Column("Attacher", at("spec.attacher")),
    Column("PV", at("spec.source.persistentVolumeName")),
    Column("Node", at("spec.nodeName")),
    Column("Attached", at("status.attached", False), type="boolean"),
    AGE,
)
CSIDRIVERS = (
    NAME,
    Column("AttachRequired", at("spec.attachRequired", True), type="boolean"),
    Column("PodInfoOnMount", at("spec.podInfoOnMount", False), type="boolean"),
    Column("StorageCapacity", at("spec.storageCapacity", False), type="boolean"),
    Column(
        "TokenRequests",
        of(lambda obj: ",".join(each.get("audience", "") for each in dig(obj, "spec", "tokenRequests") or ()) or UNSET),
    ),
    Column("RequiresRepublish", at("spec.requiresRepublish", False), type="boolean"),
    Column("Modes", of(lambda obj: joined(dig(obj, "spec", "volumeLifecycleModes")))),
    AGE,
)
CSINODES = (NAME, Column("Drivers", of(lambda obj: len(dig(obj, "spec", "drivers") or ())), type="integer"), AGE)
CSISTORAGECAPACITIES = (
    NAME,
    Column("StorageClassName", at("storageClassName")),
    Column("Capacity", at("capacity", NONE)),
    AGE,
)
