"""On which nodes, and in which steps."""

from typing import Any

import pytest

from api import meta, resources
from api.types import Object
from controllers.daemonset import placement
from controllers.daemonset.rollout import Steps, manage, roll
from controllers.daemonset.status import compute
from tests.unit.controllers.objects import NOW, exited, node, owned, pod

HASH = "controller-revision-hash"


def daemon(strategy: Object | None = None, **spec: Any) -> Object:
    made = owned("DaemonSet", "agent", **({"updateStrategy": strategy} if strategy else {}))
    made["spec"]["template"]["spec"] |= spec
    return made


def rolling(**bounds: int | str) -> Object:
    return {"type": "RollingUpdate", "rollingUpdate": bounds}


def on(node_name: str, revision: str = "new", **more: Any) -> Object:
    return pod(f"{revision}-{node_name}", node=node_name, labels={HASH: revision}, **more)


NODES = [node(name) for name in "abcd"]


def tainted(key: str, effect: str) -> Object:
    return node("a", taints=[{"key": key, "effect": effect}])


K8S = "node.kubernetes.io"


@pytest.mark.parametrize(
    ("spec", "found", "eligible"),
    [
        ({}, node("a"), (True, True)),
        ({"nodeSelector": {"disk": "ssd"}}, node("a"), (False, False)),
        ({"nodeSelector": {"disk": "ssd"}}, node("a", labels={"disk": "ssd"}), (True, True)),
        ({"nodeName": "b"}, node("a"), (False, False)),
        ({}, tainted("k", "NoSchedule"), (False, True)),
        ({}, tainted("k", "NoExecute"), (False, False)),
        ({}, tainted("k", "PreferNoSchedule"), (True, True)),
        ({}, tainted(f"{K8S}/not-ready", "NoExecute"), (True, True)),
        ({}, tainted(f"{K8S}/unschedulable", "NoSchedule"), (True, True)),
        ({}, tainted(f"{K8S}/network-unavailable", "NoSchedule"), (False, True)),
        ({"hostNetwork": True}, tainted(f"{K8S}/network-unavailable", "NoSchedule"), (True, True)),
    ],
)
def test_eligible_nodes(spec: Object, found: Object, eligible: tuple[bool, bool]) -> None:
    assert placement.eligible(daemon(**spec), found) == eligible


def required(*terms: Object) -> Object:
    wanted = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return {"affinity": {"nodeAffinity": wanted}}


