"""Endpoints and EndpointSlices of Services."""

from typing import Any

from api import meta, resources
from api.types import Object
from tests.api.controllers.world import World, template, workload

SERVICE = "kubernetes.io/service-name"
MANAGER = "endpointslice.kubernetes.io/managed-by"


def service(name: str = "web", **spec: Any) -> Object:
    ports = [{"name": "http", "port": 80, "targetPort": "web"}]
    return {
        "metadata": {"name": name, "labels": {"tier": "front"}},
        "spec": {"selector": {"app": "web"}, "ports": ports, **spec},
    }


def pod(name: str, port: int = 8080, notes: dict[str, str] | None = None, **spec: Any) -> Object:
    body = template("web", **spec)
    body["spec"]["containers"][0]["ports"] = [{"name": "web", "containerPort": port}]
    return {"metadata": {"name": name, "labels": {"app": "web"}, "annotations": notes or {}}, "spec": body["spec"]}


def entries(slices: list[Object]) -> dict[str, Object]:
    return {e["targetRef"]["name"]: e for s in slices for e in s.get("endpoints") or ()}


async def until_slices(world: World, holds: Any, name: str = "web") -> list[Object]:
    return await world.until_list(resources.ENDPOINTSLICES, holds, selector=f"{SERVICE}={name}")


async def test_a_service_finds_its_ready_pods(world: World) -> None:
    await world.create(resources.SERVICES, service())
    await until_slices(world, lambda found: len(found) == 1 and not found[0].get("endpoints"))
    await world.create(resources.PODS, pod("a"))
    await world.create(resources.PODS, pod("b", notes={"stage/unready": ""}))
    [found] = await until_slices(world, lambda s: len(entries(s)) == 2 and entries(s)["a"]["conditions"]["ready"])
    assert meta.labels(found)[MANAGER] == "endpointslice-controller.k8s.io" and meta.labels(found)["tier"] == "front"
    assert found["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert found["metadata"]["ownerReferences"][0]["kind"] == "Service"
    a, b = entries([found])["a"], entries([found])["b"]
    assert a["nodeName"] and a["conditions"] == {"ready": True, "serving": True, "terminating": False}
    assert b["conditions"]["ready"] is False
    whole = await world.until(
        resources.ENDPOINTS, "web", lambda e: e.get("subsets") and e["subsets"][0].get("addresses")
    )
    [subset] = whole["subsets"]
    assert [x["targetRef"]["name"] for x in subset["addresses"]] == ["a"]
    assert [x["targetRef"]["name"] for x in subset["notReadyAddresses"]] == ["b"]
    await world.annotate(resources.PODS, "b", stage_unready=None)
    await until_slices(world, lambda s: entries(s)["b"]["conditions"]["ready"])


async def test_a_terminating_pod_serves_and_is_not_ready(world: World) -> None:
    await world.create(resources.SERVICES, service())
    await world.create(resources.PODS, pod("a", notes={"stage/linger": ""}))
    await until_slices(world, lambda s: "a" in entries(s) and entries(s)["a"]["conditions"]["ready"])
    await world.delete(resources.PODS, "a")
    await until_slices(
        world,
        lambda s: entries(s)["a"]["conditions"] == {"ready": False, "serving": True, "terminating": True},
    )
    await world.until(resources.ENDPOINTS, "web", lambda e: not e.get("subsets"))
    await world.annotate(resources.PODS, "a", stage_linger=None)
    await until_slices(world, lambda s: not entries(s))


async def test_pods_with_other_ports_get_a_slice_of_their_own(world: World) -> None:
    await world.create(resources.SERVICES, service())
    await world.create(resources.PODS, pod("a", 8080))
    await world.create(resources.PODS, pod("b", 9090))
    slices = await until_slices(world, lambda s: len(entries(s)) == 2 and len(s) == 2)
    assert sorted(s["ports"][0]["port"] for s in slices) == [8080, 9090]


async def test_a_headless_service_publishes_hostnames(world: World) -> None:
    await world.create(resources.SERVICES, service(clusterIP="None", publishNotReadyAddresses=True))
    await world.create(resources.PODS, pod("a", notes={"stage/unready": ""}, hostname="first", subdomain="web"))
    [found] = await until_slices(world, lambda s: "a" in entries(s) and entries(s)["a"]["conditions"]["ready"])
    assert entries([found])["a"]["hostname"] == "first"
    assert "service.kubernetes.io/headless" in meta.labels(found)


async def test_more_than_a_hundred_endpoints_need_a_second_slice(world: World) -> None:
    await world.create(resources.SERVICES, service("many", selector={"app": "many"}))
    await world.create(resources.REPLICASETS, workload("many", replicas=120))
    slices = await world.until_list(
        resources.ENDPOINTSLICES,
        lambda s: len(entries(s)) == 120,
        selector=f"{SERVICE}=many",
    )
    assert all(len(s["endpoints"]) <= 100 for s in slices) and len(slices) == 2


async def test_a_deleted_service_takes_both_along(world: World) -> None:
    await world.create(resources.SERVICES, service())
    await world.until(resources.ENDPOINTS, "web", lambda _: True)
    await until_slices(world, len)
    await world.delete(resources.SERVICES, "web")
    await world.until_gone(resources.ENDPOINTS, "web")
    await until_slices(world, lambda s: not s)


async def test_hand_made_endpoints_are_mirrored(world: World) -> None:
    await world.create(
        resources.SERVICES, {"metadata": {"name": "ext"}, "spec": {"ports": [{"name": "db", "port": 5432}]}}
    )
    ports = [{"name": "db", "port": 5432}]
    subsets = [{"addresses": [{"ip": "10.1.2.3"}], "ports": ports}]
    await world.create(resources.ENDPOINTS, {"metadata": {"name": "ext"}, "subsets": subsets})
    [found] = await until_slices(world, lambda s: len(s) == 1 and s[0].get("endpoints"), "ext")
    assert meta.labels(found)[MANAGER] == "endpointslicemirroring-controller.k8s.io"
    assert found["endpoints"][0]["addresses"] == ["10.1.2.3"]
    assert found["ports"] == [{"name": "db", "port": 5432, "protocol": "TCP"}]
    subsets[0]["addresses"] = [{"ip": "10.1.2.4"}]
    await world.patch(resources.ENDPOINTS, "ext", {"subsets": subsets})
    await until_slices(world, lambda s: [s[0]["endpoints"][0]["addresses"]] == [["10.1.2.4"]], "ext")
    await world.delete(resources.ENDPOINTS, "ext")
    await until_slices(world, lambda s: not s, "ext")
