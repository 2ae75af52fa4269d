"""The rules of where a pod may run: node selectors, affinities, tolerations, spread constraints, and a node's taints."""

from api.types import Object
from api.validation import metadata, names, selectors
from api.validation.errors import Errors


def placement(spec: Object, errors: Errors, path: str) -> None:
    """Everything in a pod spec that constrains its node."""
    metadata.labels(spec.get("nodeSelector"), errors, f"{path}.nodeSelector")
    affinity = spec.get("affinity") or {}
    _node_affinity(affinity.get("nodeAffinity") or {}, errors, f"{path}.affinity.nodeAffinity")
    for kind in ("podAffinity", "podAntiAffinity"):
        _pod_affinity(affinity.get(kind) or {}, errors, f"{path}.affinity.{kind}")
    tolerations(spec, errors, path)
    _spread(spec, errors, path)


def _node_affinity(found: Object, errors: Errors, path: str) -> None:
    selectors.node_selector(
        found.get("requiredDuringSchedulingIgnoredDuringExecution"),
        errors,
        f"{path}.requiredDuringSchedulingIgnoredDuringExecution",
    )
    for index, each in enumerate(found.get("preferredDuringSchedulingIgnoredDuringExecution") or ()):
        here = f"{path}.preferredDuringSchedulingIgnoredDuringExecution[{index}]"
        selectors.node_selector_term(each.get("preference") or {}, errors, f"{here}.preference")


def _pod_affinity(found: Object, errors: Errors, path: str) -> None:
    field = "requiredDuringSchedulingIgnoredDuringExecution"
    for index, term in enumerate(found.get(field) or ()):
        _pod_term(term, errors, f"{path}.{field}[{index}]")
    field = "preferredDuringSchedulingIgnoredDuringExecution"
    for index, each in enumerate(found.get(field) or ()):
        _pod_term(each.get("podAffinityTerm") or {}, errors, f"{path}.{field}[{index}].podAffinityTerm")


def _pod_term(term: Object, errors: Errors, path: str) -> None:
    selectors.label_selector(term.get("labelSelector"), errors, f"{path}.labelSelector")
    selectors.label_selector(term.get("namespaceSelector"), errors, f"{path}.namespaceSelector")
    for index, namespace in enumerate(term.get("namespaces") or ()):
        errors.each(f"{path}.namespaces[{index}]", namespace, names.dns_label(namespace))
    if term.get("topologyKey"):
        errors.each(f"{path}.topologyKey", term["topologyKey"], names.qualified(term["topologyKey"]))


def tolerations(spec: Object, errors: Errors, path: str) -> None:
    """Each toleration by itself."""
    for index, each in enumerate(spec.get("tolerations") or ()):
        here = f"{path}.tolerations[{index}]"
        key, operator = each.get("key"), each.get("operator")
        if key:
            errors.each(f"{here}.key", key, names.qualified(key))
        elif operator != "Exists":
            errors.invalid(
                f"{here}.operator",
                operator or "",
                'operator must be Exists when `key` is empty, which means "match all values and all keys"',
            )
        if each.get("tolerationSeconds") is not None and each.get("effect") != "NoExecute":
            errors.invalid(
                f"{here}.effect", each.get("effect", ""), "effect must be 'NoExecute' when `tolerationSeconds` is set"
            )
        if operator == "Exists" and each.get("value"):
            errors.invalid(f"{here}.operator", each["value"], "value must be empty when `operator` is 'Exists'")
        elif each.get("value"):
            errors.each(f"{here}.operator", each["value"], names.label_value(each["value"]))


def _spread(spec: Object, errors: Errors, path: str) -> None:
    taken = set()
    for index, each in enumerate(spec.get("topologySpreadConstraints") or ()):
        here = f"{path}.topologySpreadConstraints[{index}]"
        pair = (each.get("topologyKey"), each.get("whenUnsatisfiable"))
        if pair in taken:
            errors.duplicate(f"{here}.{{topologyKey, whenUnsatisfiable}}", f"{{{pair[0]}, {pair[1]}}}")
        taken.add(pair)
        if each.get("maxSkew") is None:
            errors.invalid(f"{here}.maxSkew", 0, "must be greater than zero")
        if each.get("minDomains") is not None and pair[1] != "DoNotSchedule":
            errors.invalid(
                f"{here}.minDomains",
                each["minDomains"],
                "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not " + str(pair[1]),
            )
        selectors.label_selector(each.get("labelSelector"), errors, f"{here}.labelSelector")


def taints(spec: Object, errors: Errors) -> None:
    """The taints of a node: well formed, and none twice."""
    taken = set()
    for index, taint in enumerate(spec.get("taints") or ()):
        here = f"spec.taints[{index}]"
        if taint.get("key"):
            errors.each(f"{here}.key", taint["key"], names.qualified(taint["key"]))
        if taint.get("value"):
            errors.each(f"{here}.value", taint["value"], names.label_value(taint["value"]))
        pair = (taint.get("key"), taint.get("effect"))
        if pair in taken:
            errors.duplicate(here, f"{pair[0]}:{pair[1]}")
        taken.add(pair)
