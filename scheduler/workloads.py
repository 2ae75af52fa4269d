"""Default spread constraints: pods that state none are spread softly over nodes and zones, by what they belong to.

Kubernetes' system defaults (KEP-1258): hostname with maxSkew 3, zone with maxSkew 5, ScheduleAnyway; the pods that count are
those selected by the Services of the pod and by the ReplicationController, ReplicaSet or StatefulSet that controls it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from weakref import WeakKeyDictionary

from api.selectors import LabelSelector, Requirement, from_map, from_object
from api.types import Object
from scheduler.plugins.topology_spread import HOSTNAME
from scheduler.template import SpreadConstraint, Template

ZONE = "topology.kubernetes.io/zone"
_SYSTEM = ((HOSTNAME, 3), (ZONE, 5))


class Workloads:
    """Works out default constraints; `services` gives those of a namespace, `owners` finds a controller by kind and key."""

    def __init__(
        self,
        services: Callable[[str], list[Object]],
        owners: Mapping[str, Callable[[str], Object | None]],
        constraints: tuple[tuple[str, int], ...] = _SYSTEM,
    ) -> None:
        self._services, self._owners, self._constraints = services, owners, constraints
        self._known: WeakKeyDictionary[Template, tuple[SpreadConstraint, ...]] = WeakKeyDictionary()

    def changed(self) -> None:
        """A selector of a Service or controller is new, different or gone."""
        self._known.clear()

    def constraints(self, template: Template) -> tuple[SpreadConstraint, ...]:
        """The constraints of pods of this template, none if nothing selects them."""
        known = self._known.get(template)
        if known is None:
            selector = self.selector(template)
            known = ()
            if selector.requirements:
                known = tuple(SpreadConstraint(key, skew, False, selector) for key, skew in self._constraints)
            self._known[template] = known
        return known

    def selector(self, template: Template) -> LabelSelector:
        """All selectors that speak of the pod, in one."""
        wanted: dict[str, str] = {}
        for service in self._services(template.namespace):
            selector = (service.get("spec") or {}).get("selector")
            if selector is not None and from_map(selector).matches(template.labels):
                wanted |= selector
        more: tuple[Requirement, ...] = ()
        if template.owner is not None and (find := self._owners.get(template.owner[0])):
            owner = find(f"{template.namespace}/{template.owner[1]}")
            selector = (owner.get("spec") or {}).get("selector") if owner else None
            if selector and template.owner[0] == "ReplicationController":
                wanted |= selector
            elif selector:
                more = from_object(selector).requirements
        return LabelSelector(from_map(wanted).requirements + more)
