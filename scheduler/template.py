"""What the scheduler needs to know of a pod, worked out once for all pods made from one template.

Replicas differ in name and uid and in nothing that matters here; so they share one `Template`, and with it every mask and
score that has been computed for one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import orjson

from api import pods as podlib
from api.meta import controller_of
from api.selectors import LabelSelector, Requirement, from_map, from_object
from api.types import Object
from scheduler.labels import NodeTerms, node_term, node_terms
from scheduler.terms import AffinityTerm, PodTerm

DEFAULT_MILLICPU = 100
DEFAULT_MEMORY = 200 * 1024 * 1024
"""What a container without a request counts for when nodes are scored (not when they are filtered)."""
ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - the API's word for "all addresses", not something that is bound

_CONTAINER_FIELDS = ("name", "image", "ports", "resources", "restartPolicy")
_SPEC_FIELDS = ("nodeSelector", "affinity", "tolerations", "topologySpreadConstraints", "overhead", "resources")


@dataclass(frozen=True, slots=True)
class Toleration:
    """One toleration; an empty key with Exists tolerates everything, an empty effect every effect."""

    key: str
    operator: str
    value: str
    effect: str

    def tolerates(self, key: str, value: str, effect: str) -> bool:
        if self.effect and self.effect != effect:
            return False
        if self.key and self.key != key:
            return False
        if self.operator in ("", "Equal"):
            return self.value == value
        if self.operator == "Exists":
            return True
        try:  # Gt and Lt compare integers (KEP-5471)
            ours, theirs = int(self.value), int(value)
        except ValueError:
            return False
        return theirs > ours if self.operator == "Gt" else self.operator == "Lt" and theirs < ours


@dataclass(frozen=True, slots=True)
class SpreadConstraint:
    """A topologySpreadConstraint with its selector complete (matchLabelKeys merged in)."""

    topology_key: str
    max_skew: int
    hard: bool
    selector: LabelSelector
    min_domains: int = 1
    honor_affinity: bool = True
    honor_taints: bool = False


@dataclass(frozen=True, slots=True)
class Weighted:
    """A preferred term and what it is worth."""

    weight: int
    term: AffinityTerm


@dataclass(frozen=True, slots=True)
class HostPort:
    """A port taken on the node itself; `address` 0.0.0.0 takes it on all addresses."""

    protocol: str
    port: int
    address: str


@dataclass(slots=True, eq=False, weakref_slot=True)
class Template:
    """The scheduling part of a pod. Equal pods share one object, so it can be a dictionary key."""

    namespace: str
    labels: dict[str, str]
    label_key: frozenset[tuple[str, str]]
    owner: tuple[str, str] | None
    node_name: str
    requests: dict[str, int]
    nonzero: tuple[int, int]
    tolerations: tuple[Toleration, ...]
    node_selector: tuple[Requirement, ...]
    node_affinity: NodeTerms | None
    preferred_nodes: tuple[tuple[int, tuple[Requirement, ...]], ...]
    ports: tuple[HostPort, ...]
    images: tuple[str, ...]
    spread: tuple[SpreadConstraint, ...]
    affinity: tuple[AffinityTerm, ...]
    anti_affinity: tuple[AffinityTerm, ...]
    preferred: tuple[Weighted, ...]
    preferred_anti: tuple[Weighted, ...]
    claims: tuple[str, ...]
    ephemeral_claims: frozenset[str]

    def tolerates(self, key: str, value: str, effect: str) -> bool:
        """Whether any toleration covers the taint."""
        return any(t.tolerates(key, value, effect) for t in self.tolerations)


def tolerations(spec: Object) -> tuple[Toleration, ...]:
    """The pod's tolerations."""
    return tuple(
        Toleration(t.get("key") or "", t.get("operator") or "", t.get("value") or "", t.get("effect") or "")
        for t in spec.get("tolerations") or ()
    )


def _running_containers(spec: Object) -> list[Object]:
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    return [*(spec.get("containers") or ()), *sidecars]


