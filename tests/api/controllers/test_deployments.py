"""Deployments: rollouts, rollbacks, scaling, pauses, history."""

from typing import Any

from api import meta, resources
from api.types import Object
from tests.api.controllers.world import World, condition, status, workload

REVISION = "deployment.kubernetes.io/revision"


def is_rolled_out(deployment: Object) -> bool:
    wanted, said = deployment["spec"]["replicas"], status(deployment)
    return bool(
        said.get("observedGeneration") == deployment["metadata"]["generation"]
        and said.get("updatedReplicas") == said.get("replicas") == said.get("availableReplicas") == wanted
        and condition(deployment, "Progressing") == "True/NewReplicaSetAvailable"
    )


def image(text: str, **notes: str) -> Object:
    return {
        "spec": {
            "template": {
                "metadata": {"annotations": notes},
                "spec": {"containers": [{"name": "c", "image": text}]},
            }
        }
    }


async def roll_out(world: World, name: str = "web", **spec: Any) -> Object:
    await world.create(resources.DEPLOYMENTS, workload(name, **spec))
    return await world.until(resources.DEPLOYMENTS, name, is_rolled_out)


async def test_a_rollout_and_its_rollback(world: World) -> None:
    first = await roll_out(world, replicas=3)
    assert meta.annotations(first)[REVISION] == "1"
    assert condition(first, "Available") == "True/MinimumReplicasAvailable"
    [old] = await world.all(resources.REPLICASETS)
    digest = meta.labels(old)["pod-template-hash"]
    assert meta.name(old) == f"web-{digest}" and old["spec"]["selector"]["matchLabels"]["pod-template-hash"] == digest
    await world.patch(resources.DEPLOYMENTS, "web", image("example/c:2"))
    second = await world.until(
        resources.DEPLOYMENTS, "web", lambda d: is_rolled_out(d) and meta.annotations(d)[REVISION] == "2"
    )
    sets = {meta.annotations(rs)[REVISION]: rs for rs in await world.all(resources.REPLICASETS)}
    assert (sets["1"]["spec"]["replicas"], sets["2"]["spec"]["replicas"]) == (0, 3)
    assert status(second)["replicas"] == 3
    await world.patch(resources.DEPLOYMENTS, "web", image("example/c:1"))
    await world.until(resources.DEPLOYMENTS, "web", lambda d: is_rolled_out(d) and meta.annotations(d)[REVISION] == "3")
    again = await world.get(resources.REPLICASETS, meta.name(old))
    assert meta.annotations(again)[REVISION] == "3"
    assert meta.annotations(again)["deployment.kubernetes.io/revision-history"] == "1"
    assert "Scaled up replica set" in (await world.event("web", "ScalingReplicaSet"))["message"]


async def test_a_rolling_update_keeps_to_its_bounds(world: World) -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    await roll_out(world, replicas=4, strategy=rolling)
    seen: list[tuple[int, int]] = []

    def watch(sets: list[Object]) -> bool:
        asked = sum(rs["spec"]["replicas"] for rs in sets)
        seen.append((asked, sum(min(rs["spec"]["replicas"], status(rs).get("availableReplicas", 0)) for rs in sets)))
        return len(sets) == 2 and sorted(status(rs).get("availableReplicas", 0) for rs in sets) == [0, 4]

    await world.patch(resources.DEPLOYMENTS, "web", image("example/c:2"))
    await world.until_list(resources.REPLICASETS, watch)
    assert max(asked for asked, _ in seen) == 5
    assert min(available for _, available in seen) == 4


async def test_recreate_never_runs_two_versions_at_once(world: World) -> None:
    await roll_out(world, replicas=2, strategy={"type": "Recreate"})
    both: list[set[str]] = []

    def watch(pods: list[Object]) -> bool:
        hashes = {meta.labels(p)["pod-template-hash"] for p in pods}
        both.append(hashes)
        new = [p for p in pods if p["spec"]["containers"][0]["image"] == "example/c:2"]
        return len(new) == len(pods) == 2

    await world.patch(resources.DEPLOYMENTS, "web", image("example/c:2"))
    await world.until_list(resources.PODS, watch)
    assert max(len(hashes) for hashes in both) == 1


