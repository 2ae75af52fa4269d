"""Who has to go: victims, budgets, the order of preferences, and the sentences when nobody can."""

from __future__ import annotations

import random

import pytest

from api.types import Object
from scheduler.cycle import Diagnosis
from scheduler.preemption import Preemption, Verdict, Victims, cheapest, split_by_budget
from tests.unit.scheduler.build import HOST, Cluster, affinity, node, pod, term


def evaluate(cluster: Cluster, wanted: Object, budgets: list[Object] | None = None) -> Verdict:
    info = cluster.info(wanted)
    result = cluster.algorithm.schedule(info)
    assert isinstance(result, Diagnosis)
    before = {row: set(pods) for row, pods in enumerate(cluster.snapshot.pods)}
    cpu = cluster.snapshot.requested["cpu"].a.copy()
    rng = random.Random(1)  # noqa: S311
    verdict = Preemption(cluster.algorithm, rng).evaluate(info, result, budgets or [])
    assert {row: set(pods) for row, pods in enumerate(cluster.snapshot.pods)} == before
    assert (cluster.snapshot.requested["cpu"].a == cpu).all()
    return verdict


def victims(verdict: Verdict) -> tuple[str, list[str]]:
    assert verdict.victims is not None, verdict.message
    return verdict.victims.node, [p.pod["metadata"]["name"] for p in verdict.victims.pods]


def budget(labels: dict[str, str], allowed: int, **status: object) -> Object:
    return {
        "metadata": {"name": "b", "namespace": "default"},
        "spec": {"selector": {"matchLabels": labels}},
        "status": {"disruptionsAllowed": allowed, **status},
    }


def test_the_least_important_that_suffice() -> None:
    cluster = Cluster(node("n", "4"))
    cluster.run(pod("a", "1", on="n", priority=1), pod("b", "1", on="n", priority=2), pod("c", "2", on="n", priority=3))
    assert victims(evaluate(cluster, pod("p", "1", priority=10))) == ("n", ["a"])
    assert victims(evaluate(cluster, pod("p", "2", priority=10))) == ("n", ["b", "a"])
    assert victims(evaluate(cluster, pod("p", "3", priority=10))) == ("n", ["c", "a"])


def test_equal_priority_is_safe() -> None:
    cluster = Cluster(node("n", "1"), node("tiny", "100m"))
    cluster.run(pod("a", "1", on="n", priority=10))
    verdict = evaluate(cluster, pod("p", "1", priority=10))
    assert verdict.victims is None
    assert verdict.clear
    assert verdict.message == (
        "0/2 nodes are available: 1 No preemption victims found for incoming pod, "
        "1 Preemption is not helpful for scheduling."
    )


def test_not_enough_even_without_them() -> None:
    cluster = Cluster(node("n", "4"))
    cluster.run(pod("vip", "3", on="n", priority=100), pod("a", "1", on="n"))
    assert evaluate(cluster, pod("p", "2", priority=10)).message == "0/1 nodes are available: 1 Insufficient cpu."


def test_a_refused_policy() -> None:
    cluster = Cluster(node("n", "1"))
    cluster.run(pod("a", "1", on="n"))
    verdict = evaluate(cluster, pod("p", "1", priority=10, preemptionPolicy="Never"))
    assert verdict.message == "not eligible due to preemptionPolicy=Never."


def test_no_second_round_while_victims_terminate() -> None:
    cluster = Cluster(node("n", "1"))
    dying = pod("a", "1", on="n")
    dying["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    dying["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]
    cluster.run(dying)
    wanted = pod("p", "1", priority=10)
    wanted["status"]["nominatedNodeName"] = "n"
    assert evaluate(cluster, wanted).message == "not eligible due to a terminating pod on the nominated node."


def test_the_node_with_the_cheapest_victims() -> None:
    cluster = Cluster(node("n1", "1"), node("n2", "1"), node("n3", "1"))
    cluster.run(
        pod("a", "1", on="n1", priority=5), pod("b", "1", on="n2", priority=1), pod("c", "1", on="n3", priority=3)
    )
    assert victims(evaluate(cluster, pod("p", "1", priority=10))) == ("n2", ["b"])


def test_budgets_are_spared_if_another_node_will_do() -> None:
    cluster = Cluster(node("n1", "1"), node("n2", "1"))
    cluster.run(pod("a", "1", on="n1", labels={"app": "a"}), pod("b", "1", on="n2", priority=5))
    assert victims(evaluate(cluster, pod("p", "1", priority=10), [budget({"app": "a"}, 0)])) == ("n2", ["b"])
    assert victims(evaluate(cluster, pod("p", "1", priority=10), [budget({"app": "a"}, 1)])) == ("n1", ["a"])


def test_a_budget_protects_within_a_node_too() -> None:
    cluster = Cluster(node("n", "2"))
    cluster.run(pod("a", "1", on="n", priority=1, labels={"app": "a"}), pod("b", "1", on="n", priority=2))
    assert victims(evaluate(cluster, pod("p", "1", priority=10), [budget({"app": "a"}, 0)])) == ("n", ["b"])


def test_pods_already_disrupted_use_up_no_budget() -> None:
    cluster = Cluster(node("n", "4"))
    pods = cluster.run(*(pod(x, "1", on="n", labels={"app": "a"}) for x in "abc"))
    protected, free = split_by_budget(pods, [budget({"app": "a"}, 1, disruptedPods={"a": "2026-01-01T00:00:00Z"})])
    assert [p.key for p in free] == ["default/a", "default/b"]
    assert [p.key for p in protected] == ["default/c"]


def test_anti_affinity_is_solved_by_evicting_the_neighbour() -> None:
    cluster = Cluster(node("n", "4"))
    cluster.run(pod("a", "1", on="n", labels={"app": "a"}), pod("b", "1", on="n"))
    wanted = pod("p", "1", priority=10, affinity=affinity(apart=[term(HOST)]))
    assert victims(evaluate(cluster, wanted)) == ("n", ["a"])


def test_nodes_that_preemption_cannot_help_are_not_tried() -> None:
    taint = {"key": "k", "effect": "NoSchedule"}
    cluster = Cluster(node("n1", "1", taints=[taint]), node("n2", "1"))
    cluster.run(pod("a", "1", on="n1"))
    verdict = evaluate(cluster, pod("p", "2", priority=10))
    assert verdict.message == "0/2 nodes are available: 2 Preemption is not helpful for scheduling."


@pytest.mark.parametrize(
    ("candidates", "best"),
    [
        ({"n1": [(1, "2026")], "n2": [(2, "2026")]}, "n1"),
        ({"n1": [(2, "2026"), (1, "2026")], "n2": [(2, "2026")]}, "n2"),
        ({"n1": [(2, "2026"), (-5, "2026")], "n2": [(2, "2026"), (0, "2026")]}, "n1"),
        ({"n1": [(2, "2025")], "n2": [(2, "2026")]}, "n2"),
        ({"n1": [(2, "2026")], "n2": [(2, "2026")]}, "n1"),
        ({"n1": [(2, "2026")], "n2": []}, "n2"),
    ],
)
def test_which_node_is_cheapest(candidates: dict[str, list[tuple[int, str]]], best: str) -> None:
    cluster = Cluster()
    found = []
    for name, pods in candidates.items():
        infos = []
        for number, (priority, started) in enumerate(pods):
            each = pod(f"{name}-{number}", on=name, priority=priority)
            each["status"]["startTime"] = f"{started}-01-01T00:00:00Z"
            infos.append(cluster.info(each))
        found.append(Victims(name, tuple(infos), 0))
    assert cheapest(found).node == best