def term(key: str, operator: str, *values: str, field: str = "matchExpressions") -> Object:
    return {field: [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("terms", "holds"),
    [
        ([term("z", "In", "1")], True),
        ([term("z", "NotIn", "1")], False),
        ([term("y", "Exists"), term("metadata.name", "In", "a", field="matchFields")], True),
        ([term("z", "Gt", "0")], True),
        ([{}], False),
        ([], False),
    ],
)
def test_node_affinity(terms: list[Object], holds: bool) -> None:
    assert placement.affine(required(*terms), node("a", labels={"z": "1"})) is holds


def test_a_pod_is_pinned_to_its_node() -> None:
    made = placement.pod_for(resources.DAEMONSETS, daemon(), "abc", "a")
    assert placement.target_of(made) == "a" and meta.labels(made)[HASH] == "abc"
    assert placement.target_of(pod(node="b")) == "b" and placement.target_of(pod()) == ""


def names(steps: Steps) -> tuple[list[str], list[str]]:
    return steps.create, [meta.name(p) for p in steps.delete]


def standing(
    by_node: dict[str, list[Object]], strategy: Object | None = None, nodes: list[Object] | None = None
) -> Steps:
    return manage(daemon(strategy), NODES if nodes is None else nodes, by_node, "new", NOW, lambda _: True)


def test_one_pod_on_each_node_and_the_oldest_stays() -> None:
    twins = [on("a", age=50), pod("young", node="a", age=5)]
    steps = standing({"a": twins, "b": [on("b")], "c": [on("c", deleting=True)]})
    assert names(steps) == (["d"], ["young"])


def test_pods_leave_nodes_that_do_not_want_them() -> None:
    tainted = [node("a", taints=[{"key": "k", "effect": "NoExecute"}])]
    assert names(standing({"a": [on("a")]}, nodes=tainted)) == ([], ["new-a"])


def test_ended_pods_are_cleared_when_their_back_off_allows() -> None:
    by_node = {"a": [exited(1, "f")], "b": [exited(0, "s")]}
    steps = manage(daemon(), NODES[:2], by_node, "new", NOW, lambda _: True)
    assert [meta.name(p) for p in steps.failed + steps.succeeded] == ["f", "s"] and not steps.create
    assert manage(daemon(), NODES[:2], by_node, "new", NOW, lambda _: False).failed == []


@pytest.mark.parametrize(
    ("states", "limit", "deleted"),
    [
        ("oooo", 1, 1),
        ("oooo", 2, 2),
        ("oooo", "50%", 2),
        ("nooo", 1, 1),
        ("Nooo", 1, 0),
        ("O.oo", 1, 1),
        (".ooo", 1, 0),
        ("OOoo", 1, 3),
        ("nnnn", 1, 0),
    ],
)
def test_rolling_by_replacement(states: str, limit: int | str, deleted: int) -> None:
    """o old, n new, capital not ready, . no pod yet."""
    by_node = {
        name: [] if s == "." else [on(name, "old" if s in "oO" else "new", ready=None if s.isupper() else 100)]
        for name, s in zip("abcd", states, strict=True)
    }
    steps = roll(daemon(rolling(maxUnavailable=limit)), NODES, by_node, "new", NOW)
    assert len(steps.delete) == deleted and not steps.create


@pytest.mark.parametrize(
    ("pods", "created", "deleted"),
    [
        ({"a": ["o"], "b": ["o"]}, ["a"], []),
        ({"a": ["o", "N"], "b": ["o"]}, [], []),
        ({"a": ["o", "n"], "b": ["o"]}, ["b"], ["old-a"]),
        ({"a": ["O"], "b": ["o"]}, ["a", "b"], []),
        ({"a": ["n"], "b": ["n"]}, [], []),
    ],
)
def test_rolling_by_surge(pods: dict[str, list[str]], created: list[str], deleted: list[str]) -> None:
    by_node = {
        name: [on(name, "old" if s in "oO" else "new", ready=None if s.isupper() else 100) for s in states]
        for name, states in pods.items()
    }
    steps = roll(daemon(rolling(maxSurge=1, maxUnavailable=0)), NODES[:2], by_node, "new", NOW)
    assert names(steps) == (created, deleted)


def test_a_surging_pair_is_left_alone_until_the_new_one_is_available() -> None:
    surge = rolling(maxSurge=1, maxUnavailable=0)
    pair = {"a": [on("a", "old"), on("a", "new", ready=None)]}
    assert names(standing(pair, surge, NODES[:1])) == ([], [])
    pair = {"a": [on("a", "old"), on("a", "new")]}
    assert names(standing(pair, surge, NODES[:1])) == ([], ["old-a"])


def test_the_status_counts() -> None:
    nodes = [*NODES[:3], node("x", taints=[{"key": "k", "effect": "NoSchedule"}])]
    by_node = {"a": [on("a")], "b": [on("b", "old", ready=None)], "x": [on("x")]}
    status = compute(daemon(), nodes, by_node, "new", NOW, collisions=None, observed=True)
    assert status == {
        "desiredNumberScheduled": 3, "currentNumberScheduled": 2, "numberMisscheduled": 1, "numberReady": 1,
        "updatedNumberScheduled": 1, "numberAvailable": 1, "numberUnavailable": 2, "observedGeneration": 1,
    }  # fmt: skip
