"""The rules of pods: a new pod, a pod template, and the few fields that an update may change."""

from copy import deepcopy
from typing import Any

from api import quantity
from api.types import Object
from api.validation import metadata, names, placement, volumes
from api.validation.containers import containers, resources, security_context
from api.validation.errors import Errors

_MUTABLE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_NAMES = {
    "nodeName": names.dns_subdomain,
    "serviceAccountName": names.dns_subdomain,
    "priorityClassName": names.dns_subdomain,
    "runtimeClassName": names.dns_subdomain,
    "hostname": names.dns_label,
    "subdomain": names.dns_label,
    "schedulerName": names.qualified,
}
_RESIZABLE = ("cpu", "memory")


def spec(found: Object, errors: Errors, path: str = "spec") -> None:
    """A pod spec, of a pod or of a template, beyond what its fields declare."""
    containers(found, errors, path)
    volumes.volumes(found, errors, path)
    placement.placement(found, errors, path)
    for field, rule in _NAMES.items():
        if found.get(field):
            errors.each(f"{path}.{field}", found[field], rule(found[field]))
    security_context(found.get("securityContext"), errors, f"{path}.securityContext")
    resources(found.get("resources"), errors, f"{path}.resources")
    if found.get("hostPID") and found.get("shareProcessNamespace"):
        errors.invalid(
            f"{path}.shareProcessNamespace", True, "ShareProcessNamespace and HostPID cannot both be enabled"
        )
    for index, alias in enumerate(found.get("hostAliases") or ()):
        here = f"{path}.hostAliases[{index}]"
        if alias.get("ip"):
            errors.each(f"{here}.ip", alias["ip"], names.ip(alias["ip"]))
        for place, host in enumerate(alias.get("hostnames") or ()):
            errors.each(f"{here}.hostnames[{place}]", host, names.dns_subdomain(host))
    for index, gate in enumerate(found.get("readinessGates") or ()):
        kind = gate.get("conditionType") or ""
        errors.each(f"{path}.readinessGates[{index}].conditionType", kind, names.qualified(kind) if kind else [])
    _dns(found, errors, path)
    if found.get("schedulingGates") and found.get("nodeName"):
        errors.forbidden(f"{path}.nodeName", "cannot be set until all schedulingGates have been cleared")


def _dns(found: Object, errors: Errors, path: str) -> None:
    config = found.get("dnsConfig") or {}
    servers, searches = config.get("nameservers") or (), config.get("searches") or ()
    if found.get("dnsPolicy") == "None" and not servers:
        errors.required(
            f"{path}.dnsConfig.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None"
        )
    if len(servers) > 3:
        errors.invalid(f"{path}.dnsConfig.nameservers", list(servers), "must not have more than 3 nameservers")
    for index, server in enumerate(servers):
        errors.each(f"{path}.dnsConfig.nameservers[{index}]", server, names.ip(server))
    if len(searches) > 32:
        errors.invalid(f"{path}.dnsConfig.searches", list(searches), "must not have more than 32 search paths")


def create(pod: Object, errors: Errors) -> None:
    """A new pod."""
    found = pod.get("spec")
    if found is None:
        errors.required("spec")
        return
    if found.get("ephemeralContainers"):
        errors.forbidden("spec.ephemeralContainers", "cannot be set on create")
    spec(found, errors)


