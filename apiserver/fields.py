"""The selectable fields of an object: what `fieldSelector` may name, and the values kept beside the cached bytes."""

from __future__ import annotations

from collections.abc import Callable
from sys import intern
from typing import Any

from api import errors
from api.selectors import FieldSelector
from api.types import Object, Resource

META = ("metadata.name", "metadata.namespace")


def _source(obj: Object) -> str:
    return str((obj.get("source") or {}).get("component") or obj.get("reportingComponent") or "")


def _pod_ips(obj: Object) -> str:
    return ",".join(entry.get("ip", "") for entry in (obj.get("status") or {}).get("podIPs") or ())


_SPECIAL: dict[str, Callable[[Object], str]] = {
    "source": _source,
    "status.podIPs": _pod_ips,
    "status.successful": lambda obj: str((obj.get("status") or {}).get("succeeded", 0)),
}
_DEFAULTS = {"spec.unschedulable": "false", "spec.hostNetwork": "false", "status.replicas": "0"}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _value(obj: Object, path: str) -> str:
    special = _SPECIAL.get(path)
    if special:
        return special(obj)
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
        if value is None:
            return _DEFAULTS.get(path, "")
    return _text(value)


def extract(resource: Resource, obj: Object) -> dict[str, str] | None:
    """The object's selectable fields beside name and namespace; empty ones are left out. None when there are none."""
    found = {}
    for path in resource.field_selectors:
        if path not in META:
            value = _value(obj, path)
            if value:
                found[path] = intern(value)
    return found or None


def check(resource: Resource, selector: FieldSelector) -> None:
    """Raise BadRequest when a selector names a field that the resource does not offer."""
    for path, _, _ in selector.terms:
        if path not in resource.field_selectors and path not in META:
            text = f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"'
            if len(resource.field_selectors) > len(META):
                text = f"field label not supported: {path}"
            raise errors.BadRequest(text)
