"""The rules of configuration, namespaces, nodes, access control, quota, events and what else administers a cluster."""

import base64
import json
import re
from itertools import pairwise

from api import quantity
from api.types import Object
from api.validation import names, placement
from api.validation.errors import IMMUTABLE, Errors

MAX_DATA = 1024 * 1024
_IMMUTABLE_SET = "field is immutable when `immutable` is set"
_SECRET_KEYS = {
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_RBAC_GROUP = "rbac.authorization.k8s.io"
_SIGNER = re.compile(r"[^/]+\.[^/]+/[^/]+(/[^/]+)*")


def config_map(obj: Object, errors: Errors) -> None:
    """A ConfigMap: good keys, no key in both maps, a mebibyte at most."""
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    total = 0
    for field, found in (("data", data), ("binaryData", binary)):
        for key, value in found.items():
            errors.each(f"{field}[{key}]", key, names.config_key(key))
            total += len(value.encode()) if field == "data" else len(value) * 3 // 4
    for key in data:
        if key in binary:
            errors.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
    if total > MAX_DATA:
        errors.too_long("", MAX_DATA)


def secret(obj: Object, errors: Errors) -> None:
    """A Secret: good keys, the keys that its type asks for, a mebibyte at most."""
    data = obj.get("data") or {}
    for key in data:
        errors.each(f"data[{key}]", key, names.config_key(key))
    if sum(len(value) * 3 // 4 for value in data.values()) > MAX_DATA:
        errors.too_long("data", MAX_DATA)
    kind = obj.get("type", "Opaque")
    for key in _SECRET_KEYS.get(kind, ()):
        if key not in data:
            errors.required(f"data[{key}]")
        elif key.startswith(".docker"):
            _json(data[key], errors, f"data[{key}]")
    if kind == "kubernetes.io/basic-auth" and not ({"username", "password"} & set(data)):
        errors.required("data[username]")
        errors.required("data[password]")
    if kind == "kubernetes.io/service-account-token":
        path = "metadata.annotations[kubernetes.io/service-account.name]"
        if not (obj["metadata"].get("annotations") or {}).get("kubernetes.io/service-account.name"):
            errors.required(path)


def _json(encoded: str, errors: Errors, path: str) -> None:
    try:
        json.loads(base64.b64decode(encoded))
    except ValueError as error:
        errors.invalid(path, "<secret contents redacted>", str(error))


def update_data(new: Object, old: Object, errors: Errors) -> None:
    """A ConfigMap or Secret marked immutable stays as it is, and stays marked."""
    if old.get("immutable"):
        if not new.get("immutable"):
            errors.forbidden("immutable", _IMMUTABLE_SET)
        for field in ("data", "binaryData"):
            if (new.get(field) or {}) != (old.get(field) or {}):
                errors.forbidden(field, _IMMUTABLE_SET)


def update_secret(new: Object, old: Object, errors: Errors) -> None:
    """A Secret keeps its type."""
    errors.immutable("type", new.get("type"), old.get("type"))
    update_data(new, old, errors)


def node(obj: Object, errors: Errors) -> None:
    """A Node: taints and pod ranges."""
    spec = obj.get("spec") or {}
    placement.taints(spec, errors)
    for index, each in enumerate(spec.get("podCIDRs") or ()):
        errors.each(f"spec.podCIDRs[{index}]", each, names.cidr(each))


def update_node(new: Object, old: Object, errors: Errors) -> None:
    """A node's pod range is given once; of its spec only taints and cordoning may change after that."""
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if before.get("podCIDRs") and after.get("podCIDRs") != before["podCIDRs"]:
        errors.forbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid')
    if before.get("providerID") and after.get("providerID") != before["providerID"]:
        errors.forbidden("spec.providerID", 'node updates may not change providerID except from "" to valid')


def role(obj: Object, errors: Errors, *, namespaced: bool = True) -> None:
    """A Role: every rule has verbs, and is about resources or about paths."""
    for index, rule in enumerate(obj.get("rules") or ()):
        here = f"rules[{index}]"
        if not rule.get("verbs"):
            errors.required(f"{here}.verbs", "verbs must contain at least one value")
        if rule.get("nonResourceURLs"):
            if namespaced:
                errors.invalid(
                    f"{here}.nonResourceURLs",
                    rule["nonResourceURLs"],
                    "namespaced rules cannot apply to non-resource URLs",
                )
            if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                errors.invalid(
                    f"{here}.nonResourceURLs",
                    rule["nonResourceURLs"],
                    "rules cannot apply to both regular resources and non-resource URLs",
                )
            continue
        if not rule.get("apiGroups"):
            errors.required(f"{here}.apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            errors.required(f"{here}.resources", "resource rules must supply at least one resource")


def cluster_role(obj: Object, errors: Errors) -> None:
    """A ClusterRole: as a Role, and it may speak of paths."""
    role(obj, errors, namespaced=False)


def role_binding(obj: Object, errors: Errors, *, namespaced: bool = True) -> None:
    """A RoleBinding: a role that can be bound, and subjects that can be told apart."""
    ref = obj.get("roleRef") or {}
    if ref.get("apiGroup") != _RBAC_GROUP:
        errors.unsupported("roleRef.apiGroup", ref.get("apiGroup", ""), (_RBAC_GROUP,))
    kinds = ("Role", "ClusterRole") if namespaced else ("ClusterRole",)
    if ref.get("kind") not in kinds:
        errors.unsupported("roleRef.kind", ref.get("kind", ""), kinds)
    for index, subject in enumerate(obj.get("subjects") or ()):
        _subject(subject, errors, f"subjects[{index}]", namespaced)


def cluster_role_binding(obj: Object, errors: Errors) -> None:
    """A ClusterRoleBinding: as a RoleBinding, but of a ClusterRole, and service accounts name their namespace."""
    role_binding(obj, errors, namespaced=False)


def _subject(subject: Object, errors: Errors, path: str, namespaced: bool) -> None:
    kind, group = subject.get("kind"), subject.get("apiGroup") or ""
    if kind == "ServiceAccount":
        if subject.get("name"):
            errors.each(f"{path}.name", subject["name"], names.dns_subdomain(subject["name"]))
        if group:
            errors.unsupported(f"{path}.apiGroup", group, ("",))
        if not subject.get("namespace") and not namespaced:
            errors.required(f"{path}.namespace")
    elif kind in ("User", "Group") and group != _RBAC_GROUP:
        errors.unsupported(f"{path}.apiGroup", group, (_RBAC_GROUP,))


def update_binding(new: Object, old: Object, errors: Errors) -> None:
    """A binding keeps its role."""
    if new.get("roleRef") != old.get("roleRef"):
        errors.invalid("roleRef", new.get("roleRef"), "cannot change roleRef")


def lease(obj: Object, errors: Errors) -> None:
    """A Lease's holder, where one is named, has a name."""
    if (obj.get("spec") or {}).get("holderIdentity") == "":
        errors.invalid("spec.holderIdentity", "", "must not be empty")


def event(obj: Object, errors: Errors) -> None:
    """An Event stands in the namespace of what it is about."""
    field = "involvedObject" if "involvedObject" in obj else "regarding"
    about = (obj.get(field) or {}).get("namespace") or ""
    namespace = obj["metadata"].get("namespace") or ""
    if about != namespace and (about or namespace not in ("default", "kube-system")):
        errors.invalid(f"{field}.namespace", about, "does not match event.namespace")


def event_v1(obj: Object, errors: Errors) -> None:
    """An event of events.k8s.io says who reports it, about what, and when."""
    event(obj, errors)
    for field in ("reportingController", "reportingInstance", "reason", "action", "type", "eventTime"):
        if not obj.get(field):
            errors.required(field)
    if obj.get("type") not in (None, "Normal", "Warning"):
        errors.invalid("type", obj["type"], "has invalid value: " + str(obj["type"]))
    if len(str(obj.get("note") or "").encode()) > 1024:
        errors.invalid("note", obj["note"], "can have at most 1024 bytes")


def priority_class(obj: Object, errors: Errors) -> None:
    """A PriorityClass of a user stays below the system's."""
    name, value = str(obj["metadata"].get("name") or ""), obj.get("value") or 0
    system = name in ("system-node-critical", "system-cluster-critical")
    if name.startswith("system-") and not system:
        errors.forbidden(
            "metadata.name",
            "priority class names with 'system-' prefix are reserved for system use only. error: "
            f"{name} is not a known system priority class",
        )
    elif not system and value > 10**9:
        errors.forbidden("value", "maximum allowed value of a user defined priority is 1000000000")


def update_priority_class(new: Object, old: Object, errors: Errors) -> None:
    """The number and the policy stay."""
    if (new.get("value") or 0) != (old.get("value") or 0):
        errors.forbidden("value", "may not be changed in an update.")
    errors.immutable("preemptionPolicy", new.get("preemptionPolicy"), old.get("preemptionPolicy"))


def resource_quota(obj: Object, errors: Errors) -> None:
    """A ResourceQuota: named amounts, none negative."""
    for name, amount in ((obj.get("spec") or {}).get("hard") or {}).items():
        errors.each(f"spec.hard[{name}]", name, names.qualified(name.removeprefix("count/").replace("/", "")))
        if quantity.parse(amount) < 0:
            errors.invalid(f"spec.hard[{name}]", amount, "must be greater than or equal to 0")


def update_resource_quota(new: Object, old: Object, errors: Errors) -> None:
    """The scopes of a quota stay."""
    after, before = new.get("spec") or {}, old.get("spec") or {}
    errors.immutable("spec.scopes", after.get("scopes"), before.get("scopes"))


def limit_range(obj: Object, errors: Errors) -> None:
    """A LimitRange: per resource min ≤ defaultRequest ≤ default ≤ max."""
    taken = set()
    for index, item in enumerate((obj.get("spec") or {}).get("limits") or ()):
        here = f"spec.limits[{index}]"
        if item.get("type") in taken:
            errors.duplicate(f"{here}.type", item.get("type"))
        taken.add(item.get("type"))
        if item.get("type") == "Pod":
            for field in ("default", "defaultRequest"):
                if item.get(field):
                    errors.forbidden(f"{here}.{field}", "may not be specified when `type` is 'Pod'")
        _ordered(item, errors, here)


def _ordered(item: Object, errors: Errors, path: str) -> None:
    fields = ("min", "defaultRequest", "default", "max")
    words = ("min value", "default request value", "default value", "max value")
    for resource in sorted({name for field in fields for name in item.get(field) or ()}):
        given = [
            (field, word, item[field][resource])
            for field, word in zip(fields, words, strict=True)
            if resource in (item.get(field) or {})
        ]
        for (field, word, low), (_, other, high) in pairwise(given):
            if quantity.parse(low) > quantity.parse(high):
                errors.invalid(f"{path}.{field}[{resource}]", low, f"{word} {low} is greater than {other} {high}")


def signing_request(obj: Object, errors: Errors) -> None:
    """A CertificateSigningRequest: a signer in full, a lifetime of ten minutes at least."""
    spec = obj.get("spec") or {}
    signer = spec.get("signerName")
    if signer and not _SIGNER.fullmatch(signer):
        errors.invalid(
            "spec.signerName", signer, "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        )
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < 600:
        errors.invalid(
            "spec.expirationSeconds", seconds, "may not specify a duration less than 600 seconds (10 minutes)"
        )
    if not spec.get("usages"):
        errors.required("spec.usages")


def update_signing_request(new: Object, old: Object, errors: Errors) -> None:
    """What was requested stays."""
    if new.get("spec") != old.get("spec"):
        errors.invalid("spec", "", IMMUTABLE)
