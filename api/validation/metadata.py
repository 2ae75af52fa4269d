"""The rules of `metadata`: names, labels, annotations, finalizers, owners, and what an update may not change."""

from typing import Any

from api.types import Object, Resource
from api.validation import names
from api.validation.errors import Errors

MAX_ANNOTATIONS = 256 * 1024

_RULES: dict[str, names.Rule] = {
    "Namespace": names.dns_label,
    "Service": names.dns_1035_label,
    "StatefulSet": names.dns_label,
    "Role": names.path_segment,
    "ClusterRole": names.path_segment,
    "RoleBinding": names.path_segment,
    "ClusterRoleBinding": names.path_segment,
    "CertificateSigningRequest": names.path_segment,
    "APIService": names.path_segment,
    "IPAddress": names.ip,
}


def name_rule(resource: Resource) -> names.Rule:
    """What a kind's objects may be called."""
    return _RULES.get(resource.kind, names.dns_subdomain)


def validate(resource: Resource, obj: Object, errors: Errors) -> None:
    """The metadata of a new object."""
    meta = obj.get("metadata") or {}
    rule = name_rule(resource)
    prefix = meta.get("generateName")
    if prefix:
        errors.each("metadata.generateName", prefix, names.masked(rule, prefix))
    name = meta.get("name")
    if not name:
        errors.required("metadata.name", "name or generateName is required")
    else:
        errors.each("metadata.name", name, rule(name))
    if resource.namespaced and meta.get("namespace"):
        errors.each("metadata.namespace", meta["namespace"], names.dns_label(meta["namespace"]))
    elif not resource.namespaced and meta.get("namespace"):
        errors.forbidden("metadata.namespace", "not allowed on this type")
    _common(meta, errors)


def _common(meta: Object, errors: Errors) -> None:
    labels(meta.get("labels"), errors, "metadata.labels")
    annotations(meta.get("annotations"), errors, "metadata.annotations")
    for index, finalizer in enumerate(meta.get("finalizers") or ()):
        path = f"metadata.finalizers[{index}]"
        found = names.qualified(finalizer)
        errors.each(path, finalizer, found)
        if not found and "/" not in finalizer and finalizer not in ("orphan", "foregroundDeletion", "kubernetes"):
            errors.invalid(path, finalizer, "name is neither a standard finalizer name nor is it fully qualified")
    _owners(meta.get("ownerReferences") or (), errors)


def labels(found: dict[str, str] | None, errors: Errors, path: str) -> None:
    """The keys and values of a set of labels."""
    for key, value in (found or {}).items():
        errors.each(path, key, names.qualified(key))
        errors.each(path, value, names.label_value(value))


def annotations(found: dict[str, str] | None, errors: Errors, path: str) -> None:
    """The keys of a set of annotations, and their size together."""
    total = 0
    for key, value in (found or {}).items():
        errors.each(path, key, names.qualified(key.lower()))
        total += len(key.encode()) + len(value.encode())
    if total > MAX_ANNOTATIONS:
        errors.too_long(path, MAX_ANNOTATIONS)


def _owners(owners: Any, errors: Errors) -> None:
    controller = ""
    for index, owner in enumerate(owners):
        path = f"metadata.ownerReferences[{index}]"
        for field, text in (
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ):
            if not owner.get(field):
                errors.invalid(f"{path}.{field}", owner.get(field, ""), text)
        if owner.get("controller"):
            if controller:
                errors.invalid(
                    "metadata.ownerReferences",
                    owner.get("name", ""),
                    "Only one reference can have Controller set to true. "
                    f'Found "true" in references for {controller} and {owner.get("name")}',
                )
            controller = str(owner.get("name"))


def validate_update(new: Object, old: Object, errors: Errors) -> None:
    """What an update may not change in the metadata, and whether what it wrote is well formed."""
    after, before = new.get("metadata") or {}, old.get("metadata") or {}
    for field in ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"):
        if after.get(field):  # what an update leaves out is carried over from the stored object
            errors.immutable(f"metadata.{field}", after[field], before.get(field))
    if before.get("deletionTimestamp"):
        added = [each for each in after.get("finalizers") or () if each not in (before.get("finalizers") or ())]
        if added:
            shown = ", ".join(f'"{each}"' for each in added)
            errors.forbidden(
                "metadata.finalizers",
                "no new finalizers can be added if the object is being deleted, found new finalizers "
                f"[]string{{{shown}}}",
            )
    _common(after, errors)
