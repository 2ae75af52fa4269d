"""The cluster as the scheduler sees it: one row for each node, one numpy column for each fact.

Kept up to date by informer events and by the pods the scheduler has just placed (assumed pods); never copied. Rows of
nodes that are gone are reused, `alive` says which count. Two kinds of change are told apart, because so much is cached:
`epoch` moves when a fact of a node itself changes, `changes` lists the rows whose pods changed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from api.pods import amount
from api.types import Object
from scheduler.counters import PodCounters
from scheduler.labels import LabelColumns
from scheduler.owners import OwnedTerms
from scheduler.podinfo import PodInfo
from scheduler.template import ANY_ADDRESS, HostPort
from scheduler.vectors import BoolArray, Pool, Vector

Taint = tuple[str, str, str]
"""Key, value, effect."""

_CHANGES_KEPT = 4096


class Image:
    """An image that some node holds: its bytes as first reported, and where."""

    __slots__ = ("rows", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.rows: set[int] = set()


class Snapshot:
    """Nodes as columns. All changes go through its methods; plugins only read."""

    def __init__(self, namespaces: Mapping[str, Mapping[str, str]] | None = None, capacity: int = 64) -> None:
        self.pool = Pool(capacity)
        self.namespaces: Mapping[str, Mapping[str, str]] = {} if namespaces is None else namespaces
        self.size = 0
        """Rows in use, dead ones included: every mask has this length."""
        self.count = 0
        """Nodes that exist."""
        self.names: list[str] = []
        self.rows: dict[str, int] = {}
        self.epoch = 0
        self.changes: list[int] = []
        self.changes_before = 0
        self.alive = self.pool.new(np.bool_, False)
        self.unschedulable = self.pool.new(np.bool_, False)
        self.labels = LabelColumns(self.pool)
        self.allocatable: dict[str, Vector] = {}
        self.requested: dict[str, Vector] = {}
        self.allowed_pods = self.pool.new()
        self.pod_count = self.pool.new()
        self.nonzero_cpu = self.pool.new()
        self.nonzero_memory = self.pool.new()
        for resource in ("cpu", "memory"):
            self.allocatable[resource], self.requested[resource] = self.pool.new(), self.pool.new()
        self.taints: dict[Taint, Vector] = {}
        self.ports: dict[tuple[str, int], dict[str, Vector]] = {}
        self.images: dict[str, Image] = {}
        self.pods: list[dict[str, PodInfo]] = []
        self.claims: dict[str, int] = {}
        self.priorities: dict[int, int] = {}
        self.counters = PodCounters(self.pool, self.namespaces)
        self.owned = OwnedTerms(self.pool, self.namespaces)
        self._facts: list[tuple[object, ...]] = []
        self._homeless: dict[str, dict[str, PodInfo]] = {}
        self._free: list[int] = []

    # --- nodes

    def put_node(self, node: Object) -> bool:
        """Add a node or take in its new state. Returns whether anything that matters here changed."""
        name = node["metadata"]["name"]
        facts = _facts(node)
        row = self.rows.get(name)
        if row is None:
            row = self._new_row(name)
        elif self._facts[row] == facts:
            return False
        self._write(row, name, node, facts)
        self.epoch += 1
        for pod in list(self._homeless.pop(name, {}).values()):
            self.add_pod(pod)
        return True

    def remove_node(self, name: str) -> None:
        """Forget a node; its pods wait for it to come back or to be removed themselves."""
        row = self.rows.get(name)
        if row is None:
            return
        pods = list(self.pods[row].values())
        for pod in pods:
            self.remove_pod(pod)
        if pods:
            self._homeless[name] = {p.uid: p for p in pods}
        self._write(row, "", {"metadata": {"name": ""}}, ())
        del self.rows[name]
        self.alive.a[row] = False
        self.count -= 1
        self._free.append(row)
        self.epoch += 1

    def _new_row(self, name: str) -> int:
        if self._free:
            row = self._free.pop()
        else:
            row = self.size
            self.size += 1
            self.pool.ensure(self.size)
            self.names.append("")
            self.pods.append({})
            self._facts.append(())
        self.rows[name] = row
        self.count += 1
        self.alive.a[row] = True
        return row

    def _write(self, row: int, name: str, node: Object, facts: tuple[object, ...]) -> None:
        spec, status = node.get("spec") or {}, node.get("status") or {}
        self.names[row] = name
        self._facts[row] = facts
        self.unschedulable.a[row] = bool(spec.get("unschedulable"))
        self.labels.put(row, node["metadata"].get("labels") or {}, name)
        allocatable = {k: amount(k, v) for k, v in (status.get("allocatable") or {}).items()}
        self.allowed_pods.a[row] = allocatable.pop("pods", 0)
        for resource in allocatable:
            self._resource(resource)
        for resource, vector in self.allocatable.items():
            vector.a[row] = allocatable.get(resource, 0)
        taints = {(t["key"], t.get("value") or "", t["effect"]) for t in spec.get("taints") or ()}
        for taint in taints:
            if taint not in self.taints:
                self.taints[taint] = self.pool.new(np.bool_, False)
        for taint, present in list(self.taints.items()):
            present.a[row] = taint in taints
            if taint not in taints and not present.a[: self.size].any():
                del self.taints[taint]
        self._write_images(row, status)

    def _write_images(self, row: int, status: Object) -> None:
        sizes = {n: i.get("sizeBytes") or 0 for i in status.get("images") or () for n in i.get("names") or ()}
        for name, image in list(self.images.items()):
            if row in image.rows and name not in sizes:
                image.rows.discard(row)
                if not image.rows:
                    del self.images[name]
        for name, size in sizes.items():
            self.images.setdefault(name, Image(size)).rows.add(row)

    def _resource(self, resource: str) -> Vector:
        if resource not in self.requested:
            self.allocatable[resource], self.requested[resource] = self.pool.new(), self.pool.new()
        return self.requested[resource]

    # --- pods

    def add_pod(self, pod: PodInfo) -> None:
        """Count an assigned or assumed pod on its node."""
        row = self.rows.get(pod.node)
        if row is None:
            self._homeless.setdefault(pod.node, {})[pod.uid] = pod
            return
        self.pods[row][pod.uid] = pod
        self._account(pod, row, 1)

    def remove_pod(self, pod: PodInfo) -> None:
        """Take a pod back out: exactly the object that was added."""
        row = self.rows.get(pod.node)
        if row is None:
            homeless = self._homeless.get(pod.node)
            if homeless is not None:
                homeless.pop(pod.uid, None)
                if not homeless:
                    del self._homeless[pod.node]
            return
        if self.pods[row].pop(pod.uid, None) is not None:
            self._account(pod, row, -1)

    def _account(self, pod: PodInfo, row: int, sign: int) -> None:
        template = pod.template
        for resource, number in template.requests.items():
            self._resource(resource).a[row] += sign * number
        cpu, memory = template.nonzero
        self.nonzero_cpu.a[row] += sign * cpu
        self.nonzero_memory.a[row] += sign * memory
        self.pod_count.a[row] += sign
        for port in template.ports:
            self._count_port(port, row, sign)
        for claim in template.claims:
            key = f"{template.namespace}/{claim}"
            self.claims[key] = self.claims.get(key, 0) + sign
            if not self.claims[key]:
                del self.claims[key]
        self.priorities[pod.priority] = self.priorities.get(pod.priority, 0) + sign
        if not self.priorities[pod.priority]:
            del self.priorities[pod.priority]
        self.counters.add(pod, row, sign)
        self.owned.add(pod, row, sign)
        self.changes.append(row)
        if len(self.changes) > 2 * _CHANGES_KEPT:
            del self.changes[:_CHANGES_KEPT]
            self.changes_before += _CHANGES_KEPT

    def _count_port(self, port: HostPort, row: int, sign: int) -> None:
        addresses = self.ports.setdefault((port.protocol, port.port), {})
        vector = addresses.get(port.address)
        if vector is None:
            vector = addresses[port.address] = self.pool.new(np.int16)
        vector.a[row] += sign
        if sign < 0 and not vector.a[: self.size].any():
            del addresses[port.address]
            if not addresses:
                del self.ports[port.protocol, port.port]

    def namespaces_changed(self) -> None:
        """Labels of a namespace are different: what affinity terms selected by them is void."""
        self.counters.namespaces_changed()
        self.epoch += 1

    # --- what plugins read

    @property
    def moment(self) -> int:
        """A number that grows with every change of any pod."""
        return self.changes_before + len(self.changes)

    def changed_since(self, moment: int) -> list[int] | None:
        """The rows whose pods changed after `moment`, with repeats; None if that is too long ago to tell."""
        start = moment - self.changes_before
        return None if start < 0 else self.changes[start:]

    def port_taken(self, port: HostPort) -> BoolArray | None:
        """The rows (all) where the port conflicts with one in use; None if it does so nowhere.

        0.0.0.0 conflicts with every address of the same protocol and port, and every address with it.
        """
        addresses = self.ports.get((port.protocol, port.port))
        if not addresses:
            return None
        if port.address == ANY_ADDRESS:
            vectors = list(addresses.values())
        else:
            vectors = [addresses[a] for a in (port.address, ANY_ADDRESS) if a in addresses]
        if not vectors:
            return None
        taken = vectors[0].a[: self.size] > 0
        for vector in vectors[1:]:
            taken = taken | (vector.a[: self.size] > 0)
        return np.asarray(taken)


def _facts(node: Object) -> tuple[object, ...]:
    """What of a node is read here; heartbeats and conditions are not."""
    spec, status = node.get("spec") or {}, node.get("status") or {}
    return (
        node["metadata"].get("labels"),
        spec.get("unschedulable"),
        spec.get("taints"),
        status.get("allocatable"),
        status.get("images"),
    )
