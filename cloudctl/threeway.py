"""The patch that `apply` sends: from what was applied last, what shall be applied now, and what the server has.

A field set now is set; a field that was applied last and is gone now is removed; everything else on the server is left alone.
Lists with a merge key are compared item by item, other lists are replaced whole. Source: "Declarative Management of
Kubernetes Objects", the merge calculation, and the strategic merge patch directives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from api.types import Object


class Schema(Protocol):
    """What the merge must know of a field: see `schema.Document`."""

    def resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Follow a reference."""

    def field(self, schema: dict[str, Any], name: str) -> dict[str, Any] | None:
        """The schema of a field."""

    def items(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The schema of a list's items."""


class Merge:
    """Computes patches with the merge keys of one schema; without a schema the patch is a JSON merge patch."""

    def __init__(self, document: Schema | None) -> None:
        self._document = document

    def patch(self, last: Object, wanted: Object, live: Object, schema: dict[str, Any] | None) -> Object:
        """The changes that turn `live` into `wanted`; empty when there are none."""
        change: Object = {}
        for name, value in wanted.items():
            if name not in live:
                if value is not None:
                    change[name] = value
                continue
            self._one(change, name, last.get(name), value, live[name], self._field(schema, name))
        for name in last:
            if name not in wanted and name in live:
                change[name] = None
        return change

    def _field(self, schema: dict[str, Any] | None, name: str) -> dict[str, Any] | None:
        return self._document.field(schema, name) if self._document and schema is not None else None

    def _one(self, change: Object, name: str, last: Any, wanted: Any, live: Any, schema: dict[str, Any] | None) -> None:
        """Put the change of one field that the server has, if there is one."""
        if isinstance(wanted, dict) and isinstance(live, dict):
            inner = self.patch(last if isinstance(last, dict) else {}, wanted, live, schema)
            if inner:
                if "retainKeys" in _strategies(schema):
                    inner["$retainKeys"] = sorted(k for k, v in wanted.items() if v is not None)
                change[name] = inner
        elif isinstance(wanted, list) and isinstance(live, list) and "merge" in _strategies(schema) and self._document:
            before = last if isinstance(last, list) else []
            key = schema.get("x-kubernetes-patch-merge-key") if schema else None
            if key and schema is not None:
                self._keyed(change, name, before, wanted, live, key, self._document.items(schema))
            else:
                _primitives(change, name, before, wanted, live)
        elif wanted != live:
            change[name] = wanted

    def _keyed(
        self,
        change: Object,
        name: str,
        last: list[Any],
        wanted: list[Any],
        live: list[Any],
        key: str,
        schema: dict[str, Any],
    ) -> None:
        """Lists of objects that a field of theirs tells apart."""
        before, present = _by(last, key), _by(live, key)
        keep = _by(wanted, key)
        if not all(isinstance(item, dict) and key in item for item in wanted):
            change[name] = wanted
            return
        items: list[Object] = []
        for ident, item in keep.items():
            if ident not in present:
                items.append(item)
                continue
            inner = self.patch(before.get(ident, {}), item, present[ident], schema)
            if inner:
                if "retainKeys" in _strategies(schema):
                    inner["$retainKeys"] = sorted(item)
                items.append({key: ident, **inner})
        items += [{"$patch": "delete", key: ident} for ident in before if ident not in keep and ident in present]
        order = [ident for ident in present if ident in keep]
        if items or order != [ident for ident in keep if ident in present]:
            change[f"$setElementOrder/{name}"] = [{key: ident} for ident in keep]
        if items:
            change[name] = items


def _strategies(schema: dict[str, Any] | None) -> Sequence[str]:
    return str((schema or {}).get("x-kubernetes-patch-strategy", "")).split(",")


def _by(items: list[Any], key: str) -> dict[Any, Object]:
    return {item[key]: item for item in items if isinstance(item, dict) and key in item}


def _primitives(change: Object, name: str, last: list[Any], wanted: list[Any], live: list[Any]) -> None:
    """Lists of plain values that are treated as sets."""
    added = [value for value in wanted if value not in live]
    removed = [value for value in last if value not in wanted and value in live]
    if removed:
        change[f"$deleteFromPrimitiveList/{name}"] = removed
    if added or removed:
        change[f"$setElementOrder/{name}"] = wanted
    if added:
        change[name] = added
