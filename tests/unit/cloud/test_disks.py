"""Disks: made where their pod runs, and removed only once a node has said so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from api import meta, resources
from api.types import Object
from api.volumes import DISK_DRIVER, DISK_STORE, REMOVE, REMOVED, removal_annotation, removals
from client.controller import Context
from client.rest import ApiClient
from controllers.cloud.local.disks import LocalDisks
from controllers.cloud.provider import CloudError, Disk, DiskBusy
from controllers.cloud.provisioner import Provisioner, disk_of, objection, quantity_of, volume_for
from controllers.volumes.attach_detach import FORCE_DETACH_SECONDS, AttachDetach, plan
from controllers.volumes.binder import VolumeBinder
from controllers.volumes.protection import ClaimProtection, VolumeProtection
from kubelet.volumes.payload import VolumeFault
from kubelet.volumes.removal import Removals
from tests.unit.cloud.fakeapi import Rig
from tests.unit.cloud.objects import claim, disk, node, pod, storage_class

PVCS, PVS, VAS = resources.PERSISTENTVOLUMECLAIMS, resources.PERSISTENTVOLUMES, resources.VOLUMEATTACHMENTS
UNIQUE = f"kubernetes.io/csi/{DISK_DRIVER}^pv"


def keeper(name: str, store: str = "s1", *, storage: str = "10Gi", **more: Any) -> Object:
    """A node whose kubelet keeps disks in a folder."""
    found = node(name, **more)
    found["metadata"]["labels"] = {DISK_STORE: store}
    found["status"]["capacity"] = {"ephemeral-storage": storage}
    return found


class Cloud(Rig):
    """The provider's disks over a fake API."""

    def __init__(self, *nodes: Object) -> None:
        super().__init__()
        self.disks = LocalDisks(self.context)
        self.told: list[str] = []
        for one in nodes:
            self.api.put(resources.NODES, one)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        self.disks.follow(self.told.append)
        async with self.running():
            yield

    def provisioner(self, ctx: Context) -> Provisioner:
        return Provisioner(ctx, self.disks)

    def asked(self, name: str) -> dict[str, str]:
        found = self.api.find(resources.NODES, name)
        assert found
        return removals(found)

    async def answer(self, name: str, disk: str) -> None:
        said = {"metadata": {"annotations": {removal_annotation(disk): REMOVED}}}
        await self.api.patch(resources.NODES, name, said)
        await self.settle()


async def test_a_disk_can_be_used_where_its_pod_runs_and_by_the_nodes_of_the_same_folder() -> None:
    cloud = Cloud(keeper("n1"), keeper("n2", "s2"))
    async with cloud.at_work():
        assert await cloud.disks.create("pvc-1", 1 << 30, "n2") == Disk("pvc-1", 1 << 30, {DISK_STORE: "s2"})


async def test_small_and_odd_sizes_are_rounded_up() -> None:
    cloud = Cloud(keeper("n1"))
    async with cloud.at_work():
        assert (await cloud.disks.create("a", 1, "n1")).size == 16 << 20
        assert (await cloud.disks.create("b", (32 << 20) + 1, "n1")).size == (32 << 20) + 4096


async def test_more_than_the_node_has_is_refused() -> None:
    cloud = Cloud(keeper("n1"))
    async with cloud.at_work():
        with pytest.raises(CloudError, match=r"more than the filesystem of node n1 has \(10Gi\)"):
            await cloud.disks.create("a", 1 << 40, "n1")


async def test_a_node_that_keeps_no_disks_gets_none() -> None:
    cloud = Cloud(node("n1"), keeper("n2", ready=False))
    async with cloud.at_work():
        for name in ("n1", "gone"):
            with pytest.raises(CloudError, match=f"node {name} keeps no disks"):
                await cloud.disks.create("a", 1, name)
        with pytest.raises(CloudError, match="no node that is Ready keeps disks"):
            await cloud.disks.create("a", 1, "")


