"""StatefulSets: names, order, claims, updates."""

from typing import Any

from api import meta, resources
from api.types import Object
from tests.api.controllers.world import World, status, workload


def is_whole(owner: Object) -> bool:
    said, wanted = status(owner), owner["spec"]["replicas"]
    return bool(
        said.get("observedGeneration") == owner["metadata"]["generation"]
        and said.get("readyReplicas") == said.get("replicas") == said.get("updatedReplicas") == wanted
    )


def image(text: str, **spec: Any) -> Object:
    return {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": text}]}}, **spec}}


def images(pods: list[Object]) -> dict[str, str]:
    return {meta.name(p): p["spec"]["containers"][0]["image"] for p in pods}


def unready(body: Object) -> Object:
    body["spec"]["template"]["metadata"]["annotations"] = {"stage/unready": ""}
    return body


async def test_ordered_up_and_down(world: World) -> None:
    await world.create(resources.STATEFULSETS, unready(workload("db", serviceName="db", replicas=2)))
    [first] = await world.until_list(resources.PODS, lambda pods: [status(p).get("phase") for p in pods] == ["Running"])
    assert meta.name(first) == "db-0" and first["spec"]["hostname"] == "db-0" and first["spec"]["subdomain"] == "db"
    assert meta.labels(first)["statefulset.kubernetes.io/pod-name"] == "db-0"
    assert meta.labels(first)["apps.kubernetes.io/pod-index"] == "0"
    await world.annotate(resources.PODS, "db-0", stage_unready=None)
    await world.until_list(resources.PODS, lambda pods: [meta.name(p) for p in pods] == ["db-0", "db-1"])
    await world.annotate(resources.PODS, "db-1", stage_unready=None)
    await world.until(resources.STATEFULSETS, "db", is_whole)
    await world.patch(resources.STATEFULSETS, "db", {"spec": {"replicas": 0}}, "scale")
    gone: list[list[str]] = []

    def watch(pods: list[Object]) -> bool:
        gone.append([meta.name(p) for p in pods])
        return not pods

    await world.until_list(resources.PODS, watch)
    assert ["db-1"] not in gone


async def test_parallel_starts_all_at_once(world: World) -> None:
    body = unready(workload("db", serviceName="db", replicas=3, podManagementPolicy="Parallel"))
    await world.create(resources.STATEFULSETS, body)
    await world.until_list(resources.PODS, lambda pods: [meta.name(p) for p in pods] == ["db-0", "db-1", "db-2"])


async def test_updates_go_from_the_highest_down_and_stop_at_the_partition(world: World) -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    await world.create(resources.STATEFULSETS, workload("db", serviceName="db", replicas=3, updateStrategy=rolling))
    before = await world.until(resources.STATEFULSETS, "db", is_whole)
    assert status(before)["currentRevision"] == status(before)["updateRevision"]
    await world.patch(resources.STATEFULSETS, "db", image("example/c:2"))
    halfway = await world.until(
        resources.STATEFULSETS,
        "db",
        lambda s: status(s).get("updatedReplicas") == 1 and status(s)["readyReplicas"] == 3,
    )
    assert status(halfway)["currentRevision"] != status(halfway)["updateRevision"]
    assert images(await world.pods()) == {"db-0": "example/c:1", "db-1": "example/c:1", "db-2": "example/c:2"}
    await world.delete(resources.PODS, "db-0")  # comes back at the old revision
    await world.until_list(
        resources.PODS,
        lambda pods: (
            len(pods) == 3 and not any(meta.is_deleting(p) for p in pods) and images(pods)["db-0"] == "example/c:1"
        ),
    )
    await world.patch(resources.STATEFULSETS, "db", {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}})
    done = await world.until(
        resources.STATEFULSETS,
        "db",
        lambda s: is_whole(s) and status(s)["currentRevision"] == status(s)["updateRevision"],
    )
    assert status(done)["currentReplicas"] == 3
    assert set(images(await world.pods()).values()) == {"example/c:2"}


async def test_a_rollback_takes_the_old_revision_up_again(world: World) -> None:
    await world.create(resources.STATEFULSETS, workload("db", serviceName="db", replicas=2))
    first = await world.until(resources.STATEFULSETS, "db", is_whole)
    await world.patch(resources.STATEFULSETS, "db", image("example/c:2"))
    await world.until(resources.STATEFULSETS, "db", lambda s: s["metadata"]["generation"] == 2 and is_whole(s))
    await world.patch(resources.STATEFULSETS, "db", image("example/c:1"))
    back = await world.until(resources.STATEFULSETS, "db", lambda s: s["metadata"]["generation"] == 3 and is_whole(s))
    assert status(back)["updateRevision"] == status(first)["updateRevision"]
    revisions = {meta.name(r): r["revision"] for r in await world.all(resources.CONTROLLERREVISIONS)}
    assert revisions[status(back)["updateRevision"]] == 3


async def test_a_pod_that_failed_is_made_anew(world: World) -> None:
    await world.create(resources.STATEFULSETS, workload("db", serviceName="db", replicas=1))
    await world.until(resources.STATEFULSETS, "db", is_whole)
    before = await world.get(resources.PODS, "db-0")
    await world.annotate(resources.PODS, "db-0", stage_exit="1")
    await world.until(resources.PODS, "db-0", lambda p: meta.uid(p) != meta.uid(before))
    await world.until(resources.STATEFULSETS, "db", is_whole)


async def test_claims_follow_their_pods_and_the_retention_policy(world: World) -> None:
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    policy = {"whenDeleted": "Delete", "whenScaled": "Delete"}
    body = workload("db", serviceName="db", replicas=2, volumeClaimTemplates=[claim])
    body["spec"]["persistentVolumeClaimRetentionPolicy"] = policy
    await world.create(resources.STATEFULSETS, body)
    await world.until(resources.STATEFULSETS, "db", is_whole)
    pod = await world.get(resources.PODS, "db-0")
    volume = next(v for v in pod["spec"]["volumes"] if v["name"] == "data")
    assert volume["persistentVolumeClaim"]["claimName"] == "data-db-0"
    claims = await world.all(resources.PERSISTENTVOLUMECLAIMS)
    assert sorted(meta.name(c) for c in claims) == ["data-db-0", "data-db-1"]
    assert all(c["metadata"]["ownerReferences"][0]["kind"] == "StatefulSet" for c in claims)
    await world.patch(resources.STATEFULSETS, "db", {"spec": {"replicas": 1}})
    await world.until_gone(resources.PERSISTENTVOLUMECLAIMS, "data-db-1")
    assert await world.exists(resources.PERSISTENTVOLUMECLAIMS, "data-db-0")
    await world.delete(resources.STATEFULSETS, "db")
    await world.until_list(resources.PERSISTENTVOLUMECLAIMS, lambda found: not found)
