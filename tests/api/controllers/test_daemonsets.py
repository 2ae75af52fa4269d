"""DaemonSets: a pod a node."""

from api import meta, resources
from api.types import Object
from tests.api.controllers.conftest import NODES
from tests.api.controllers.world import World, status, workload


def runs_everywhere(daemon: Object) -> bool:
    said = status(daemon)
    if said.get("observedGeneration") != daemon["metadata"]["generation"]:
        return False
    counts = {said.get(k) for k in ("numberAvailable", "updatedNumberScheduled", "desiredNumberScheduled")}
    return counts == {len(NODES)}


def image(text: str) -> Object:
    return {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": text}]}}}}


async def test_one_pod_on_every_node(world: World) -> None:
    await world.create(resources.DAEMONSETS, workload("agent"))
    await world.until(resources.DAEMONSETS, "agent", runs_everywhere)
    pods = await world.pods()
    assert sorted(p["spec"]["nodeName"] for p in pods) == sorted(NODES)
    keys = {(t.get("key"), t.get("effect")) for t in pods[0]["spec"]["tolerations"]}
    assert ("node.kubernetes.io/not-ready", "NoExecute") in keys
    assert ("node.kubernetes.io/unschedulable", "NoSchedule") in keys


async def test_a_node_selector_is_followed_as_labels_change(world: World) -> None:
    body = workload("agent")
    body["spec"]["template"]["spec"]["nodeSelector"] = {f"test/{world.namespace}": "yes"}
    await world.create(resources.DAEMONSETS, body)
    await world.until(resources.DAEMONSETS, "agent", lambda d: status(d).get("observedGeneration") == 1)
    assert not await world.pods()
    label = {"metadata": {"labels": {f"test/{world.namespace}": "yes"}}}
    await world.patch(resources.NODES, "n2", label)
    await world.until_list(resources.PODS, lambda pods: [p["spec"].get("nodeName") for p in pods] == ["n2"])
    await world.patch(resources.NODES, "n2", {"metadata": {"labels": {f"test/{world.namespace}": None}}})
    await world.until_list(resources.PODS, lambda pods: not pods)


async def test_a_rolling_update_and_its_rollback_without_needless_restarts(world: World) -> None:
    await world.create(resources.DAEMONSETS, workload("agent"))
    await world.until(resources.DAEMONSETS, "agent", runs_everywhere)
    [first] = await world.all(resources.CONTROLLERREVISIONS)
    assert first["revision"] == 1
    await world.patch(resources.DAEMONSETS, "agent", image("example/c:2"))
    await world.until(resources.DAEMONSETS, "agent", lambda d: d["metadata"]["generation"] == 2 and runs_everywhere(d))
    before = {meta.uid(p) for p in await world.pods()}
    stuck = {**image("example/c:3")}
    stuck["spec"]["template"]["metadata"] = {"annotations": {"stage/unready": ""}}
    await world.patch(resources.DAEMONSETS, "agent", stuck)
    await world.until(resources.DAEMONSETS, "agent", lambda d: status(d).get("updatedNumberScheduled") == 1)
    back = image("example/c:2")
    back["spec"]["template"]["metadata"] = {"annotations": {"stage/unready": None}}
    await world.patch(resources.DAEMONSETS, "agent", back)
    await world.until(resources.DAEMONSETS, "agent", lambda d: d["metadata"]["generation"] == 4 and runs_everywhere(d))
    assert len({meta.uid(p) for p in await world.pods()} & before) == 2
    revisions = {r["revision"] for r in await world.all(resources.CONTROLLERREVISIONS)}
    assert revisions == {1, 3, 4}


async def test_on_delete_waits_for_the_pod_to_be_deleted(world: World) -> None:
    await world.create(resources.DAEMONSETS, workload("agent", updateStrategy={"type": "OnDelete"}))
    await world.until(resources.DAEMONSETS, "agent", runs_everywhere)
    await world.patch(resources.DAEMONSETS, "agent", image("example/c:2"))
    await world.until(resources.DAEMONSETS, "agent", lambda d: status(d).get("observedGeneration") == 2)
    [victim, *_] = await world.pods()
    await world.delete(resources.PODS, meta.name(victim))
    await world.until(resources.DAEMONSETS, "agent", lambda d: status(d).get("updatedNumberScheduled") == 1)
    images = sorted(p["spec"]["containers"][0]["image"] for p in await world.pods() if not meta.is_deleting(p))
    assert images == ["example/c:1", "example/c:1", "example/c:2"]


async def test_a_surging_update_keeps_the_old_pod_until_the_new_one_is_there(world: World) -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    await world.create(resources.DAEMONSETS, workload("agent", updateStrategy=rolling))
    await world.until(resources.DAEMONSETS, "agent", runs_everywhere)
    await world.patch(resources.DAEMONSETS, "agent", image("example/c:2"))
    await world.until_list(resources.PODS, lambda pods: len(pods) > len(NODES))
    await world.until_list(
        resources.PODS,
        lambda pods: (
            len(pods) == len(NODES) and all(p["spec"]["containers"][0]["image"] == "example/c:2" for p in pods)
        ),
    )


async def test_a_failed_pod_is_replaced(world: World) -> None:
    await world.create(resources.DAEMONSETS, workload("agent"))
    await world.until(resources.DAEMONSETS, "agent", runs_everywhere)
    [victim, *_] = await world.pods()
    await world.annotate(resources.PODS, meta.name(victim), stage_exit="1")
    await world.until_gone(resources.PODS, meta.name(victim))
    await world.until(resources.DAEMONSETS, "agent", runs_everywhere)
    assert await world.event("agent", "FailedDaemonPod")