def host_ports(spec: Object) -> tuple[HostPort, ...]:
    """The host ports of containers and sidecars, each once."""
    found = {
        HostPort(p.get("protocol") or "TCP", p["hostPort"], p.get("hostIP") or ANY_ADDRESS): None
        for c in _running_containers(spec)
        for p in c.get("ports") or ()
        if p.get("hostPort")
    }
    return tuple(found)


def claim_names(pod: Object) -> tuple[tuple[str, ...], frozenset[str]]:
    """The names of the claims a pod uses, and which of them belong to generic ephemeral volumes."""
    names: dict[str, None] = {}
    ephemeral: set[str] = set()
    for volume in pod["spec"].get("volumes") or ():
        if claim := volume.get("persistentVolumeClaim"):
            names[claim["claimName"]] = None
        elif volume.get("ephemeral"):
            name = f"{pod['metadata']['name']}-{volume['name']}"
            names[name] = None
            ephemeral.add(name)
    return tuple(names), frozenset(ephemeral)


def nonzero_requests(pod: Object) -> tuple[int, int]:
    """Millicores and bytes with the default of each container that asks for none."""

    def filled(container: Object) -> Object:
        resources = container.get("resources") or {}
        asked = {"cpu": f"{DEFAULT_MILLICPU}m", "memory": str(DEFAULT_MEMORY), **(resources.get("requests") or {})}
        return {**container, "resources": {**resources, "requests": asked}}

    spec = pod["spec"]
    copy = {
        **spec,
        "containers": [filled(c) for c in spec.get("containers") or ()],
        "initContainers": [filled(c) for c in spec.get("initContainers") or ()],
    }
    total = podlib.requests({"spec": copy})
    return total.get("cpu", 0), total.get("memory", 0)


def affinity_term(term: Object, namespace: str, labels: Mapping[str, str]) -> AffinityTerm:
    """A PodAffinityTerm of a pod in `namespace` with `labels` (for matchLabelKeys and mismatchLabelKeys)."""
    selector = _with_keys(from_object(term.get("labelSelector")), term.get("matchLabelKeys"), labels, "In")
    selector = _with_keys(selector, term.get("mismatchLabelKeys"), labels, "NotIn")
    named = frozenset(term.get("namespaces") or ())
    spaces = from_object(term["namespaceSelector"]) if term.get("namespaceSelector") is not None else None
    if not named and spaces is None:
        named = frozenset((namespace,))
    return AffinityTerm(PodTerm(selector, named, spaces), term["topologyKey"])


def _with_keys(
    selector: LabelSelector, keys: Iterable[str] | None, labels: Mapping[str, str], operator: str
) -> LabelSelector:
    """Add `key operator value` for every key the pod has; the API server may have merged them before."""
    more = [Requirement(k, operator, frozenset((labels[k],))) for k in keys or () if k in labels]
    new = tuple(r for r in more if r not in selector.requirements)
    return LabelSelector(selector.requirements + new, selector.nothing) if new else selector


def spread_constraints(spec: Object, labels: Mapping[str, str]) -> tuple[SpreadConstraint, ...]:
    """The pod's own constraints."""
    return tuple(
        SpreadConstraint(
            topology_key=c["topologyKey"],
            max_skew=c.get("maxSkew") or 1,
            hard=(c.get("whenUnsatisfiable") or "DoNotSchedule") == "DoNotSchedule",
            selector=_with_keys(from_object(c.get("labelSelector")), c.get("matchLabelKeys"), labels, "In"),
            min_domains=c.get("minDomains") or 1,
            honor_affinity=(c.get("nodeAffinityPolicy") or "Honor") == "Honor",
            honor_taints=(c.get("nodeTaintsPolicy") or "Ignore") == "Honor",
        )
        for c in spec.get("topologySpreadConstraints") or ()
    )


