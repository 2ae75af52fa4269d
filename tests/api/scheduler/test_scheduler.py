"""What the scheduler does to the API: bindings, conditions, events, claims, victims; and what survives its end."""

import pytest

from tests.api.cluster import Cluster
from tests.api.http import Api, Object
from tests.api.scheduler.conftest import Daemon, World

ZONE = "topology.kubernetes.io/zone"


def test_a_pod_gets_a_node_and_an_event(world: World) -> None:
    world.node("n")
    world.pod("p")
    assert world.bound("p") == "n"
    event = world.event("p", "Scheduled")
    assert event["message"] == f"Successfully assigned {world.namespace}/p to {world.namespace}-n"
    assert event["source"]["component"] == "default-scheduler"
    (condition,) = world.api.get(f"{world.path}/pods/p")["status"]["conditions"]
    assert (condition["type"], condition["status"]) == ("PodScheduled", "True")


def test_a_pod_too_large_says_why_and_goes_when_there_is_room(world: World) -> None:
    world.node("n", "1")
    world.pod("p", "2")
    message = world.refused("p")
    assert "1 Insufficient cpu" in message
    assert ". preemption: 0/" in message
    assert world.event("p", "FailedScheduling")["message"] == message
    world.node("m", "4")
    assert world.bound("p") == "m"


def test_room_that_a_deleted_pod_leaves_is_used(world: World) -> None:
    world.node("n", "1")
    world.pod("first", "1")
    world.bound("first")
    world.pod("second", "1")
    world.refused("second")
    world.api.delete(f"{world.path}/pods/first", gracePeriodSeconds="0")
    assert world.bound("second") == "n"


def test_cordon_and_uncordon(world: World) -> None:
    node = world.node("n")
    world.api.patch(f"/api/v1/nodes/{node}", {"spec": {"unschedulable": True}})
    world.pod("p")
    assert "1 node(s) were unschedulable" in world.refused("p")
    world.api.patch(f"/api/v1/nodes/{node}", {"spec": {"unschedulable": None}})
    assert world.bound("p") == "n"


def test_taints_and_tolerations(world: World) -> None:
    node = world.node("n")
    world.api.patch(f"/api/v1/nodes/{node}", {"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}})
    world.pod("p")
    world.pod("q", tolerations=[{"key": "k", "operator": "Exists"}])
    assert world.bound("q") == "n"
    assert "1 node(s) had untolerated taint(s)" in world.refused("p")


def test_host_ports_conflict_by_address_and_protocol(world: World) -> None:
    def port(address: str, protocol: str = "TCP") -> Object:
        return {"ports": [{"containerPort": 80, "hostPort": 54321, "hostIP": address, "protocol": protocol}]}

    world.node("n")
    for name, container in {"a": port("127.0.0.1"), "b": port("127.0.0.2"), "c": port("127.0.0.1", "UDP")}.items():
        world.pod(name, container=container)
        assert world.bound(name) == "n"
    world.pod("d", container=port("0.0.0.0"))  # noqa: S104
    assert "didn't have free ports" in world.refused("d")


def test_hard_spread_over_zones(world: World) -> None:
    for number in range(3):
        world.node(f"n{number}", **{ZONE: f"z{number}"})
    labels = {"app": "a"}
    constraint = {
        "topologyKey": ZONE, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": labels},
    }  # fmt: skip
    for number in range(6):
        world.pod(f"p{number}", labels=labels, topologySpreadConstraints=[constraint])
    assert sorted(world.bound(f"p{number}") for number in range(6)) == ["n0", "n0", "n1", "n1", "n2", "n2"]


def test_anti_affinity_puts_one_on_each_node(world: World) -> None:
    world.node("n1")
    world.node("n2")
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "a"}}}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    for number in range(3):
        world.pod(f"p{number}", labels={"app": "a"}, affinity=affinity)
    pods = [f"p{number}" for number in range(3)]
    query = {"fieldSelector": "spec.nodeName!="}
    with world.api.watch(f"{world.path}/pods", resourceVersion="0", **query) as watch:
        placed = {watch.next()["object"]["spec"]["nodeName"] for _ in range(2)}
    assert placed == {f"{world.namespace}-n1", f"{world.namespace}-n2"}
    waiting = world.api.get(f"{world.path}/pods", fieldSelector="spec.nodeName=")["items"]
    assert len(waiting) == len(pods) - 2
    assert "didn't match pod anti-affinity rules" in world.refused(waiting[0]["metadata"]["name"])


def test_gates_hold_a_pod_until_they_are_gone(world: World) -> None:
    world.node("n")
    world.pod("p", schedulingGates=[{"name": "example.com/wait"}])
    world.pod("later")
    world.bound("later")
    assert not world.api.get(f"{world.path}/pods/p")["spec"].get("nodeName")
    world.api.patch(f"{world.path}/pods/p", {"spec": {"schedulingGates": []}})
    assert world.bound("p") == "n"


@pytest.fixture
def important(api: Api, namespace: str) -> str:
    name = f"important-{namespace}"
    api.post("/apis/scheduling.k8s.io/v1/priorityclasses", {"metadata": {"name": name}, "value": 1000})
    return name