def template(found: Object | None, errors: Errors, path: str) -> None:
    """The template of pods in a workload's spec."""
    if found is None:
        return  # reported as missing already
    meta = found.get("metadata") or {}
    metadata.labels(meta.get("labels"), errors, f"{path}.metadata.labels")
    metadata.annotations(meta.get("annotations"), errors, f"{path}.metadata.annotations")
    if found.get("spec") is None:
        errors.required(f"{path}.spec.containers")
        return
    if found["spec"].get("ephemeralContainers"):
        errors.forbidden(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template")
    spec(found["spec"], errors, f"{path}.spec")


def update(new: Object, old: Object, errors: Errors) -> None:
    """What may change in a pod that exists: images, the deadline (sooner), tolerations (more), scheduling gates (fewer)."""
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if after == before:
        return
    for field in ("containers", "initContainers"):
        if len(after.get(field) or ()) != len(before.get(field) or ()):
            errors.forbidden(f"spec.{field}", "pod updates may not add or remove containers")
            return
        for index, each in enumerate(after.get(field) or ()):
            if not each.get("image"):
                errors.required(f"spec.{field}[{index}].image")
    _deadline(after.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds"), errors)
    munged = deepcopy(after)
    for field in ("containers", "initContainers"):
        for each, was in zip(munged.get(field) or (), before.get(field) or (), strict=True):
            each["image"] = was.get("image")
    _carry(munged, before, "activeDeadlineSeconds")
    if before.get("terminationGracePeriodSeconds", 0) < 0 and after.get("terminationGracePeriodSeconds") == 1:
        _carry(munged, before, "terminationGracePeriodSeconds")
    if before.get("schedulingGates"):
        _gated(munged, before, errors)
    elif after.get("schedulingGates"):
        errors.forbidden("spec.schedulingGates", "only deletion is allowed, but found new scheduling gate")
    was = before.get("tolerations") or []
    if all(each in (after.get("tolerations") or ()) for each in was):
        _carry(munged, before, "tolerations")
    else:
        errors.forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")
        _carry(munged, before, "tolerations")
    placement.tolerations(after, errors, "spec")
    if munged != before:
        changed = sorted(key for key in {*munged, *before} if munged.get(key) != before.get(key))
        errors.forbidden("spec", f"{_MUTABLE}\n(changed: {', '.join(changed)})")


def _carry(munged: Object, before: Object, field: str) -> None:
    if field in before:
        munged[field] = before[field]
    else:
        munged.pop(field, None)


def _deadline(after: int | None, before: int | None, errors: Errors) -> None:
    if before is None or after == before:
        return
    if after is None:
        errors.invalid("spec.activeDeadlineSeconds", None, "must not update from a positive integer to nil value")
    elif after > before:
        errors.invalid("spec.activeDeadlineSeconds", after, f"must be less than or equal to previous value {before}")


def _gated(munged: Object, before: Object, errors: Errors) -> None:
    """A pod that waits for its gates may lose gates and have its placement narrowed."""
    kept = {gate.get("name") for gate in before["schedulingGates"]}
    for gate in munged.get("schedulingGates") or ():
        if gate.get("name") not in kept:
            errors.forbidden(
                "spec.schedulingGates", f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'"
            )
    _carry(munged, before, "schedulingGates")
    for key, value in (before.get("nodeSelector") or {}).items():
        if (munged.get("nodeSelector") or {}).get(key) != value:
            errors.invalid(
                "spec.nodeSelector",
                munged.get("nodeSelector"),
                "only additions are allowed to spec.nodeSelector (no mutations or deletions)",
            )
            break
    _carry(munged, before, "nodeSelector")
    _carry(munged, before, "affinity")


def resize(new: Object, old: Object, errors: Errors) -> None:
    """The `resize` subresource: only cpu and memory of containers may change, and never across a QoS class."""
    after, before = new.get("spec") or {}, old.get("spec") or {}
    munged = deepcopy(after)
    for field in ("containers", "initContainers"):
        pairs = zip(munged.get(field) or (), before.get(field) or (), strict=False)
        for index, (each, was) in enumerate(pairs):
            here = f"spec.{field}[{index}].resources"
            resources(each.get("resources"), errors, here)
            for side in ("limits", "requests"):
                _resized(_amounts(each, side), _amounts(was, side), errors, f"{here}.{side}")
            _carry(each, was, "resources")
            _carry(each, was, "resizePolicy")
    if munged != before:
        errors.forbidden("spec", "only cpu and memory resources are mutable")


def _amounts(container: Object, side: str) -> dict[str, str]:
    found: dict[str, str] = (container.get("resources") or {}).get(side) or {}
    return found


def _resized(after: dict[str, str], before: dict[str, str], errors: Errors, path: str) -> None:
    for name in sorted({*after, *before}):
        same = name in after and name in before and quantity.parse(after[name]) == quantity.parse(before[name])
        if same:
            continue
        if name not in _RESIZABLE:
            errors.forbidden(path, "only cpu and memory resources are mutable")
        elif name not in after:
            errors.forbidden(path, f"resource {path.rpartition('.')[2]} cannot be removed")


def ephemeral(new: Object, old: Object, errors: Errors) -> None:
    """The `ephemeralcontainers` subresource: containers may be added, none changed or removed."""
    after = (new.get("spec") or {}).get("ephemeralContainers") or []
    before = (old.get("spec") or {}).get("ephemeralContainers") or []
    by_name: dict[Any, Object] = {each.get("name"): each for each in after}
    for index, each in enumerate(before):
        kept = by_name.get(each.get("name"))
        if kept is None:
            errors.forbidden(
                "spec.ephemeralContainers", f'existing ephemeral containers "{each.get("name")}" may not be removed\n'
            )
        elif kept != each:
            errors.forbidden(
                f"spec.ephemeralContainers[{index}]",
                f'existing ephemeral containers "{each.get("name")}" may not be changed\n',
            )
    containers(new.get("spec") or {}, errors, "spec")
