"""The same decisions as Kubernetes takes them: one node after the other, in loops. Slow, short, and only for comparison.

Reads raw objects; shares nothing with the plugins but the quantity, selector and request helpers of `api`.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from api.pods import amount, requests
from api.selectors import Requirement, from_object
from api.types import Object

REQUIRED, PREFERRED = (f"{k}DuringSchedulingIgnoredDuringExecution" for k in ("required", "preferred"))
HOST = "kubernetes.io/hostname"
ANY = "0.0.0.0"  # noqa: S104


@dataclass
class World:
    nodes: list[Object]
    pods: list[Object]
    namespaces: dict[str, dict[str, str]] = field(default_factory=dict)

    def on(self, node: Object) -> list[Object]:
        return [p for p in self.pods if p["spec"].get("nodeName") == node["metadata"]["name"]]

    def node_of(self, pod: Object) -> Object | None:
        return next((n for n in self.nodes if n["metadata"]["name"] == pod["spec"]["nodeName"]), None)


def _labels(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def tolerated(pod: Object, taint: Object, effects: tuple[str, ...] = ()) -> bool:
    for t in pod["spec"].get("tolerations") or ():
        if effects and t.get("effect", "") not in effects:
            continue
        if t.get("effect") and t["effect"] != taint["effect"]:
            continue
        if t.get("key") and t["key"] != taint["key"]:
            continue
        if t.get("operator", "Equal") == "Exists" or t.get("value", "") == taint.get("value", ""):
            return True
    return False


def repelled(pod: Object, node: Object) -> bool:
    taints = node["spec"].get("taints") or ()
    return any(t["effect"] != "PreferNoSchedule" and not tolerated(pod, t) for t in taints)


def _term_matches(term: Object, node: Object) -> bool:
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    name = {"metadata.name": node["metadata"]["name"]}
    return all(
        Requirement(e["key"], e["operator"], frozenset(e.get("values") or ())).matches(where)
        for part, where in ((expressions, _labels(node)), (fields, name))
        for e in part
    )


def selected(pod: Object, node: Object) -> bool:
    spec = pod["spec"]
    if any(_labels(node).get(k) != v for k, v in (spec.get("nodeSelector") or {}).items()):
        return False
    wanted = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED)
    return not wanted or any(_term_matches(t, node) for t in wanted["nodeSelectorTerms"])


def _ports(pod: Object) -> list[tuple[str, int, str]]:
    return [
        (p.get("protocol", "TCP"), p["hostPort"], p.get("hostIP") or ANY)
        for c in pod["spec"]["containers"]
        for p in c.get("ports") or ()
        if p.get("hostPort")
    ]


def ports_conflict(pod: Object, others: list[Object]) -> bool:
    for protocol, port, address in _ports(pod):
        for other in others:
            for protocol2, port2, address2 in _ports(other):
                same = address == address2 or ANY in (address, address2)
                if same and (protocol, port) == (protocol2, port2):
                    return True
    return False


def _allocatable(node: Object, resource: str) -> int:
    text = node["status"]["allocatable"].get(resource)
    return amount(resource, text) if text else 0


def lacking(pod: Object, node: Object, others: list[Object]) -> list[str]:
    found = []
    if len(others) + 1 > _allocatable(node, "pods"):
        found.append("Too many pods")
    for resource, wanted in requests(pod).items():
        used = sum(requests(o).get(resource, 0) for o in others)
        if wanted and wanted > _allocatable(node, resource) - used:
            found.append(f"Insufficient {resource}")
    return found


def _in_scope(term: Object, owner: Object, other: Object, world: World) -> bool:
    space = other["metadata"]["namespace"]
    selector = term.get("namespaceSelector")
    named = term.get("namespaces") or ()
    if not named and selector is None:
        named = (owner["metadata"]["namespace"],)
    if space not in named and not (
        selector is not None and from_object(selector).matches(world.namespaces.get(space, {}))
    ):
        return False
    return from_object(term.get("labelSelector")).matches(_labels(other))


def _terms(pod: Object, kind: str, when: str) -> list[Object]:
    return list(((pod["spec"].get("affinity") or {}).get(kind) or {}).get(when) or ())


def _same_place(key: str, a: Object, b: Object) -> bool:
    return key in _labels(a) and _labels(a)[key] == _labels(b).get(key)


def affinity_reason(pod: Object, node: Object, world: World) -> str:
    near = _terms(pod, "podAffinity", REQUIRED)
    matching = [p for p in world.pods if near and all(_in_scope(t, pod, p, world) for t in near)]
    placed = [(p, world.node_of(p)) for p in matching]
    if any(t["topologyKey"] not in _labels(node) for t in near):
        return "node(s) didn't match pod affinity rules"
    met = all(any(n and _same_place(t["topologyKey"], node, n) for _, n in placed) for t in near)
    anybody = any(n and t["topologyKey"] in _labels(n) for t in near for _, n in placed)
    itself = all(_in_scope(t, pod, pod, world) for t in near)
    if not met and (anybody or not itself):
        return "node(s) didn't match pod affinity rules"
    for t in _terms(pod, "podAntiAffinity", REQUIRED):
        for p in world.pods:
            n = world.node_of(p)
            if n and _in_scope(t, pod, p, world) and _same_place(t["topologyKey"], node, n):
                return "node(s) didn't match pod anti-affinity rules"
    for p in world.pods:
        n = world.node_of(p)
        for t in _terms(p, "podAntiAffinity", REQUIRED):
            if n and _in_scope(t, p, pod, world) and _same_place(t["topologyKey"], node, n):
                return "node(s) didn't satisfy existing pods anti-affinity rules"
    return ""


def _counts(c: Object, pod: Object, others: list[Object]) -> int:
    selector = from_object(c.get("labelSelector"))
    return sum(
        o["metadata"]["namespace"] == pod["metadata"]["namespace"]
        and not o["metadata"].get("deletionTimestamp")
        and selector.matches(_labels(o))
        for o in others
    )


def _included(c: Object, pod: Object, node: Object) -> bool:
    if c.get("nodeAffinityPolicy", "Honor") == "Honor" and not selected(pod, node):
        return False
    return not (c.get("nodeTaintsPolicy", "Ignore") == "Honor" and repelled(pod, node))


def spread_reason(pod: Object, node: Object, world: World) -> str:
    hard = [c for c in pod["spec"].get("topologySpreadConstraints") or () if c["whenUnsatisfiable"] == "DoNotSchedule"]
    reason = "node(s) didn't match pod topology spread constraints"
    for c in hard:
        key = c["topologyKey"]
        domains: Counter[str] = Counter()
        for n in world.nodes:
            if all(h["topologyKey"] in _labels(n) for h in hard) and _included(c, pod, n):
                domains[_labels(n)[key]] += _counts(c, pod, world.on(n))
        if key not in _labels(node):
            return f"{reason} (missing required label)"
        least = min(domains.values(), default=0) if len(domains) >= (c.get("minDomains") or 1) else 0
        own = int(from_object(c.get("labelSelector")).matches(_labels(pod)))
        if domains[_labels(node)[key]] + own - least > c["maxSkew"]:
            return reason
    return ""


def verdict(pod: Object, node: Object, world: World) -> list[str]:
    """Why the node will not do; empty if it will."""
    others = world.on(node)
    cordon = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    if node["spec"].get("unschedulable") and not tolerated(pod, cordon):
        return ["node(s) were unschedulable"]
    if repelled(pod, node):
        return ["node(s) had untolerated taint(s)"]
    if not selected(pod, node):
        return ["node(s) didn't match Pod's node affinity/selector"]
    if ports_conflict(pod, others):
        return ["node(s) didn't have free ports for the requested pod ports"]
    if reasons := lacking(pod, node, others):
        return reasons
    reason = spread_reason(pod, node, world) or affinity_reason(pod, node, world)
    return [reason] if reason else []


# --- scores


def _nonzero(pod: Object, resource: str) -> int:
    default = {"cpu": "100m", "memory": str(200 * 1024 * 1024)}[resource]
    return sum(
        amount(resource, ((c.get("resources") or {}).get("requests") or {}).get(resource, default))
        for c in pod["spec"]["containers"]
    )


def _least_allocated(pod: Object, node: Object, others: list[Object]) -> int:
    total = weights = 0
    for resource in ("cpu", "memory"):
        capacity = _allocatable(node, resource)
        if not capacity:
            continue
        used = sum(_nonzero(p, resource) for p in (*others, pod))
        total += max(0, capacity - used) * 100 // capacity
        weights += 1
    return total // weights if weights else 0


def _balanced(pod: Object, node: Object, others: list[Object]) -> int:
    if not any(requests(pod).get(r) for r in ("cpu", "memory")):
        return 0
    shares = []
    for resource in ("cpu", "memory"):
        if capacity := _allocatable(node, resource):
            used = sum(requests(p).get(resource, 0) for p in (*others, pod))
            shares.append(min(1.0, used / capacity))
    return int((1 - (abs((shares[0] - shares[1]) / 2) if len(shares) == 2 else 0.0)) * 100)


def _normalized(raw: dict[str, int], reverse: bool) -> dict[str, int]:
    most = max(raw.values(), default=0)
    if not most:
        return dict.fromkeys(raw, 100 if reverse else 0)
    return {n: 100 - 100 * s // most if reverse else 100 * s // most for n, s in raw.items()}


def _taints(pod: Object, node: Object) -> int:
    soft = [t for t in node["spec"].get("taints") or () if t["effect"] == "PreferNoSchedule"]
    return sum(not tolerated(pod, t, ("", "PreferNoSchedule")) for t in soft)


def _preferred_node(pod: Object, node: Object) -> int:
    terms = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(PREFERRED) or ()
    return sum(t["weight"] for t in terms if _term_matches(t["preference"], node))


def _pod_affinity(pod: Object, node: Object, world: World) -> int:
    score = 0
    for p in world.pods:
        n = world.node_of(p)
        if n is None:
            continue
        for kind, sign in (("podAffinity", 1), ("podAntiAffinity", -1)):
            for w in _terms(pod, kind, PREFERRED):
                t = w["podAffinityTerm"]
                if _in_scope(t, pod, p, world) and _same_place(t["topologyKey"], node, n):
                    score += sign * w["weight"]
            for w in _terms(p, kind, PREFERRED):
                t = w["podAffinityTerm"]
                if _in_scope(t, p, pod, world) and _same_place(t["topologyKey"], node, n):
                    score += sign * w["weight"]
        for t in _terms(p, "podAffinity", REQUIRED):
            if _in_scope(t, p, pod, world) and _same_place(t["topologyKey"], node, n):
                score += 1
    return score


def _spread(pod: Object, feasible: list[Object], world: World) -> dict[str, int]:
    soft = [c for c in pod["spec"].get("topologySpreadConstraints") or () if c["whenUnsatisfiable"] == "ScheduleAnyway"]
    if not soft:
        return {}

    def complete(n: Object) -> bool:
        return all(c["topologyKey"] in _labels(n) for c in soft)

    scored = [n for n in feasible if complete(n)]
    raw = dict.fromkeys((n["metadata"]["name"] for n in scored), 0.0)
    for c in soft:
        key = c["topologyKey"]
        domains: Counter[str] = Counter()
        for n in world.nodes:
            if complete(n) and _included(c, pod, n):
                domains[_labels(n)[key]] += _counts(c, pod, world.on(n))
        size = len(scored) if key == HOST else len({_labels(n)[key] for n in scored})
        for n in scored:
            count = _counts(c, pod, world.on(n)) if key == HOST else domains[_labels(n)[key]]
            raw[n["metadata"]["name"]] += count * math.log(size + 2) + (c["maxSkew"] - 1)
    whole = {n: math.floor(s + 0.5) for n, s in raw.items()}
    if not whole:
        return {}
    most, least = max(whole.values()), min(whole.values())
    return {n: 100 * (most + least - s) // most if most else 100 for n, s in whole.items()}


def totals(pod: Object, world: World) -> dict[str, int]:
    """The weighted score of every feasible node, by name; constants that are the same for all are left out."""
    feasible = [n for n in world.nodes if not verdict(pod, n, world)]
    names = {n["metadata"]["name"]: n for n in feasible}
    scores = Counter(dict.fromkeys(names, 0))
    taints = _normalized({n: _taints(pod, o) for n, o in names.items()}, reverse=True)
    preferred = _normalized({n: _preferred_node(pod, o) for n, o in names.items()}, reverse=False)
    near = {n: _pod_affinity(pod, o, world) for n, o in names.items()}
    least, most = min(near.values(), default=0), max(near.values(), default=0)
    spread = _spread(pod, feasible, world)
    for name, node in names.items():
        others = world.on(node)
        scores[name] += _least_allocated(pod, node, others) + _balanced(pod, node, others)
        scores[name] += 3 * taints[name] + 2 * preferred[name] + 2 * spread.get(name, 0)
        if most > least:
            scores[name] += 2 * int(100 * ((near[name] - least) / (most - least)))
    return dict(scores)