async def test_a_rollover_leaves_the_newest_only(world: World) -> None:
    await roll_out(world, replicas=3)
    for version in (2, 3, 4):
        await world.patch(resources.DEPLOYMENTS, "web", image(f"example/c:{version}"))
    await world.until(
        resources.DEPLOYMENTS,
        "web",
        lambda d: is_rolled_out(d) and d["spec"]["template"]["spec"]["containers"][0]["image"] == "example/c:4",
    )
    await world.until_list(
        resources.PODS,
        lambda pods: len(pods) == 3 and all(p["spec"]["containers"][0]["image"] == "example/c:4" for p in pods),
    )


async def test_scaling_in_the_middle_of_a_rollout_is_proportional(world: World) -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
    await roll_out(world, replicas=10, strategy=rolling)
    stuck = image("example/c:2", **{"stage/unready": ""})
    await world.patch(resources.DEPLOYMENTS, "web", stuck)
    sizes = await world.until_list(
        resources.REPLICASETS,
        lambda sets: (
            sorted(rs["spec"]["replicas"] for rs in sets) == [5, 8]
            and sum(status(rs).get("availableReplicas", 0) for rs in sets) == 8
        ),
    )
    assert sum(rs["spec"]["replicas"] for rs in sizes) == 13
    await world.patch(resources.DEPLOYMENTS, "web", {"spec": {"replicas": 30}})
    await world.until_list(
        resources.REPLICASETS, lambda sets: sorted(rs["spec"]["replicas"] for rs in sets) == [13, 20]
    )


async def test_a_paused_deployment_scales_and_does_not_roll(world: World) -> None:
    await roll_out(world, replicas=1)
    await world.patch(resources.DEPLOYMENTS, "web", {"spec": {"paused": True}})
    await world.until(resources.DEPLOYMENTS, "web", lambda d: condition(d, "Progressing") == "Unknown/DeploymentPaused")
    await world.patch(resources.DEPLOYMENTS, "web", image("example/c:2"))
    await world.patch(resources.DEPLOYMENTS, "web", {"spec": {"replicas": 2}})
    await world.until(resources.DEPLOYMENTS, "web", lambda d: status(d).get("availableReplicas") == 2)
    [only] = await world.all(resources.REPLICASETS)
    assert only["spec"]["template"]["spec"]["containers"][0]["image"] == "example/c:1"
    await world.patch(resources.DEPLOYMENTS, "web", {"spec": {"paused": False}})
    await world.until(resources.DEPLOYMENTS, "web", lambda d: is_rolled_out(d) and meta.annotations(d)[REVISION] == "2")


async def test_a_rollout_that_does_not_move_is_told(world: World) -> None:
    body = workload("web", replicas=1, progressDeadlineSeconds=2)
    body["spec"]["template"]["metadata"]["annotations"] = {"stage/unready": ""}
    await world.create(resources.DEPLOYMENTS, body)
    await world.until(
        resources.DEPLOYMENTS, "web", lambda d: condition(d, "Progressing") == "False/ProgressDeadlineExceeded"
    )


async def test_history_is_thinned_out(world: World) -> None:
    await roll_out(world, replicas=1, revisionHistoryLimit=1)
    for version in (2, 3):
        await world.patch(resources.DEPLOYMENTS, "web", image(f"example/c:{version}"))
        await world.until(
            resources.DEPLOYMENTS,
            "web",
            lambda d, v=version: is_rolled_out(d) and meta.annotations(d)[REVISION] == str(v),  # type: ignore[misc]
        )
    kept = await world.until_list(resources.REPLICASETS, lambda sets: len(sets) == 2)
    assert sorted(meta.annotations(rs)[REVISION] for rs in kept) == ["2", "3"]


async def test_replica_sets_are_adopted_and_released(world: World) -> None:
    body = workload("web", replicas=1)
    body["metadata"]["labels"] = {"app": "web"}
    await world.create(resources.REPLICASETS, body)
    await world.create(resources.DEPLOYMENTS, workload("web", replicas=1))
    adopted = await world.until(resources.REPLICASETS, "web", lambda rs: rs["metadata"].get("ownerReferences"))
    assert (meta.controller_of(adopted) or {})["kind"] == "Deployment"
    await world.patch(resources.REPLICASETS, "web", {"metadata": {"labels": {"app": "other"}}})
    await world.until(resources.REPLICASETS, "web", lambda rs: not rs["metadata"].get("ownerReferences"))
