"""Disks: attached where needed, never in two places, deleted only when nobody has them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from api import resources
from api.types import Object
from api.volumes import attachment_name
from controllers.cloud.attacher import Attacher
from controllers.cloud.local.disks import LocalDisks
from controllers.cloud.provider import CloudError, DiskBusy
from controllers.cloud.provisioner import Provisioner, objection, quantity_of
from controllers.volumes.attach_detach import FORCE_DETACH_SECONDS, AttachDetach, plan
from controllers.volumes.binder import VolumeBinder
from controllers.volumes.protection import ClaimProtection, VolumeProtection
from tests.unit.cloud.fakeapi import Rig
from tests.unit.cloud.fakes import FakeLoops
from tests.unit.cloud.objects import DRIVER, claim, disk, node, pod, storage_class

PVCS, PVS, VAS = resources.PERSISTENTVOLUMECLAIMS, resources.PERSISTENTVOLUMES, resources.VOLUMEATTACHMENTS
UNIQUE = f"kubernetes.io/csi/{DRIVER}^pv"


@pytest.fixture
def loops() -> FakeLoops:
    return FakeLoops()


@pytest.fixture
def disks(tmp_path: Path, loops: FakeLoops) -> LocalDisks:
    return LocalDisks(tmp_path / "disks", loops, lambda node: node != "far")


async def test_a_disk_is_a_sparse_file_of_the_size_asked_for(disks: LocalDisks, tmp_path: Path) -> None:
    assert await disks.create("pvc-1", 1 << 30) == ("pvc-1", 1 << 30)
    found = (tmp_path / "disks" / "pvc-1.img").stat()
    assert (found.st_size, found.st_blocks) == (1 << 30, 0)
    assert found.st_mode & 0o077 == 0


async def test_small_and_odd_sizes_are_rounded_up(disks: LocalDisks) -> None:
    assert (await disks.create("a", 1))[1] == 16 << 20
    assert (await disks.create("b", (32 << 20) + 1))[1] == (32 << 20) + 4096


async def test_creating_twice_keeps_the_data(disks: LocalDisks, tmp_path: Path) -> None:
    await disks.create("a", 32 << 20)
    (tmp_path / "disks" / "a.img").write_bytes(b"precious")
    await disks.create("a", 32 << 20)
    assert (tmp_path / "disks" / "a.img").read_bytes() == b"precious"


async def test_more_than_there_can_be_is_refused(disks: LocalDisks) -> None:
    with pytest.raises(CloudError, match="more than the filesystem"):
        await disks.create("a", 1 << 60)


@pytest.mark.parametrize("name", ["../x", "a/b", "", "-a", "a..b", "A"])
async def test_names_cannot_leave_the_directory(disks: LocalDisks, name: str) -> None:
    with pytest.raises(CloudError, match="no name of a disk"):
        await disks.create(name, 1)


async def test_attaching_again_gives_the_same_device_and_another_node_none(disks: LocalDisks) -> None:
    await disks.create("a", 1)
    device = await disks.attach("a", "n1")
    assert await disks.attach("a", "n1") == device
    with pytest.raises(CloudError, match="attached to node n1"):
        await disks.attach("a", "n2")
    assert await disks.attach("a", "n2", shared=True) == device
    await disks.detach("a", "n1")
    assert await disks.attach("a", "n2") == device


async def test_a_disk_moves_once_it_is_detached(disks: LocalDisks, loops: FakeLoops) -> None:
    await disks.create("a", 1)
    await disks.attach("a", "n1")
    await disks.detach("a", "n1")
    assert loops.devices == {}
    await disks.detach("a", "n1")
    assert await disks.attach("a", "n2")


async def test_a_mounted_disk_is_not_let_go(disks: LocalDisks, loops: FakeLoops) -> None:
    await disks.create("a", 1)
    loops.busy.add(await disks.attach("a", "n1"))
    with pytest.raises(DiskBusy, match="still mounted"):
        await disks.detach("a", "n1")
    with pytest.raises(CloudError, match="attached to node n1"):
        await disks.attach("a", "n2")


async def test_an_attached_disk_is_not_deleted(disks: LocalDisks) -> None:
    await disks.create("a", 1)
    await disks.attach("a", "n1")
    with pytest.raises(DiskBusy):
        await disks.delete("a")
    await disks.detach("a", "n1")
    await disks.delete("a")
    await disks.delete("a")
    with pytest.raises(CloudError, match="there is no disk"):
        await disks.attach("a", "n1")


async def test_after_a_reboot_the_record_is_there_and_the_device_is_not(disks: LocalDisks, loops: FakeLoops) -> None:
    await disks.create("a", 1)
    await disks.attach("a", "n1")
    loops.devices.clear()
    assert await disks.attach("a", "n2")
    with pytest.raises(CloudError):
        await disks.attach("a", "n1")


async def test_a_node_elsewhere_cannot_have_the_disk(disks: LocalDisks) -> None:
    await disks.create("a", 1)
    with pytest.raises(CloudError, match="not on this machine"):
        await disks.attach("a", "far")


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


ALL = (VolumeBinder, ClaimProtection, VolumeProtection, AttachDetach)


async def test_the_whole_life_of_a_disk(disks: LocalDisks, loops: FakeLoops, tmp_path: Path) -> None:
    rig = Rig()
    rig.api.put(resources.STORAGECLASSES, storage_class())
    for name in ("n1", "n2"):
        rig.api.put(resources.NODES, node(name))
    async with rig.running(*ALL, partial(Provisioner, disks=disks), partial(Attacher, disks=disks)):
        rig.api.put(PVCS, claim())
        await rig.settle()
        bound = rig.api.find(PVCS, "default/data")
        assert bound
        assert (bound["status"]["phase"], bound["spec"]["volumeName"]) == ("Bound", "pvc-uid-of-data")
        rig.api.put(resources.PODS, pod("app", "n1"))
        await rig.settle()
        name = attachment_name(DRIVER, "pvc-uid-of-data", "n1")
        held = rig.api.find(VAS, name)
        assert held
        assert held["status"] == {"attached": True, "attachmentMetadata": {"devicePath": "/dev/loop0"}}
        n1 = rig.api.find(resources.NODES, "n1")
        assert n1
        assert n1["status"]["volumesAttached"][0]["devicePath"] == "/dev/loop0"
        # The pod moves: its disk follows once the first node has let go.
        loops.busy.add("/dev/loop0")
        rig.api.put(resources.NODES, node("n1", in_use=(f"kubernetes.io/csi/{DRIVER}^pvc-uid-of-data",)))
        await rig.api.delete(resources.PODS, "app", "default")
        rig.api.put(resources.PODS, pod("app2", "n2"))
        await rig.settle()
        assert "FailedAttachVolume" in rig.events.reasons
        assert len(loops.devices) == 1
        loops.busy.clear()
        rig.api.put(resources.NODES, node("n1"))
        await rig.settle()
        await rig.clock.advance(10)
        await rig.settle()
        (only,) = rig.api.all(VAS)
        assert only["spec"]["nodeName"] == "n2"
        assert only["status"]["attached"] is True
        # Claim and pod go, and with them volume, device and file.
        await rig.api.delete(PVCS, "data", "default")
        await rig.api.delete(resources.PODS, "app2", "default")
        for _ in range(5):
            await rig.settle()
            await rig.clock.advance(10)
        assert rig.api.all(VAS) == rig.api.all(PVS) == rig.api.all(PVCS) == []
        assert loops.devices == {}
        assert list((tmp_path / "disks").iterdir()) == []


async def test_a_retained_disk_keeps_its_file(disks: LocalDisks, tmp_path: Path) -> None:
    rig = Rig()
    rig.api.put(resources.STORAGECLASSES, storage_class(reclaimPolicy="Retain"))
    async with rig.running(VolumeBinder, VolumeProtection, partial(Provisioner, disks=disks)):
        rig.api.put(PVCS, claim())
        await rig.settle()
        await rig.api.delete(PVCS, "data", "default")
        await rig.settle()
        (kept,) = rig.api.all(PVS)
        assert kept["status"]["phase"] == "Released"
        await rig.api.delete(PVS, kept["metadata"]["name"])
        await rig.settle()
        await rig.clock.advance(10)
        assert rig.api.all(PVS) == []
        assert [p.suffix for p in (tmp_path / "disks").iterdir()] == [".img"]


async def test_a_claim_that_cannot_be_served_says_why(disks: LocalDisks) -> None:
    rig = Rig()
    rig.api.put(resources.STORAGECLASSES, storage_class())
    async with rig.running(VolumeBinder, partial(Provisioner, disks=disks)):
        rig.api.put(PVCS, claim(accessModes=["ReadWriteMany"]))
        rig.api.put(PVCS, claim("huge", size="1Ei"))
        await rig.settle()
        messages = [m for _, reason, m in rig.events.seen if reason == "ProvisioningFailed"]
        assert any("ReadWriteMany" in m for m in messages)
        assert any("more than the filesystem" in m for m in messages)
        assert rig.api.all(PVS) == []


async def test_a_node_that_died_with_a_disk_loses_it_after_six_minutes(disks: LocalDisks) -> None:
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


async def test_an_attachment_that_fails_says_so_and_is_tried_again(disks: LocalDisks) -> None:
    rig = Rig()
    rig.api.put(resources.NODES, node("n1"))
    rig.api.put(PVS, disk(claimRef={"namespace": "default", "name": "data", "uid": "uid-of-data"}))
    rig.api.put(PVCS, claim(volumeName="pv"))
    async with rig.running(AttachDetach, partial(Attacher, disks=disks)):
        rig.api.put(resources.PODS, pod())
        await rig.settle()
        (held,) = rig.api.all(VAS)
        assert "there is no disk pv" in held["status"]["attachError"]["message"]
        await disks.create("pv", 1)
        await rig.clock.advance(60)
        await rig.settle()
        (held,) = rig.api.all(VAS)
        assert held["status"]["attached"] is True
        assert "attachError" not in held["status"]
