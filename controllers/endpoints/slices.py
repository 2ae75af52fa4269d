"""Laying endpoints out over EndpointSlices with as few changed slices as possible. Pure, but for the memory of `Tracker`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from api import meta
from api.types import Object

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"

Group = tuple[str, str]
"""Address family and the ports as canonical JSON: what all endpoints of one slice share."""


def group_of(family: str, ports: Sequence[Object]) -> Group:
    """The group for a family and a list of ports."""
    entries = [{k: v for k, v in port.items() if v not in (None, "")} for port in ports]
    entries.sort(key=lambda p: (p.get("name", ""), p.get("port", 0), p.get("protocol", "")))
    return family, json.dumps(entries, sort_keys=True)


def ports_from(group: Group) -> list[Object]:
    """The ports of a group as they stand in a slice (each with a name, which may be empty)."""
    return [{"name": "", **port} for port in json.loads(group[1])]


@dataclass(slots=True)
class Plan:
    """Slices to write: `create` without names, `update` as changed copies, `delete` as they are."""

    create: list[Object] = field(default_factory=list)
    update: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)


def plan(
    existing: Sequence[Object],
    desired: Mapping[Group, Sequence[Object]],
    labels: Mapping[str, str],
    limit: int,
    annotations: Mapping[str, str] | None = None,
) -> Plan:
    """What to change so that `existing` holds exactly the `desired` endpoints, at most `limit` in each slice.

    Endpoints stay in the slice in which they are; new ones go first to slices that change anyway. A slice that would be deleted
    is rewritten in place of a creation when the family allows.
    """
    result = Plan()
    rest: dict[Group, list[Object]] = {}
    for obj in existing:
        group = group_of(obj["addressType"], obj.get("ports") or ())
        (rest.setdefault(group, []) if group in desired else result.delete).append(obj)
    fresh: list[tuple[Group, list[Object]]] = []
    for group, endpoints in desired.items():
        fresh += [
            (group, chunk) for chunk in _lay_out(rest.get(group, []), endpoints, labels, annotations, limit, result)
        ]
    for group, chunk in fresh:
        body: Object = {"addressType": group[0], "ports": ports_from(group), "endpoints": chunk}
        spare = next((s for s in result.delete if s["addressType"] == group[0]), None)
        if spare is not None:
            result.delete.remove(spare)
            result.update.append({**_labelled(spare, labels, annotations), **body})
        else:
            metadata: Object = {"labels": dict(labels)}
            if annotations:
                metadata["annotations"] = dict(annotations)
            result.create.append({"metadata": metadata, **body})
    return result


def _labelled(obj: Object, labels: Mapping[str, str], annotations: Mapping[str, str] | None) -> Object:
    metadata = {**obj["metadata"], "labels": dict(labels)}
    if annotations is not None:
        metadata["annotations"] = dict(annotations)
    return {**obj, "metadata": metadata}


def identity(endpoint: Object) -> tuple[str, str]:
    """What makes two entries the same endpoint: address and target."""
    return endpoint["addresses"][0], (endpoint.get("targetRef") or {}).get("uid", "")


def _lay_out(
    slices: Sequence[Object],
    endpoints: Sequence[Object],
    labels: Mapping[str, str],
    annotations: Mapping[str, str] | None,
    limit: int,
    result: Plan,
) -> list[list[Object]]:
    """Change the slices of one group; returns the contents of the slices still to be made."""
    missing = {identity(e): e for e in endpoints}
    kept: list[tuple[Object, list[Object], bool]] = []
    for obj in slices:
        content = []
        for entry in obj.get("endpoints") or ():
            wanted = missing.pop(identity(entry), None)
            if wanted is not None:
                content.append(wanted)
        kept.append((obj, content, content != (obj.get("endpoints") or [])))
    queue = list(missing.values())
    for index, (obj, content, _) in sorted(enumerate(kept), key=lambda item: not item[1][2]):
        room = limit - len(content)
        if queue and room > 0:
            kept[index] = (obj, content + queue[:room], True)
            queue = queue[room:]
    placeholder = not endpoints
    for obj, content, changed in kept:
        if not content and not placeholder:
            result.delete.append(obj)
            continue
        placeholder = placeholder and bool(content)
        present = (meta.labels(obj), meta.annotations(obj) if annotations is not None else annotations)
        if changed or present != (labels, annotations):
            result.update.append({**_labelled(obj, labels, annotations), "endpoints": content})
    chunks = [queue[i : i + limit] for i in range(0, len(queue), limit)]
    return [[]] if not endpoints and not slices else chunks


class Tracker:
    """Remembers what was written, so that a reconcile with a cache that has not seen it yet waits instead of writing twice."""

    _LOST_SECONDS = 60.0

    def __init__(self) -> None:
        self._written: dict[str, dict[str, tuple[int, float]]] = {}

    def wrote(self, key: str, obj: Object, now: float) -> None:
        """A slice of the owner `key` was created or updated; `now` is in monotonic seconds."""
        self._written.setdefault(key, {})[meta.uid(obj)] = (int(meta.resource_version(obj)), now)

    def gone(self, key: str, obj: Object) -> None:
        """A slice was deleted."""
        self._written.get(key, {}).pop(meta.uid(obj), None)

    def forget(self, key: str) -> None:
        """The owner is gone."""
        self._written.pop(key, None)

    def stale(self, key: str, cached: Sequence[Object], now: float) -> bool:
        """Whether the cache lacks something that was written."""
        pending = self._written.get(key)
        if not pending:
            return False
        seen = {meta.uid(obj): int(meta.resource_version(obj)) for obj in cached}
        for uid, (version, when) in list(pending.items()):
            if seen.get(uid, 0) >= version or now - when > self._LOST_SECONDS:
                del pending[uid]
        return bool(pending)

    def ours(self, key: str, obj: Object) -> bool:
        """Whether this very version of the slice is what we wrote."""
        entry = self._written.get(key, {}).get(meta.uid(obj))
        return entry is not None and entry[0] == int(meta.resource_version(obj))
