"""Who owns which fields: metadata.managedFields and server-side apply.

Every write is entered under its manager. An update owns what it changes; an applier owns what it says, may take fields from
others only by force, and loses what it no longer says. Source: "Server-Side Apply" of the Kubernetes documentation.
"""

from __future__ import annotations

from typing import Any

from api import kinds, timestamp
from api.errors import Conflict
from api.types import Object, Resource
from apiserver.managed import objects, schema, sets
from apiserver.managed.sets import Fields

APPLY, UPDATE = "Apply", "Update"
MAX_UPDATERS = 10
ANCIENT = "ancient-changes"
_NOT_OWNED_META = frozenset(
    ("name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields", "resourceVersion",
     "deletionTimestamp", "deletionGracePeriodSeconds")
)  # fmt: skip
Entry = Object


def _owned(obj: Object) -> Object:
    """The part of an object that can be owned."""
    found = {name: value for name, value in obj.items() if name not in ("kind", "apiVersion", "metadata")}
    meta = {name: value for name, value in (obj.get("metadata") or {}).items() if name not in _NOT_OWNED_META}
    return found | {"metadata": meta} if meta else found


def _entry(resource: Resource, manager: str, operation: str, subresource: str, fields: Fields) -> Entry:
    entry: Entry = {
        "manager": manager,
        "operation": operation,
        "apiVersion": resource.group_version,
        "time": timestamp.now(),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    if subresource:
        entry["subresource"] = subresource
    return entry


def _is(entry: Entry, manager: str, operation: str, subresource: str) -> bool:
    found = (entry.get("manager"), entry.get("operation"), entry.get("subresource", ""))
    return found == (manager, operation, subresource)


def _set(meta: Object, entries: list[Entry]) -> None:
    if entries:
        meta["managedFields"] = entries
    else:
        meta.pop("managedFields", None)


def created(resource: Resource, obj: Object, manager: str) -> None:
    """Enter a new object's fields under the manager that created it."""
    fields = objects.extract(schema.root(kinds.load(resource)), _owned(obj), containers=True)
    _set(obj["metadata"], [_entry(resource, manager, UPDATE, "", fields)] if fields else [])


def _before(new: Object, old: Object, subresource: str) -> list[Entry]:
    """The entries to go on from: the writer's if it sends some, none if it resets them, else those that are there."""
    given = new["metadata"].get("managedFields")
    if given and not subresource:
        return [] if given == [{}] else [dict(entry) for entry in given]
    return [dict(entry) for entry in old["metadata"].get("managedFields") or ()]


def updated(resource: Resource, new: Object, old: Object, manager: str, subresource: str) -> None:
    """Enter what a write has changed under its manager and take it from all others."""
    entries = _before(new, old, subresource)
    root = schema.root(kinds.load(resource))
    changed, removed = objects.compare(root, _owned(old), _owned(new))
    if changed or removed:
        entries = _moved(entries, changed, removed)
        if changed:
            entries = _taken(resource, entries, changed, manager, subresource)
    _set(new["metadata"], entries)


def _moved(entries: list[Entry], changed: Fields, removed: Fields) -> list[Entry]:
    """All entries without what has changed or gone; empty ones go."""
    kept = []
    for entry in entries:
        fields = sets.difference(sets.difference(entry.get("fieldsV1") or {}, changed), removed)
        kept.append(entry | {"fieldsV1": fields})
    return [entry for entry in kept if entry["fieldsV1"]]


def _taken(resource: Resource, entries: list[Entry], changed: Fields, manager: str, subresource: str) -> list[Entry]:
    own: Fields = {}
    rest = []
    for entry in entries:
        if _is(entry, manager, UPDATE, subresource):
            own = sets.join(own, entry["fieldsV1"])
        else:
            rest.append(entry)
    rest.append(_entry(resource, manager, UPDATE, subresource, sets.join(own, changed)))
    return _capped(rest)


def _capped(entries: list[Entry]) -> list[Entry]:
    """At most MAX_UPDATERS entries of updates: the oldest are thrown together."""
    updates = sorted((e for e in entries if e["operation"] == UPDATE), key=lambda e: str(e.get("time", "")))
    excess = len(updates) - MAX_UPDATERS
    if excess <= 0:
        return entries
    old = updates[: excess + 1]
    merged = dict(old[-1]) | {"manager": ANCIENT}
    for entry in old[:-1]:
        merged["fieldsV1"] = sets.join(merged["fieldsV1"], entry["fieldsV1"])
    return [*(e for e in entries if not any(e is each for each in old)), merged]


def applied_new(resource: Resource, obj: Object, patch: Object, manager: str) -> None:
    """Enter an object that an applier has created: it owns what it said."""
    fields = objects.extract(schema.root(kinds.load(resource)), _owned(patch), containers=False)
    _set(obj["metadata"], [_entry(resource, manager, APPLY, "", fields)])


def merged(resource: Resource, live: Object, patch: Object, manager: str, subresource: str) -> Object:
    """The live object with an applier's patch: its fields merged in, those it no longer says taken out.

    What another manager owns, too, stays.
    """
    root = schema.root(kinds.load(resource))
    result = objects.merge(root, live, patch)
    entries = live["metadata"].get("managedFields") or ()
    last: Fields = {}
    kept = objects.extract(root, _owned(patch), containers=False)
    for entry in entries:
        if _is(entry, manager, APPLY, subresource):
            last = sets.join(last, entry.get("fieldsV1") or {})
        else:
            kept = sets.join(kept, entry.get("fieldsV1") or {})
    pruned: Any = objects.remove(root, result, last, kept)
    for name in ("kind", "apiVersion"):
        pruned[name] = live[name]
    pruned["metadata"] = {k: v for k, v in (pruned.get("metadata") or {}).items() if k not in _NOT_OWNED_META} | {
        k: v for k, v in live["metadata"].items() if k in _NOT_OWNED_META
    }
    return dict(pruned)


def applied(
    resource: Resource, new: Object, old: Object, patch: Object, manager: str, subresource: str, *, force: bool
) -> None:
    """Enter an apply: the applier owns what it says. Raises Conflict when that changes what others own, unless forced."""
    root = schema.root(kinds.load(resource))
    entries = [dict(entry) for entry in old["metadata"].get("managedFields") or ()]
    own = next((entry for entry in entries if _is(entry, manager, APPLY, subresource)), None)
    others = [entry for entry in entries if entry is not own]
    changed, removed = objects.compare(root, _owned(old), _owned(new))
    said = objects.extract(root, _owned(patch), containers=False)
    if not force:
        _refuse_conflicts(others, sets.intersection(changed, said))
    others = _moved(others, changed, removed) if changed or removed else others
    if own is not None and own.get("fieldsV1") == said and not changed and not removed:
        _set(new["metadata"], entries)
        return
    _set(new["metadata"], [*others, _entry(resource, manager, APPLY, subresource, said)])


def _refuse_conflicts(others: list[Entry], changed: Fields) -> None:
    found: list[tuple[str, str]] = []
    for entry in others:
        both = sets.intersection(entry.get("fieldsV1") or {}, changed)
        found += [(_who(entry), path) for path in sets.paths(both)]
    if not found:
        return
    if len(found) == 1:
        said = f"Apply failed with 1 conflict: conflict with {found[0][0]}: {found[0][1]}"
    else:
        parts = []
        for who in sorted({who for who, _ in found}):
            parts.append(f"conflicts with {who}:" + "".join(f"\n- {path}" for name, path in found if name == who))
        said = f"Apply failed with {len(found)} conflicts: " + "\n".join(parts)
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": path} for who, path in found
    ]
    raise Conflict(said, {"causes": causes})


def _who(entry: Entry) -> str:
    text = f'"{entry.get("manager", "")}"'
    if entry.get("subresource"):
        text += f' with subresource "{entry["subresource"]}"'
    if entry.get("operation") == UPDATE:
        text += f" using {entry.get('apiVersion', '')}"
        if entry.get("time"):
            text += f" at {entry['time']}"
    return text
