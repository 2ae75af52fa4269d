"""What every namespace has, and how it goes."""

from api import resources
from cloudctl.cluster.pairs import replace
from tests.api.cluster import Cluster
from tests.api.controllers.world import World, condition, workload


async def test_a_namespace_has_its_account_and_the_root_certificate(world: World) -> None:
    bundle = await world.until(resources.CONFIGMAPS, "kube-root-ca.crt", lambda _: True)
    assert "BEGIN CERTIFICATE" in bundle["data"]["ca.crt"]


async def test_both_come_back(world: World) -> None:
    account = await world.get(resources.SERVICEACCOUNTS, "default")
    await world.delete(resources.SERVICEACCOUNTS, "default")
    await world.until(
        resources.SERVICEACCOUNTS, "default", lambda a: a["metadata"]["uid"] != account["metadata"]["uid"]
    )
    bundle = await world.until(resources.CONFIGMAPS, "kube-root-ca.crt", lambda _: True)
    await world.patch(resources.CONFIGMAPS, "kube-root-ca.crt", {"data": {"ca.crt": "forged"}})
    await world.until(resources.CONFIGMAPS, "kube-root-ca.crt", lambda m: m["data"] == bundle["data"])


async def test_the_root_certificate_follows_its_file(world: World, controlled: Cluster) -> None:
    path, before = controlled.pki / "ca.crt", (controlled.pki / "ca.crt").read_text()
    for text in (before + before, before):
        replace({path: (text.encode(), 0o644)})
        await world.until(resources.CONFIGMAPS, "kube-root-ca.crt", lambda m, text=text: m["data"]["ca.crt"] == text)  # type: ignore[misc]


async def test_a_deleted_namespace_takes_its_content_along(world: World) -> None:
    space = f"{world.namespace}-gone"
    await world.client.create(resources.NAMESPACES, {"metadata": {"name": space}})
    inside = World(world.client, space)
    await inside.until(resources.SERVICEACCOUNTS, "default", lambda _: True)
    await inside.create(resources.DEPLOYMENTS, workload("web", replicas=2))
    await inside.until_list(resources.PODS, lambda pods: len(pods) == 2)
    await inside.create(resources.CONFIGMAPS, {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}})
    await world.delete(resources.NAMESPACES, space)
    waiting = await world.until(
        resources.NAMESPACES, space, lambda ns: condition(ns, "NamespaceFinalizersRemaining").startswith("True")
    )
    assert waiting["status"]["phase"] == "Terminating"
    assert condition(waiting, "NamespaceContentRemaining") == "True/SomeResourcesRemain"
    assert condition(waiting, "NamespaceDeletionContentFailure") == "False/ContentDeleted"
    assert not await inside.pods()
    await inside.patch(resources.CONFIGMAPS, "held", {"metadata": {"finalizers": None}})
    await world.until_gone(resources.NAMESPACES, space)


async def test_pods_go_before_the_rest(world: World) -> None:
    space = f"{world.namespace}-order"
    await world.client.create(resources.NAMESPACES, {"metadata": {"name": space}})
    inside = World(world.client, space)
    await inside.until(resources.SERVICEACCOUNTS, "default", lambda _: True)
    pod = {
        "metadata": {"name": "slow", "annotations": {"stage/linger": ""}},
        "spec": workload("x")["spec"]["template"]["spec"],
    }
    await inside.create(resources.PODS, pod)
    await inside.until(resources.PODS, "slow", lambda p: p["spec"].get("nodeName"))
    await inside.create(resources.CONFIGMAPS, {"metadata": {"name": "kept"}})
    await world.delete(resources.NAMESPACES, space)
    await world.until(
        resources.NAMESPACES, space, lambda ns: condition(ns, "NamespaceContentRemaining") == "True/SomeResourcesRemain"
    )
    assert await inside.exists(resources.CONFIGMAPS, "kept")
    await inside.annotate(resources.PODS, "slow", stage_linger=None)
    await world.until_gone(resources.NAMESPACES, space)