async def test_disks_that_no_pod_waits_for_are_spread_and_stay_where_they_are() -> None:
    cloud = Cloud(keeper("n1", "s1"), keeper("n2", "s2"), keeper("n3", "s3", ready=False))
    async with cloud.at_work():
        made = {name: await cloud.disks.create(name, 1, "") for name in map(str, range(20))}
        assert {disk.topology[DISK_STORE] for disk in made.values()} == {"s1", "s2"}
        assert await cloud.disks.create("7", 1, "") == made["7"]


async def test_a_disk_has_gone_when_one_node_of_its_folder_says_so() -> None:
    cloud = Cloud(keeper("n1"), keeper("n2"), keeper("n3", "other"))
    async with cloud.at_work():
        disk = Disk("a", 1, {DISK_STORE: "s1"})
        for _ in range(2):
            with pytest.raises(DiskBusy, match="being removed by node n1, n2"):
                await cloud.disks.delete(disk)
        assert [cloud.asked(name) for name in ("n1", "n2", "n3")] == [{"a": REMOVE}, {"a": REMOVE}, {}]
        await cloud.settle()
        cloud.told.clear()
        await cloud.answer("n2", "a")
        assert cloud.told == ["a"]
        await cloud.disks.delete(disk)
        await cloud.disks.keep("a")
        assert [cloud.asked(name) for name in ("n1", "n2")] == [{}, {}]


async def test_a_node_that_is_gone_for_good_holds_nothing_up() -> None:
    cloud = Cloud(keeper("n1"))
    async with cloud.at_work():
        disk = Disk("a", 1, {DISK_STORE: "s1"})
        with pytest.raises(DiskBusy):
            await cloud.disks.delete(disk)
        await cloud.settle()
        cloud.told.clear()
        await cloud.api.delete(resources.NODES, "n1")
        await cloud.settle()
        assert "a" in cloud.told
        await cloud.disks.delete(disk)


async def test_a_volume_without_a_folder_is_nobodys_to_remove() -> None:
    cloud = Cloud(node("n1"))
    async with cloud.at_work():
        await cloud.disks.delete(Disk("a", 1))
        assert cloud.asked("n1") == {}


def test_a_volume_names_its_disk() -> None:
    made = Disk("pvc-1", 16 << 20, {DISK_STORE: "s1"})
    volume = volume_for(claim(), storage_class(), DISK_DRIVER, made)
    assert disk_of(volume) == made
    (term,) = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": DISK_STORE, "operator": "In", "values": ["s1"]}]


def attachment(where: str, *, deleted: bool = False) -> Object:
    meta: Object = {"name": f"va-{where}"} | ({"deletionTimestamp": "x"} if deleted else {})
    return {"metadata": meta, "spec": {"nodeName": where, "source": {"persistentVolumeName": "pv"}}}


@pytest.mark.parametrize(
    ("needed", "held", "nodes", "expected"),
    [
        (["n1"], [], [node("n1")], {"attach": ["n1"]}),
        (["n1"], [attachment("n1")], [node("n1")], {}),
        ([], [attachment("n1")], [node("n1")], {"detach": ["n1"]}),
        ([], [attachment("n1")], [node("n1", in_use=(UNIQUE,))], {"waiting": ["n1"]}),
        ([], [attachment("n1")], [], {"detach": ["n1"]}),
        (["n1"], [attachment("n1")], [], {"detach": ["n1"]}),
        ([], [attachment("n1", deleted=True)], [node("n1")], {}),
        (["n2"], [attachment("n1")], [node("n1"), node("n2")], {"detach": ["n1"], "blocked": ["n2"]}),
        (["n2"], [attachment("n1", deleted=True)], [node("n1"), node("n2")], {"blocked": ["n2"]}),
        (["n1", "n2"], [], [node("n1"), node("n2")], {"attach": ["n1"], "blocked": ["n2"]}),
        (
            [],
            [attachment("n1")],
            [node("n1", in_use=(UNIQUE,), taints=[{"key": "node.kubernetes.io/out-of-service"}])],
            {"detach": ["n1"]},
        ),
    ],
)
def test_plan(needed: list[str], held: list[Object], nodes: list[Object], expected: dict[str, list[str]]) -> None:
    found = plan(disk(), needed, held, {n["metadata"]["name"]: n for n in nodes})
    names = {
        "attach": found.attach,
        "blocked": found.blocked,
        "detach": [a["spec"]["nodeName"] for a in found.detach],
        "waiting": [a["spec"]["nodeName"] for a in found.waiting],
    }
    assert {k: v for k, v in names.items() if v} == expected


