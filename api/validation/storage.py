"""The rules of persistent volumes, claims and storage classes."""

from api import quantity
from api.types import Object
from api.validation import names, selectors, volumes
from api.validation.errors import Errors

_NO_SOURCE = {
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
}


def _source(spec: Object) -> Object:
    return {key: value for key, value in spec.items() if key not in _NO_SOURCE}


def persistent_volume(obj: Object, errors: Errors) -> None:
    """A PersistentVolume: a capacity, access modes and exactly one source."""
    spec = obj.get("spec")
    if spec is None:
        errors.required("spec")
        return
    if not spec.get("accessModes"):
        errors.required("spec.accessModes")
    capacity = spec.get("capacity") or {}
    if not capacity:
        errors.required("spec.capacity")
    elif set(capacity) != {"storage"}:
        errors.unsupported("spec.capacity", ",".join(sorted(capacity)), ("storage",))
    elif quantity.parse(capacity["storage"]) <= 0:
        errors.invalid("spec.capacity[storage]", capacity["storage"], "must be greater than zero")
    sources = sorted(_source(spec))
    if not sources:
        errors.required("spec", "must specify a volume type")
    for extra in sources[1:]:
        errors.forbidden(f"spec.{extra}", "may not specify more than 1 volume type")
    if spec.get("local") is not None and not spec.get("nodeAffinity"):
        errors.required("spec.nodeAffinity", "Local volume requires node affinity")
    if spec.get("hostPath") is not None:
        place = str(spec["hostPath"].get("path", ""))
        if ".." in place.split("/"):
            errors.invalid("spec.hostPath.path", place, "must not contain '..'")
        if place.rstrip("/") == "" and spec.get("persistentVolumeReclaimPolicy") == "Recycle":
            errors.forbidden("spec.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'")
    affinity = (spec.get("nodeAffinity") or {}).get("required")
    selectors.node_selector(affinity, errors, "spec.nodeAffinity.required")
    if spec.get("storageClassName"):
        errors.each("spec.storageClassName", spec["storageClassName"], names.dns_subdomain(spec["storageClassName"]))


def update_persistent_volume(new: Object, old: Object, errors: Errors) -> None:
    """The source and mode of a volume stay."""
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if _source(after) != _source(before):
        errors.forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation")
    errors.immutable("spec.volumeMode", after.get("volumeMode"), before.get("volumeMode"))
    if before.get("nodeAffinity") is not None:
        errors.immutable("spec.nodeAffinity", after.get("nodeAffinity"), before.get("nodeAffinity"))


def claim(obj: Object, errors: Errors) -> None:
    """A PersistentVolumeClaim."""
    if obj.get("spec") is None:
        errors.required("spec")
    else:
        volumes.claim_spec(obj["spec"], errors, "spec")
        selectors.label_selector(obj["spec"].get("selector"), errors, "spec.selector")


def _fixed(spec: Object, bound: bool) -> Object:
    """What of a claim's spec may not change: all but the size asked for, and the volume until it is bound."""
    free = {"resources", "volumeAttributesClassName"} | (set() if bound else {"volumeName"})
    return {key: value for key, value in spec.items() if key not in free}


def update_claim(new: Object, old: Object, errors: Errors) -> None:
    """A claim may be bound once and may grow."""
    after, before = new.get("spec") or {}, old.get("spec") or {}
    unclassed = not before.get("storageClassName")
    if unclassed and after.get("storageClassName"):
        after = {**after, "storageClassName": before.get("storageClassName")}
        after = {key: value for key, value in after.items() if value is not None}
    if _fixed(after, bool(before.get("volumeName"))) != _fixed(before, bool(before.get("volumeName"))):
        errors.forbidden(
            "spec",
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
        )
    wanted, had = (((each.get("resources") or {}).get("requests") or {}).get("storage") for each in (after, before))
    if wanted is None or had is None or wanted == had:
        return
    if (old.get("status") or {}).get("phase") != "Bound":
        errors.forbidden(
            "spec",
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
        )
    given = ((old.get("status") or {}).get("capacity") or {}).get("storage") or had
    if quantity.parse(wanted) < quantity.parse(given):
        errors.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")


def update_storage_class(new: Object, old: Object, errors: Errors) -> None:
    """A StorageClass keeps what its volumes were made with."""
    for field in ("parameters", "provisioner", "reclaimPolicy"):
        if (new.get(field) or None) != (old.get(field) or None):
            errors.forbidden(field, f"updates to {field} are forbidden.")
    errors.immutable("volumeBindingMode", new.get("volumeBindingMode"), old.get("volumeBindingMode"))


def storage_class(obj: Object, errors: Errors) -> None:
    """A StorageClass's provisioner is a qualified name."""
    if obj.get("provisioner"):
        errors.each("provisioner", obj["provisioner"], names.qualified(obj["provisioner"].lower()))
