"""Garbage collection: background, foreground, orphaning, missing owners, cycles."""

from api import meta, resources
from api.types import Object
from tests.api.controllers.world import World, status, workload


def owned(name: str, owner: Object, *, kind: str = "ConfigMap", block: bool = False) -> Object:
    ref: Object = {"apiVersion": "v1", "kind": kind, "name": meta.name(owner), "uid": meta.uid(owner)}
    if block:
        ref["blockOwnerDeletion"] = True
    return {"metadata": {"name": name, "ownerReferences": [ref]}}


async def deployed(world: World) -> None:
    await world.create(resources.DEPLOYMENTS, workload("web", replicas=2))
    await world.until(resources.DEPLOYMENTS, "web", lambda d: status(d).get("availableReplicas") == 2)


async def test_background_deletion_takes_the_dependents(world: World) -> None:
    await deployed(world)
    await world.delete(resources.DEPLOYMENTS, "web", "Background")
    await world.until_list(resources.REPLICASETS, lambda sets: not sets)
    await world.until_list(resources.PODS, lambda pods: not pods)


async def test_orphaning_leaves_them(world: World) -> None:
    await deployed(world)
    await world.delete(resources.DEPLOYMENTS, "web", "Orphan")
    await world.until_gone(resources.DEPLOYMENTS, "web")
    [left] = await world.until_list(
        resources.REPLICASETS, lambda sets: all(not s["metadata"].get("ownerReferences") for s in sets)
    )
    assert status(left)["replicas"] == 2
    assert all((meta.controller_of(p) or {})["uid"] == meta.uid(left) for p in await world.pods())


async def test_foreground_deletion_keeps_the_owner_to_the_end(world: World) -> None:
    await deployed(world)
    for pod in await world.pods():
        await world.annotate(resources.PODS, meta.name(pod), stage_linger="")
    await world.delete(resources.DEPLOYMENTS, "web", "Foreground")
    await world.until_list(resources.PODS, lambda pods: pods and all(meta.is_deleting(p) for p in pods))
    waiting = await world.get(resources.DEPLOYMENTS, "web")
    assert waiting["metadata"]["finalizers"] == ["foregroundDeletion"]
    for pod in await world.pods():
        await world.annotate(resources.PODS, meta.name(pod), stage_linger=None)
    await world.until_gone(resources.DEPLOYMENTS, "web")
    assert not await world.pods()


async def test_an_object_whose_owner_never_was_is_deleted(world: World) -> None:
    ghost = {"metadata": {"name": "ghost", "uid": "00000000-0000-0000-0000-000000000000"}}
    await world.create(resources.CONFIGMAPS, owned("lost", ghost))
    await world.until_gone(resources.CONFIGMAPS, "lost")


async def test_an_object_with_one_owner_left_stays(world: World) -> None:
    first = await world.create(resources.CONFIGMAPS, {"metadata": {"name": "first"}})
    second = await world.create(resources.CONFIGMAPS, {"metadata": {"name": "second"}})
    body = owned("shared", first)
    body["metadata"]["ownerReferences"] += owned("shared", second)["metadata"]["ownerReferences"]
    await world.create(resources.CONFIGMAPS, body)
    await world.delete(resources.CONFIGMAPS, "first")
    left = await world.until(resources.CONFIGMAPS, "shared", lambda o: len(o["metadata"]["ownerReferences"]) == 1)
    assert left["metadata"]["ownerReferences"][0]["name"] == "second"


async def test_an_owner_with_the_wrong_uid_does_not_count(world: World) -> None:
    owner = await world.create(resources.CONFIGMAPS, {"metadata": {"name": "owner"}})
    other = {"metadata": {"name": meta.name(owner), "uid": "00000000-0000-0000-0000-000000000001"}}
    await world.create(resources.CONFIGMAPS, owned("lost", other))
    await world.until_gone(resources.CONFIGMAPS, "lost")


async def test_a_circle_of_owners_can_be_deleted(world: World) -> None:
    made = [await world.create(resources.CONFIGMAPS, {"metadata": {"name": f"c{i}"}}) for i in range(3)]
    for i, obj in enumerate(made):
        refs = owned("", made[(i + 1) % 3], block=True)["metadata"]["ownerReferences"]
        await world.patch(resources.CONFIGMAPS, meta.name(obj), {"metadata": {"ownerReferences": refs}})
    await world.delete(resources.CONFIGMAPS, "c0", "Foreground")
    for i in range(3):
        await world.until_gone(resources.CONFIGMAPS, f"c{i}")


async def test_a_node_owned_object_goes_with_its_node(world: World) -> None:
    node = await world.client.create(resources.NODES, {"metadata": {"name": f"gone-{world.namespace}"}})
    await world.create(resources.CONFIGMAPS, owned("on-node", node, kind="Node"))
    await world.client.delete(resources.NODES, meta.name(node))
    await world.until_gone(resources.CONFIGMAPS, "on-node")
