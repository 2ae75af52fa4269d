"""Informers to state: which resources the scheduler follows, and what each of them is for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from api import resources
from api.errors import NotFound
from api.types import Object, Resource
from client.informer import Informer, InformerFactory
from client.lister import Lister
from client.rest import ApiClient
from scheduler.framework import Change, Event
from scheduler.state import State
from scheduler.volumes import VolumeCatalog, class_name
from scheduler.workloads import Workloads

RUNNING = "status.phase!=Succeeded,status.phase!=Failed"
OWNERS = (resources.REPLICATIONCONTROLLERS, resources.REPLICASETS, resources.STATEFULSETS)
OPTIONAL = (
    resources.SERVICES,
    *OWNERS,
    resources.PERSISTENTVOLUMECLAIMS,
    resources.PERSISTENTVOLUMES,
    resources.STORAGECLASSES,
    resources.PODDISRUPTIONBUDGETS,
)
"""What a server may lack; pods and nodes are not among them."""


async def served(client: ApiClient, wanted: tuple[Resource, ...]) -> set[Resource]:
    """Which of the resources the server has: nothing is gained by watching the others."""
    found: set[Resource] = set()
    for prefix in {r.path_prefix for r in wanted}:
        try:
            response = await client.raw("GET", prefix)
        except NotFound:
            continue
        names = {entry["name"] for entry in orjson.loads(response.content).get("resources") or ()}
        found |= {r for r in wanted if r.path_prefix == prefix and r.plural in names}
    return found


class Sources:
    """The listers of all optional resources; one that the server lacks stays empty."""

    def __init__(self, informers: InformerFactory, available: set[Resource]) -> None:
        self._informers, self._available = informers, available
        self.listers = {r: Lister() for r in OPTIONAL}
        for resource in available:
            self.listers[resource] = informers.informer(resource).lister
        self.listers[resources.PERSISTENTVOLUMES].add_index("class", lambda pv: (class_name(pv),))
        self.pods = informers.informer(resources.PODS, field_selector=RUNNING)
        self.catalog = VolumeCatalog(
            self.listers[resources.PERSISTENTVOLUMECLAIMS],
            self.listers[resources.PERSISTENTVOLUMES],
            self.listers[resources.STORAGECLASSES],
        )
        services = self.listers[resources.SERVICES]
        owners = {r.kind: self.listers[r].get for r in OWNERS}
        self.workloads = Workloads(lambda namespace: services.list(namespace), owners)

    def budgets(self) -> list[Object]:
        """All PodDisruptionBudgets."""
        return self.listers[resources.PODDISRUPTIONBUDGETS].list()

    def follow(self, state: State) -> None:
        """Add the handlers. Nodes and namespaces before pods, so that pods find their place."""
        informers = self._informers
        nodes, spaces = informers.informer(resources.NODES), informers.informer(resources.NAMESPACES)
        nodes.add_handler(state.node_changed, lambda old, new: state.node_changed(new, old), state.node_gone)
        spaces.add_handler(state.namespace_changed, lambda _, new: state.namespace_changed(new), state.namespace_gone)
        for resource in (resources.SERVICES, *OWNERS):
            self._each(resource, self._selector_changed)
        volumes = {
            resources.PERSISTENTVOLUMECLAIMS: Event.CLAIM,
            resources.PERSISTENTVOLUMES: Event.VOLUME,
            resources.STORAGECLASSES: Event.STORAGE_CLASS,
        }
        for resource, event in volumes.items():
            self._each(resource, self._volume_changed(state, event))
        self.pods.add_handler(state.pod_changed, lambda old, new: state.pod_changed(new, old), state.pod_gone)

    def _each(self, resource: Resource, changed: Callable[[Object | None, Object], None]) -> None:
        if resource not in self._available:
            return
        informer: Informer = self._informers.informer(resource)
        informer.add_handler(lambda obj: changed(None, obj), changed, lambda obj: changed(None, obj))

    def _selector_changed(self, old: Object | None, new: Object) -> None:
        def selector(obj: Object | None) -> Any:
            return ((obj or {}).get("spec") or {}).get("selector")

        if old is None or selector(old) != selector(new):
            self.workloads.changed()

    def _volume_changed(self, state: State, event: Event) -> Callable[[Object | None, Object], None]:
        def changed(old: Object | None, new: Object) -> None:
            self.catalog.notify()
            state.wake(Change(event, obj=new, old=old))

        return changed
