"""Nodes: pod ranges, silence, taints, eviction, pods of vanished nodes. These tests share the stage's nodes and put them back."""

from collections.abc import AsyncIterator

import pytest

from api import meta, resources
from api.types import Object
from tests.api.controllers.conftest import NODES
from tests.api.controllers.world import World, condition, status, template, workload
from tests.e2e.manifests import evicted_after

UNREACHABLE = "node.kubernetes.io/unreachable"


def taints(node: Object) -> set[tuple[str, str]]:
    return {(t["key"], t["effect"]) for t in (node.get("spec") or {}).get("taints") or ()}


@pytest.fixture
async def node(world: World) -> AsyncIterator[str]:
    """The name of a node that the test may silence or taint."""
    name = NODES[-1]
    yield name
    await world.annotate(resources.NODES, name, stage_silent=None)
    await world.patch(resources.NODES, name, {"spec": {"taints": None, "unschedulable": None}})
    await world.until(resources.NODES, name, lambda n: condition(n, "Ready").startswith("True") and not taints(n))


async def test_every_node_has_a_range_of_its_own(world: World) -> None:
    nodes = await world.until_list(
        resources.NODES, lambda found: all((n.get("spec") or {}).get("podCIDR") for n in found)
    )
    ranges = [n["spec"]["podCIDR"] for n in nodes]
    assert len(set(ranges)) == len(ranges) and all(r.startswith("10.244.") and r.endswith("/24") for r in ranges)
    assert all(n["spec"]["podCIDRs"] == [n["spec"]["podCIDR"]] for n in nodes)


async def test_a_silent_node_is_left_by_its_pods(world: World, node: str) -> None:
    body = workload("web", replicas=6)
    body["spec"]["template"]["spec"]["tolerations"] = evicted_after(1)
    await world.create(resources.DEPLOYMENTS, body)
    await world.until(resources.DEPLOYMENTS, "web", lambda d: status(d).get("availableReplicas") == 6)
    there = [meta.name(p) for p in await world.pods() if p["spec"]["nodeName"] == node]
    assert there
    await world.annotate(resources.NODES, node, stage_silent="")
    lost = await world.until(resources.NODES, node, lambda n: condition(n, "Ready") == "Unknown/NodeStatusUnknown")
    assert (meta.get_condition(lost, "Ready") or {})["message"] == "Kubelet stopped posting node status."
    await world.until(
        resources.NODES, node, lambda n: taints(n) >= {(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")}
    )
    for name in there:
        await world.until_gone(resources.PODS, name)
    await world.until_list(
        resources.PODS,
        lambda pods: sum(status(p).get("phase") == "Running" and p["spec"]["nodeName"] != node for p in pods) == 6,
    )
    await world.annotate(resources.NODES, node, stage_silent=None)
    await world.until(resources.NODES, node, lambda n: not taints(n))


async def test_a_cordoned_node_is_tainted(world: World, node: str) -> None:
    await world.patch(resources.NODES, node, {"spec": {"unschedulable": True}})
    await world.until(resources.NODES, node, lambda n: ("node.kubernetes.io/unschedulable", "NoSchedule") in taints(n))


async def test_toleration_seconds_are_waited_for_and_can_be_called_off(world: World, node: str) -> None:
    key = "example.com/maintenance"
    for name, toleration in (
        ("soon", {"tolerationSeconds": 1}),
        ("saved", {"tolerationSeconds": 6}),
        ("forever", {}),
    ):
        tolerated = {"key": key, "operator": "Exists", "effect": "NoExecute", **toleration}
        spec = template("x", nodeName=node, tolerations=[tolerated])["spec"]
        await world.create(resources.PODS, {"metadata": {"name": name}, "spec": spec})
        await world.until(resources.PODS, name, lambda p: status(p).get("phase") == "Running")
    spec = template("x", nodeName=node)["spec"]
    await world.create(resources.PODS, {"metadata": {"name": "now", "annotations": {"stage/linger": ""}}, "spec": spec})
    await world.patch(resources.NODES, node, {"spec": {"taints": [{"key": key, "effect": "NoExecute"}]}})
    evicted = await world.until(resources.PODS, "now", meta.is_deleting)
    assert condition(evicted, "DisruptionTarget") == "True/DeletionByTaintManager"
    await world.annotate(resources.PODS, "now", stage_linger=None)
    await world.until_gone(resources.PODS, "soon")
    await world.patch(resources.NODES, node, {"spec": {"taints": None}})
    cancelled = await world.until_list(
        resources.EVENTS,
        lambda events: any("Cancelling" in e["message"] for e in events),
        fields="involvedObject.name=saved",
    )
    assert cancelled
    assert await world.exists(resources.PODS, "saved") and await world.exists(resources.PODS, "forever")