def test_preemption_for_an_extended_resource_set_by_status(world: World, important: str) -> None:
    node = world.node("n")
    resource = {"capacity": {"example.com/fakecpu": "2"}, "allocatable": {"example.com/fakecpu": "2"}}
    world.api.patch(f"/api/v1/nodes/{node}/status", {"status": resource})
    for name in ("a", "b"):
        world.pod(name, requests={"example.com/fakecpu": "1"})
        world.bound(name)
    world.pod("vip", requests={"example.com/fakecpu": "2"}, priorityClassName=important)
    assert world.bound("vip") == "n"
    assert world.event("a", "Preempted")["message"].startswith("Preempted by pod ")
    left = [p["metadata"]["name"] for p in world.api.get(f"{world.path}/pods")["items"]]
    assert left == ["vip"]


def test_no_victim_if_another_node_is_free(world: World, important: str) -> None:
    world.node("n1", "1")
    world.pod("a", "1")
    world.bound("a")
    world.node("n2", "1")
    world.pod("vip", "1", priorityClassName=important)
    assert world.bound("vip") == "n2"


def test_a_waiting_claim_is_given_its_node_and_waited_for(world: World, api: Api, namespace: str) -> None:
    name = f"waits-{namespace}"
    storage_class = {
        "metadata": {"name": name}, "provisioner": "example.com/none", "volumeBindingMode": "WaitForFirstConsumer",
    }  # fmt: skip
    api.post("/apis/storage.k8s.io/v1/storageclasses", storage_class)
    claim = {
        "metadata": {"name": "c"},
        "spec": {
            "storageClassName": name,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    world.node("n")
    world.pod("p", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}])
    assert 'persistentvolumeclaim "c" not found' in world.refused("p")
    api.post(f"{world.path}/persistentvolumeclaims", claim)
    key = "volume.kubernetes.io/selected-node"
    found = world.until("persistentvolumeclaims", "c", lambda c: (c["metadata"].get("annotations") or {}).get(key))
    assert found["metadata"]["annotations"][key] == f"{namespace}-n"
    assert not api.get(f"{world.path}/pods/p")["spec"].get("nodeName")
    volume = {
        "metadata": {"name": f"pv-{namespace}"},
        "spec": {
            "storageClassName": name,
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/tmp"},
            "claimRef": {"namespace": namespace, "name": "c", "uid": found["metadata"]["uid"]},
        },
    }
    api.post("/api/v1/persistentvolumes", volume)
    done = {
        "metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
        "spec": {"volumeName": f"pv-{namespace}"},
    }
    api.patch(f"{world.path}/persistentvolumeclaims/c", done)
    assert world.bound("p") == "n"


def test_a_matching_volume_is_bound_to_the_claim(world: World, api: Api, namespace: str) -> None:
    name = f"manual-{namespace}"
    storage_class = {
        "metadata": {"name": name},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    api.post("/apis/storage.k8s.io/v1/storageclasses", storage_class)
    world.node("n1")
    only = {"key": "kubernetes.io/hostname", "operator": "In", "values": [world.node("n2")]}
    volume = {
        "metadata": {"name": f"pv-{namespace}"},
        "spec": {
            "storageClassName": name,
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "local": {"path": "/tmp"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [only]}]}},
        },
    }
    api.post("/api/v1/persistentvolumes", volume)
    api.patch(f"/api/v1/persistentvolumes/pv-{namespace}/status", {"status": {"phase": "Available"}})
    claim = {
        "metadata": {"name": "c"},
        "spec": {
            "storageClassName": name,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "500Mi"}},
        },
    }
    made = api.post(f"{world.path}/persistentvolumeclaims", claim)
    world.pod("p", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}])
    with api.watch(
        "/api/v1/persistentvolumes", fieldSelector=f"metadata.name=pv-{namespace}", resourceVersion="0"
    ) as watch:
        while not (reference := watch.next()["object"]["spec"].get("claimRef")):
            pass
    assert reference["uid"] == made["metadata"]["uid"]
    done = {
        "metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
        "spec": {"volumeName": f"pv-{namespace}"},
    }
    api.patch(f"{world.path}/persistentvolumeclaims/c", done)
    assert world.bound("p") == "n2"


def test_a_killed_scheduler_loses_no_pod_and_overbooks_no_node(world: World, scheduler: Daemon) -> None:
    world.node("n1", "5")
    world.node("n2", "5")
    for number in range(8):
        world.pod(f"p{number}", "1")
        if number == 3:
            scheduler.kill()
    scheduler.restart()
    placed = [world.bound(f"p{number}") for number in range(8)]
    assert max(placed.count("n1"), placed.count("n2")) <= 5


def test_a_stand_by_takes_over(world: World, cluster: Cluster, scheduler: Daemon) -> None:
    """An orderly stop releases the Lease, so that the other need not wait for it to expire."""
    scheduler.kill()
    first, second = Daemon(cluster, "--leader-elect"), Daemon(cluster, "--leader-elect")
    try:
        world.node("n")
        world.pod("a")
        assert world.bound("a") == "n"
        first.stop()
        world.pod("b")
        assert world.bound("b") == "n"
    finally:
        second.stop()
        scheduler.restart()
