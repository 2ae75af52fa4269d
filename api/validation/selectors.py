"""The rules of label selectors and node selectors."""

from api import selectors
from api.types import Object
from api.validation import metadata, names
from api.validation.errors import Errors

_VALUES_NEEDED = "must be specified when `operator` is 'In' or 'NotIn'"
_VALUES_REFUSED = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"


def label_selector(found: Object | None, errors: Errors, path: str) -> None:
    """`matchLabels` and `matchExpressions`."""
    if not found:
        return
    metadata.labels(found.get("matchLabels"), errors, f"{path}.matchLabels")
    for index, each in enumerate(found.get("matchExpressions") or ()):
        here = f"{path}.matchExpressions[{index}]"
        operator, values = each.get("operator", ""), each.get("values") or ()
        if operator in ("In", "NotIn"):
            if not values:
                errors.required(f"{here}.values", _VALUES_NEEDED)
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                errors.forbidden(f"{here}.values", _VALUES_REFUSED)
        elif operator:
            errors.invalid(f"{here}.operator", operator, "not a valid selector operator")
        if each.get("key"):
            errors.each(f"{here}.key", each["key"], names.qualified(each["key"]))
        for place, value in enumerate(values):
            errors.each(f"{here}.values[{place}]", value, names.label_value(value))


def workload_selector(spec: Object, kind: str, errors: Errors, path: str = "spec") -> None:
    """A workload's selector must select something, and must select the pods of its own template."""
    selector = spec.get("selector")
    if selector is None:
        return  # reported as missing already
    before = len(errors)
    label_selector(selector, errors, f"{path}.selector")
    if len(errors) > before:
        return
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        errors.invalid(f"{path}.selector", selector, f"empty selector is invalid for {kind}")
        return
    template_labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if not selectors.from_object(selector).matches(template_labels):
        errors.invalid(
            f"{path}.template.metadata.labels", template_labels, "`selector` does not match template `labels`"
        )


def node_selector(found: Object | None, errors: Errors, path: str) -> None:
    """The terms of a required node affinity."""
    if not found:
        return
    for index, term in enumerate(found.get("nodeSelectorTerms") or ()):
        node_selector_term(term, errors, f"{path}.nodeSelectorTerms[{index}]")


def node_selector_term(term: Object, errors: Errors, path: str) -> None:
    """The expressions and fields of one term."""
    for index, each in enumerate(term.get("matchExpressions") or ()):
        _requirement(each, errors, f"{path}.matchExpressions[{index}]")
        if each.get("key"):
            errors.each(f"{path}.matchExpressions[{index}].key", each["key"], names.qualified(each["key"]))
    for index, each in enumerate(term.get("matchFields") or ()):
        here = f"{path}.matchFields[{index}]"
        if each.get("operator") not in ("In", "NotIn"):
            errors.invalid(f"{here}.operator", each.get("operator", ""), "not a valid selector operator")
        elif len(each.get("values") or ()) != 1:
            errors.required(
                f"{here}.values", "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            )
        if each.get("key") != "metadata.name":
            errors.invalid(f"{here}.key", each.get("key", ""), "not a valid field selector key")


def _requirement(each: Object, errors: Errors, path: str) -> None:
    operator, values = each.get("operator", ""), each.get("values") or ()
    if operator in ("In", "NotIn"):
        if not values:
            errors.required(f"{path}.values", _VALUES_NEEDED)
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            errors.forbidden(f"{path}.values", _VALUES_REFUSED)
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            errors.required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
    elif operator:
        errors.invalid(f"{path}.operator", operator, "not a valid selector operator")