def resized(pod: Object) -> Object:
    """An assigned pod as it counts against its node while a resize is under way (KEP-1287).

    A container counts for the most of what it asks for, what the kubelet allocated and what is in force.
    """
    statuses = {s["name"]: s for s in (pod.get("status") or {}).get("containerStatuses") or ()}
    containers, changed = [], False
    for container in pod["spec"].get("containers") or ():
        status = statuses.get(container["name"]) or {}
        asked = (container.get("resources") or {}).get("requests") or {}
        most = dict(asked)
        for other in (status.get("allocatedResources"), (status.get("resources") or {}).get("requests")):
            if not other or other == asked:
                continue
            for name, text in other.items():
                if name not in most or podlib.amount(name, text) > podlib.amount(name, most[name]):
                    most[name], changed = text, True
        containers.append({**container, "resources": {**(container.get("resources") or {}), "requests": most}})
    return {**pod, "spec": {**pod["spec"], "containers": containers}} if changed else pod


def _identity(pod: Object, assigned: bool) -> bytes:
    """The bytes that two pods share exactly if they are alike to the scheduler."""
    meta, spec = pod["metadata"], pod["spec"]
    owner = controller_of(pod)
    parts: list[Any] = [
        meta.get("namespace"),
        meta.get("labels"),
        (owner["kind"], owner["name"]) if owner else None,
        "" if assigned else spec.get("nodeName"),
        [[c.get(f) for f in _CONTAINER_FIELDS] for c in spec.get("containers") or ()],
        [[c.get(f) for f in _CONTAINER_FIELDS] for c in spec.get("initContainers") or ()],
        [spec.get(f) for f in _SPEC_FIELDS],
        *claim_names(pod)[:1],
    ]
    return orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)


def compile_template(pod: Object, assigned: bool = False) -> Template:
    """Read a pod. `assigned` leaves its node's name out, which is then not a wish but a fact."""
    meta, spec = pod["metadata"], pod["spec"]
    namespace, labels = meta.get("namespace") or "", meta.get("labels") or {}
    owner = controller_of(pod)
    affinity = spec.get("affinity") or {}
    nodes, near, apart = (affinity.get(k) or {} for k in ("nodeAffinity", "podAffinity", "podAntiAffinity"))
    required, preferred = (f"{kind}DuringSchedulingIgnoredDuringExecution" for kind in ("required", "preferred"))

    def terms(source: Object) -> tuple[AffinityTerm, ...]:
        return tuple(affinity_term(t, namespace, labels) for t in source.get(required) or ())

    def weighted(source: Object) -> tuple[Weighted, ...]:
        return tuple(
            Weighted(t["weight"], affinity_term(t["podAffinityTerm"], namespace, labels))
            for t in source.get(preferred) or ()
        )

    names, ephemeral = claim_names(pod)
    return Template(
        namespace=namespace,
        labels=labels,
        label_key=frozenset(labels.items()),
        owner=(owner["kind"], owner["name"]) if owner else None,
        node_name="" if assigned else spec.get("nodeName") or "",
        requests={k: v for k, v in podlib.requests(pod).items() if v},
        nonzero=nonzero_requests(pod),
        tolerations=tolerations(spec),
        node_selector=from_map(spec.get("nodeSelector") or {}).requirements,
        node_affinity=node_terms(nodes.get(required)),
        preferred_nodes=tuple((t["weight"], node_term(t["preference"])) for t in nodes.get(preferred) or ()),
        ports=host_ports(spec),
        images=tuple(c.get("image") or "" for c in [*(spec.get("initContainers") or ()), *spec["containers"]]),
        spread=spread_constraints(spec, labels),
        affinity=terms(near),
        anti_affinity=terms(apart),
        preferred=weighted(near),
        preferred_anti=weighted(apart),
        claims=names,
        ephemeral_claims=ephemeral,
    )


class Templates:
    """Interns templates: equal pods get the same object as long as one of them is known."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[bytes, Template] = WeakValueDictionary()

    def of(self, pod: Object, assigned: bool = False) -> Template:
        """The template of a pod. Raises KeyError or ValueError for a pod the API would not have accepted."""
        if assigned:
            pod = resized(pod)
        identity = _identity(pod, assigned)
        template = self._known.get(identity)
        if template is None:
            template = self._known[identity] = compile_template(pod, assigned)
        return template
