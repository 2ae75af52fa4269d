"""Claims and volumes: what is refused before any node, which nodes reach a volume, what binding will have to do."""

from __future__ import annotations

import asyncio

import pytest

from api.types import Object
from client.lister import Lister
from scheduler.binding import VolumesNotBound, _all_bound
from scheduler.cycle import Placement
from scheduler.plugins.volumes import plan_for
from scheduler.volumes import BIND_COMPLETED, SELECTED_NODE, Plan, VolumeCatalog, class_name
from tests.unit.scheduler.build import ZONE, Cluster, node, pod

WAITS, IMMEDIATE, MANUAL = "waits", "immediate", "manual"


def claim(name: str, storage_class: str = WAITS, size: str = "1Gi", *, volume: str = "", **spec: object) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "namespace": "default",
            "name": name,
            "uid": f"uid-{name}",
            "annotations": {BIND_COMPLETED: "yes"} if volume else {},
        },
        "spec": {
            "storageClassName": storage_class,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
            **({"volumeName": volume} if volume else {}),
            **spec,
        },
        "status": {"phase": "Bound" if volume else "Pending"},
    }


def volume(name: str, size: str = "1Gi", *, on: str = "", storage_class: str = MANUAL, **spec: object) -> Object:
    where = {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [on]}]}]}
    return {
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            **({"nodeAffinity": {"required": where}} if on else {}),
            **spec,
        },
        "status": {"phase": "Available"},
    }


def classes() -> list[Object]:
    waits = "WaitForFirstConsumer"
    return [
        {"metadata": {"name": WAITS}, "provisioner": "disks.example.com", "volumeBindingMode": waits},
        {"metadata": {"name": MANUAL}, "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": waits},
        {"metadata": {"name": IMMEDIATE}, "provisioner": "disks.example.com", "volumeBindingMode": "Immediate"},
        {
            "metadata": {"name": "zonal"},
            "provisioner": "disks.example.com",
            "volumeBindingMode": waits,
            "allowedTopologies": [{"matchLabelExpressions": [{"key": ZONE, "values": ["a"]}]}],
        },
    ]


class Storage:
    """A catalog over listers that the test fills."""

    def __init__(self, *objects: Object) -> None:
        self.claims, self.volumes, self.classes = Lister(), Lister(), Lister()
        self.volumes.add_index("class", lambda pv: (class_name(pv),))
        for each in classes():
            self.classes.put(each)
        for each in objects:
            (self.claims if each["metadata"].get("namespace") else self.volumes).put(each)
        self.catalog = VolumeCatalog(self.claims, self.volumes, self.classes)

    def cluster(self, *nodes: Object) -> Cluster:
        return Cluster(*(nodes or (node("n1", zone="a"), node("n2", zone="b"))), volumes=self.catalog)


def using(*claims: str, name: str = "p") -> Object:
    return pod(name, volumes=[{"name": c, "persistentVolumeClaim": {"claimName": c}} for c in claims])


def plan(cluster: Cluster, wanted: Object) -> tuple[str, Plan]:
    info = cluster.info(wanted)
    result = cluster.algorithm.schedule(info)
    assert isinstance(result, Placement), result
    return result.node, plan_for(cluster.algorithm.cycle(info), result.row)


@pytest.mark.parametrize(
    ("objects", "reason"),
    [
        ([], 'persistentvolumeclaim "c" not found'),
        ([claim("c", IMMEDIATE)], "pod has unbound immediate PersistentVolumeClaims"),
        ([claim("c", "")], "pod has unbound immediate PersistentVolumeClaims"),
        (
            [claim("c") | {"status": {"phase": "Lost"}}],
            'persistentvolumeclaim "c" bound to non-existent persistentvolume ""',
        ),
    ],
)
def test_refused_whatever_the_node(objects: list[Object], reason: str) -> None:
    assert Storage(*objects).cluster().reasons(using("c")) == {reason: 2}