def test_plan_lets_shared_volumes_be_in_many_places() -> None:
    found = plan(disk(accessModes=["ReadWriteMany"]), ["n1", "n2"], [], {"n1": node("n1"), "n2": node("n2")})
    assert found.attach == ["n1", "n2"]


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({}, ""),
        ({"accessModes": ["ReadWriteMany"]}, "ReadWriteMany"),
        ({"accessModes": ["ReadWriteMany"], "volumeMode": "Block"}, ""),
        ({"dataSource": {"kind": "VolumeSnapshot", "name": "x"}}, "data source"),
        ({"selector": {"matchLabels": {"a": "b"}}}, "selector"),
    ],
)
def test_objections(spec: dict[str, Any], word: str) -> None:
    assert word in objection(claim(**spec))
    assert bool(word) == bool(objection(claim(**spec)))


@pytest.mark.parametrize(
    ("size", "text"), [(1 << 30, "1Gi"), (128 << 20, "128Mi"), (5 << 10, "5Ki"), (4097, "4097"), (3 << 40, "3Ti")]
)
def test_capacities_are_written_as_people_write_them(size: int, text: str) -> None:
    assert quantity_of(size) == text


class Files:
    """The images of a node; `busy` ones are mounted."""

    def __init__(self) -> None:
        self.busy: set[str] = set()
        self.removed: list[str] = []

    async def remove(self, disk: str) -> None:
        if disk in self.busy:
            raise VolumeFault("in use")
        self.removed.append(disk)


MADE = "pvc-uid-of-data"
CONTROLLERS = (VolumeBinder, ClaimProtection, VolumeProtection, AttachDetach)


@asynccontextmanager
async def cluster(cloud: Cloud, **more: Any) -> AsyncIterator[Files]:
    """All controllers of volumes, and what the kubelet of n1 has to do with disks."""
    files = Files()
    cloud.api.put(resources.STORAGECLASSES, storage_class(mode="WaitForFirstConsumer", **more))
    driver = {"metadata": {"name": DISK_DRIVER}, "spec": {"attachRequired": False}}
    cloud.api.put(resources.CSIDRIVERS, driver)
    kubelet = Removals(cast(ApiClient, cloud.api), "n1", files, cloud.clock)

    def seen(new: Object) -> None:
        if meta.name(new) == "n1":
            kubelet.seen(new)

    cloud.context.informers.informer(resources.NODES).add_handler(seen, lambda _, new: seen(new))
    work = asyncio.ensure_future(kubelet.run())
    try:
        async with cloud.running(*CONTROLLERS, cloud.provisioner):
            yield files
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def bound(cloud: Cloud) -> Object:
    """A claim whose pod the scheduler has sent to n1, and its volume."""
    chosen = claim()
    chosen["metadata"]["annotations"] = {"volume.kubernetes.io/selected-node": "n1"}
    cloud.api.put(PVCS, chosen)
    await cloud.settle()
    found, volume = cloud.api.find(PVCS, "default/data"), cloud.api.find(PVS, MADE)
    assert found and volume
    assert (found["status"]["phase"], found["spec"]["volumeName"]) == ("Bound", MADE)
    return volume


async def pass_time(cloud: Cloud) -> None:
    for _ in range(5):
        await cloud.settle()
        await cloud.clock.advance(20)


async def test_the_whole_life_of_a_disk() -> None:
    cloud = Cloud(keeper("n1"), keeper("n2", "s2"))
    async with cluster(cloud) as files:
        volume = await bound(cloud)
        assert disk_of(volume).topology == {DISK_STORE: "s1"}
        cloud.api.put(resources.PODS, pod("app", "n1"))
        await cloud.settle()
        assert cloud.api.all(VAS) == [], "nobody attaches it: the kubelet mounts it"
        # Claim and pod go; the kubelet cannot let go at once.
        files.busy.add(MADE)
        await cloud.api.delete(PVCS, "data", "default")
        await cloud.api.delete(resources.PODS, "app", "default")
        await pass_time(cloud)
        assert cloud.api.all(PVCS) == []
        assert cloud.asked("n1") == {MADE: REMOVE}
        (kept,) = cloud.api.all(PVS)
        assert kept["status"]["phase"] == "Released"
        files.busy.clear()
        await pass_time(cloud)
        assert files.removed == [MADE]
        assert cloud.api.all(PVS) == []
        assert cloud.asked("n1") == {}, "nothing stays at the node"


