"""ReplicaSets and ReplicationControllers, one behaviour for both."""

from typing import Any

import pytest

from api import meta, resources
from api.types import Object, Resource
from tests.api.controllers.world import World, condition, status, template, workload

KINDS = pytest.mark.parametrize("kind", [resources.REPLICASETS, resources.REPLICATIONCONTROLLERS], ids=lambda k: k.kind)


def owner(kind: Resource, name: str, **spec: Any) -> Object:
    if kind is resources.REPLICASETS:
        return workload(name, **spec)
    return {"metadata": {"name": name}, "spec": {"selector": {"app": name}, "template": template(name), **spec}}


@KINDS
async def test_as_many_pods_as_asked_for(world: World, kind: Resource) -> None:
    await world.create(kind, owner(kind, "web", replicas=3))
    ready = await world.until(kind, "web", lambda o: status(o).get("availableReplicas") == 3)
    assert status(ready)["observedGeneration"] == ready["metadata"]["generation"] == 1
    assert status(ready)["fullyLabeledReplicas"] == status(ready)["replicas"] == status(ready)["readyReplicas"] == 3
    await world.patch(kind, "web", {"spec": {"replicas": 1}}, "scale")
    await world.until(kind, "web", lambda o: status(o)["replicas"] == 1 and status(o)["observedGeneration"] == 2)
    assert len([p for p in await world.pods() if not meta.is_deleting(p)]) == 1
    assert (await world.event("web", "SuccessfulCreate"))["source"]["component"] == f"{_component(kind)}-controller"


def _component(kind: Resource) -> str:
    return "replicaset" if kind is resources.REPLICASETS else "replication"


@KINDS
async def test_a_deleted_or_failed_pod_is_replaced(world: World, kind: Resource) -> None:
    await world.create(kind, owner(kind, "web", replicas=2))
    await world.until(kind, "web", lambda o: status(o).get("readyReplicas") == 2)
    gone, failed = [meta.name(p) for p in await world.pods()]
    await world.delete(resources.PODS, gone)
    await world.annotate(resources.PODS, failed, stage_exit="1")
    await world.until_list(
        resources.PODS,
        lambda pods: sum(status(p).get("phase") == "Running" and meta.name(p) not in (gone, failed) for p in pods) == 2,
    )


@KINDS
async def test_orphans_are_adopted_and_strays_released(world: World, kind: Resource) -> None:
    pod = {"metadata": {"name": "orphan", "labels": {"app": "web"}}, "spec": template("web")["spec"]}
    await world.create(resources.PODS, pod)
    await world.create(kind, owner(kind, "web", replicas=1))
    adopted = await world.until(resources.PODS, "orphan", lambda p: p["metadata"].get("ownerReferences"))
    ref = meta.controller_of(adopted)
    assert ref and (ref["kind"], ref["name"], ref["blockOwnerDeletion"]) == (kind.kind, "web", True)
    assert len(await world.pods()) == 1
    await world.patch(resources.PODS, "orphan", {"metadata": {"labels": {"app": "other"}}})
    await world.until(resources.PODS, "orphan", lambda p: not p["metadata"].get("ownerReferences"))
    await world.until_list(resources.PODS, lambda pods: len(pods) == 2)


@KINDS
async def test_quota_shows_as_a_condition(world: World, kind: Resource) -> None:
    await world.create(resources.RESOURCEQUOTAS, {"metadata": {"name": "two"}, "spec": {"hard": {"pods": "2"}}})
    await world.until(resources.RESOURCEQUOTAS, "two", lambda q: status(q).get("used") == {"pods": "0"})
    await world.create(kind, owner(kind, "web", replicas=3))
    stuck = await world.until(kind, "web", lambda o: condition(o, "ReplicaFailure") == "True/FailedCreate")
    assert "exceeded quota" in (meta.get_condition(stuck, "ReplicaFailure") or {})["message"]
    await world.patch(kind, "web", {"spec": {"replicas": 2}})
    await world.until(kind, "web", lambda o: not condition(o, "ReplicaFailure") and status(o)["replicas"] == 2)


async def test_the_pod_that_costs_least_goes_first(world: World) -> None:
    await world.create(resources.REPLICASETS, workload("web", replicas=3))
    await world.until(resources.REPLICASETS, "web", lambda o: status(o).get("readyReplicas") == 3)
    names = [meta.name(p) for p in await world.pods()]
    for name, cost in zip(names, ("10", "-5", "10"), strict=True):
        notes = {"controller.kubernetes.io/pod-deletion-cost": cost}
        await world.patch(resources.PODS, name, {"metadata": {"annotations": notes}})
    await world.patch(resources.REPLICASETS, "web", {"spec": {"replicas": 2}})
    left = await world.until_list(resources.PODS, lambda pods: len(pods) == 2)
    assert [meta.name(p) for p in left] == [names[0], names[2]]


async def test_available_only_after_min_ready_seconds(world: World) -> None:
    await world.create(resources.REPLICASETS, workload("web", replicas=1, minReadySeconds=2))
    early = await world.until(resources.REPLICASETS, "web", lambda o: status(o).get("readyReplicas") == 1)
    assert not status(early).get("availableReplicas")
    await world.until(resources.REPLICASETS, "web", lambda o: status(o).get("availableReplicas") == 1)