def test_a_claim_that_is_being_deleted() -> None:
    dying = claim("c")
    dying["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert Storage(dying).cluster().reasons(using("c")) == {'persistentvolumeclaim "c" is being deleted': 2}


def test_ephemeral_volumes_wait_for_their_claim_and_check_its_owner() -> None:
    wanted = pod(volumes=[{"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}}])
    reason = 'waiting for ephemeral volume controller to create the persistentvolumeclaim "p-scratch"'
    assert Storage().cluster().reasons(wanted) == {reason: 2}
    foreign = claim("p-scratch")
    reason = "PVC default/p-scratch was not created for pod default/p (pod is not owner)"
    assert Storage(foreign).cluster().reasons(wanted) == {reason: 2}
    foreign["metadata"]["ownerReferences"] = [{"controller": True, "uid": "uid-default-p"}]
    assert Storage(foreign).cluster().reasons(wanted) == {}


def test_a_bound_volume_ties_the_pod_to_its_nodes() -> None:
    storage = Storage(claim("c", volume="v"), volume("v", on="n2"))
    cluster = storage.cluster()
    assert cluster.feasible(using("c")) == {"n2"}
    assert plan(cluster, using("c")) == ("n2", Plan())
    storage.volumes.remove("v")
    gone = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
    assert cluster.reasons(using("c")) == {gone: 2}
    storage.volumes.put(volume("v", on="n3"))
    assert cluster.reasons(using("c")) == {"node(s) didn't match PersistentVolume's node affinity": 2}


def test_provisioning_is_asked_for_on_the_chosen_node() -> None:
    assert plan(Storage(claim("c")).cluster(node("n1")), using("c")) == ("n1", Plan(provision=("default/c",)))


def test_allowed_topologies() -> None:
    assert Storage(claim("c", "zonal")).cluster().feasible(using("c")) == {"n1"}


def test_a_claim_promised_to_a_node_stays_there() -> None:
    storage = Storage(claim("c"))
    cluster = storage.cluster()
    promise = Plan(provision=("default/c",))
    storage.catalog.reserve(promise, "n2")
    assert cluster.feasible(using("c")) == {"n2"}
    storage.catalog.release(promise)
    assert cluster.feasible(using("c")) == {"n1", "n2"}


def test_the_smallest_volume_that_suffices() -> None:
    volumes = [volume("small", "500Mi"), volume("large", "10Gi"), volume("right", "2Gi")]
    storage = Storage(claim("c", MANUAL), *volumes)
    assert plan(storage.cluster(), using("c"))[1] == Plan(bind=(("default/c", "right"),))


@pytest.mark.parametrize(
    "change",
    [
        {"status": {"phase": "Released"}},
        {"spec": {"accessModes": ["ReadOnlyMany"]}},
        {"spec": {"volumeMode": "Block"}},
        {"spec": {"capacity": {"storage": "1Mi"}}},
        {"spec": {"storageClassName": "other"}},
        {"spec": {"claimRef": {"namespace": "default", "name": "other"}}},
        {"spec": {"claimRef": {"namespace": "default", "name": "c", "uid": "an older one"}}},
    ],
)
def test_volumes_that_do_not_match(change: Object) -> None:
    offered = volume("v")
    for part, fields in change.items():
        offered[part] |= fields
    reasons = Storage(claim("c", MANUAL), offered).cluster().reasons(using("c"))
    assert reasons == {"node(s) didn't find available persistent volumes to bind": 2}


def test_a_volume_kept_for_the_claim_wins() -> None:
    kept = volume("kept", "10Gi", claimRef={"namespace": "default", "name": "c"})
    storage = Storage(claim("c", MANUAL), volume("v"), kept)
    assert plan(storage.cluster(), using("c"))[1].bind == (("default/c", "kept"),)


def test_a_volume_promised_to_another_claim_is_taken() -> None:
    storage = Storage(claim("c", MANUAL), volume("v"))
    storage.catalog.reserve(Plan(bind=(("default/other", "v"),)), "n1")
    assert storage.cluster().feasible(using("c")) == set()


def test_two_claims_need_two_volumes_on_one_node() -> None:
    storage = Storage(
        claim("c", MANUAL), claim("d", MANUAL), volume("v1", on="n1"), volume("w1", on="n1"), volume("v2", on="n2")
    )
    node_name, made = plan(storage.cluster(), using("c", "d"))
    assert node_name == "n1"
    assert {v for _, v in made.bind} == {"v1", "w1"}


def test_read_write_once_pod() -> None:
    storage = Storage(claim("c", volume="v", accessModes=["ReadWriteOncePod"]), volume("v"))
    cluster = storage.cluster()
    running = using("c", name="r")
    running["spec"]["nodeName"] = "n1"
    (holder,) = cluster.run(running)
    reason = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
    assert cluster.reasons(using("c")) == {reason: 2}
    cluster.snapshot.remove_pod(holder)
    assert cluster.reasons(using("c")) == {}


def test_zones_of_a_bound_volume() -> None:
    zoned = volume("v")
    zoned["metadata"]["labels"] = {ZONE: "b__c"}
    cluster = Storage(claim("c", volume="v"), zoned).cluster()
    assert cluster.feasible(using("c")) == {"n2"}


async def test_binding_waits_until_claims_are_bound() -> None:
    storage = Storage(claim("c"))
    waiting = asyncio.ensure_future(_all_bound(Plan(provision=("default/c",)), storage.catalog, ["default/c"], "n1"))
    await asyncio.sleep(0)
    selected = claim("c")
    selected["metadata"]["annotations"] = {SELECTED_NODE: "n1"}
    storage.claims.put(selected)
    storage.catalog.notify()
    await asyncio.sleep(0)
    assert not waiting.done()
    storage.claims.put(claim("c", volume="v"))
    storage.catalog.notify()
    await asyncio.wait_for(waiting, 1)


async def test_a_provisioner_that_refuses_takes_the_node_off_the_claim() -> None:
    storage = Storage(claim("c"))
    selected = claim("c")
    selected["metadata"]["annotations"] = {SELECTED_NODE: "n1"}
    storage.claims.put(selected)
    waiting = asyncio.ensure_future(_all_bound(Plan(provision=("default/c",)), storage.catalog, ["default/c"], "n1"))
    await asyncio.sleep(0)
    storage.claims.put(claim("c"))
    storage.catalog.notify()
    with pytest.raises(VolumesNotBound, match='provisioning failed for PVC "c"'):
        await asyncio.wait_for(waiting, 1)