async def test_the_disk_of_a_node_that_is_away_goes_when_it_is_back_or_gone_for_good() -> None:
    cloud = Cloud(keeper("n1"))
    async with cluster(cloud) as files:
        await bound(cloud)
        files.busy.add(MADE)  # the kubelet does not answer
        await cloud.api.delete(PVCS, "data", "default")
        await pass_time(cloud)
        assert cloud.api.all(PVS)
        await cloud.api.delete(resources.NODES, "n1")
        await pass_time(cloud)
        assert cloud.api.all(PVS) == []


async def test_a_retained_disk_stays() -> None:
    cloud = Cloud(keeper("n1"))
    async with cluster(cloud, reclaimPolicy="Retain") as files:
        await bound(cloud)
        await cloud.api.delete(PVCS, "data", "default")
        await cloud.settle()
        (kept,) = cloud.api.all(PVS)
        assert kept["status"]["phase"] == "Released"
        await cloud.api.delete(PVS, kept["metadata"]["name"])
        await pass_time(cloud)
        assert cloud.api.all(PVS) == []
        assert files.removed == []


async def test_a_disk_that_is_to_stay_after_all_is_not_removed_later() -> None:
    cloud = Cloud(keeper("n1"))
    async with cluster(cloud) as files:
        await bound(cloud)
        files.busy.add(MADE)
        await cloud.api.delete(PVCS, "data", "default")
        await pass_time(cloud)
        assert cloud.asked("n1") == {MADE: REMOVE}
        await cloud.api.patch(PVS, MADE, {"spec": {"persistentVolumeReclaimPolicy": "Retain"}})
        await cloud.settle()
        assert cloud.asked("n1") == {}
        files.busy.clear()
        await pass_time(cloud)
        assert files.removed == []
        assert cloud.api.all(PVS)


async def test_what_an_earlier_leader_left_at_a_node_is_tidied_up() -> None:
    left = keeper("n1")
    left["metadata"]["annotations"] = {removal_annotation("long-gone"): REMOVED, "mine": "x"}
    cloud = Cloud(left)
    async with cluster(cloud):
        await cloud.settle()
        found = cloud.api.find(resources.NODES, "n1")
        assert found and meta.annotations(found) == {"mine": "x"}


async def test_a_claim_that_cannot_be_served_says_why() -> None:
    cloud = Cloud(keeper("n1"))
    cloud.api.put(resources.STORAGECLASSES, storage_class())
    async with cloud.running(VolumeBinder, cloud.provisioner):
        cloud.api.put(PVCS, claim(accessModes=["ReadWriteMany"]))
        cloud.api.put(PVCS, claim("huge", size="1Ei"))
        await cloud.settle()
        messages = [m for _, reason, m in cloud.events.seen if reason == "ProvisioningFailed"]
        assert any("ReadWriteMany" in m for m in messages)
        assert any("more than the filesystem" in m for m in messages)
        assert cloud.api.all(PVS) == []


async def test_a_node_that_died_with_a_disk_loses_it_after_six_minutes() -> None:
    rig = Rig()
    rig.api.put(resources.NODES, node("n1", ready=False, in_use=(UNIQUE,)))
    rig.api.put(PVS, disk())
    held = attachment("n1")
    held["spec"]["attacher"] = "another.driver"
    rig.api.put(VAS, held)
    async with rig.running(AttachDetach):
        await rig.clock.advance(FORCE_DETACH_SECONDS - 10)
        assert rig.api.all(VAS)
        await rig.clock.advance(20)
        await rig.settle()
        assert rig.api.all(VAS) == []
