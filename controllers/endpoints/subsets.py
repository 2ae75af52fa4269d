"""The Endpoints object of a Service: addresses grouped by the ports they share. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from api import meta
from api.services import is_headless
from api.types import Object
from controllers.endpoints.members import (
    address_of,
    belongs,
    families,
    hostname_of,
    ports_of,
    reference,
)
from controllers.podstate import is_ready, node_of

MANAGED_BY = {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
HEADLESS = "service.kubernetes.io/headless"
_CAPACITY = 1000

PortKey = tuple[tuple[str, int, str, str], ...]


def subsets(service: Object, pods: Iterable[Object]) -> list[Object]:
    """The subsets in canonical order: the same pods give the same list, whatever their order."""
    publish = bool(service["spec"].get("publishNotReadyAddresses"))
    groups: dict[PortKey, dict[str, tuple[Object, bool]]] = {}
    for pod in pods:
        if not belongs(pod, terminating=publish):
            continue
        address = address_of(pod, families(service)[0])
        if address is None:
            continue
        ports = ports_of(pod, service)
        if not ports and service["spec"].get("ports"):
            continue
        entry: Object = {"ip": address, "targetRef": reference(pod)}
        if name := node_of(pod):
            entry["nodeName"] = name
        if hostname := hostname_of(pod, service):
            entry["hostname"] = hostname
        key = tuple(sorted((p["name"], p["port"], p["protocol"], p.get("appProtocol", "")) for p in ports))
        groups.setdefault(key, {})[f"{address}/{meta.uid(pod)}"] = (entry, publish or is_ready(pod))
    return [_subset(key, groups[key]) for key in sorted(groups)]


def _subset(key: PortKey, members: dict[str, tuple[Object, bool]]) -> Object:
    ordered = [members[k] for k in sorted(members)]
    subset: Object = {}
    for field, wanted in (("addresses", True), ("notReadyAddresses", False)):
        entries = [entry for entry, ready in ordered if ready == wanted]
        if entries:
            subset[field] = entries
    ports = [
        {k: v for k, v in (("name", name), ("port", port), ("protocol", protocol), ("appProtocol", app)) if v}
        for name, port, protocol, app in key
    ]
    if ports:
        subset["ports"] = ports
    return subset


def truncated(found: Sequence[Object]) -> tuple[list[Object], bool]:
    """At most a thousand addresses in all, ready ones first; the second value tells whether some were left out."""
    total = sum(len(s.get("addresses") or ()) + len(s.get("notReadyAddresses") or ()) for s in found)
    if total <= _CAPACITY:
        return list(found), False
    room, kept = _CAPACITY, [dict(s) for s in found]
    for field in ("addresses", "notReadyAddresses"):
        for subset in kept:
            if field in subset:
                subset[field] = subset[field][:room]
                room -= len(subset[field])
    return [s for s in kept if s.get("addresses") or s.get("notReadyAddresses")], True


def labels_of(service: Object) -> dict[str, str]:
    """The labels of the Endpoints: the Service's own, who manages them, and whether it is headless."""
    labels = {k: v for k, v in meta.labels(service).items() if k != HEADLESS} | MANAGED_BY
    return labels | {HEADLESS: ""} if is_headless(service) else labels
