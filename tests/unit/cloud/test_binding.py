"""Claims and volumes: matching as a table, then whole lives on a fake API."""

from __future__ import annotations

from typing import Any

import pytest

from api import resources
from api.types import Object
from controllers.volumes.binder import VolumeBinder
from controllers.volumes.matching import best, mismatch
from controllers.volumes.protection import ClaimProtection, VolumeProtection
from tests.unit.cloud.fakeapi import Rig
from tests.unit.cloud.objects import claim, pod, storage_class, volume

PVCS, PVS = resources.PERSISTENTVOLUMECLAIMS, resources.PERSISTENTVOLUMES


@pytest.mark.parametrize(
    ("wanted", "offered", "why"),
    [
        ({}, {}, ""),
        ({"size": "2Gi"}, {}, "too small"),
        ({"cls": "fast"}, {}, "storageClassName"),
        ({"cls": ""}, {"cls": ""}, ""),
        ({"volumeMode": "Block"}, {}, "volumeMode"),
        ({"accessModes": ["ReadWriteMany"]}, {}, "accessMode"),
        ({}, {"accessModes": ["ReadWriteMany", "ReadWriteOnce"]}, ""),
    ],
)
def test_mismatch(wanted: dict[str, Any], offered: dict[str, Any], why: str) -> None:
    assert why in mismatch(claim(**wanted), volume(**offered))
    assert bool(mismatch(claim(**wanted), volume(**offered))) == bool(why)


def test_the_smallest_volume_that_is_large_enough_is_best() -> None:
    offered = [volume("big", "10Gi"), volume("small", "500Mi"), volume("right", "2Gi")]
    chosen = best(claim(size="1Gi"), offered)
    assert chosen is not None
    assert chosen["metadata"]["name"] == "right"


def test_a_volume_kept_for_the_claim_comes_before_all_others() -> None:
    kept = volume("kept", "10Gi", claimRef={"namespace": "default", "name": "data"})
    other = volume("other", "1Gi", claimRef={"namespace": "default", "name": "else"})
    assert best(claim(), [volume("free"), other, kept]) == kept
    assert best(claim(), [volume("free"), other, kept], prebound_only=True) == kept
    assert best(claim(), [volume("free"), other], prebound_only=True) is None


def test_a_volume_of_a_former_claim_with_the_same_name_is_not_free() -> None:
    assert best(claim(), [volume(claimRef={"namespace": "default", "name": "data", "uid": "another"})]) is None


def test_selectors() -> None:
    labelled = volume("labelled")
    labelled["metadata"]["labels"] = {"tier": "gold"}
    wanted = claim(selector={"matchLabels": {"tier": "gold"}})
    assert best(wanted, [volume("plain"), labelled]) == labelled


def phase(rig: Rig, resource: Any, key: str) -> str:
    found = rig.api.find(resource, key)
    return found["status"]["phase"] if found else "gone"


async def test_a_static_volume_is_bound_and_released() -> None:
    rig = Rig()
    async with rig.running(VolumeBinder):
        rig.api.put(PVS, volume())
        await rig.settle()
        assert phase(rig, PVS, "pv") == "Available"
        rig.api.put(PVCS, claim())
        await rig.settle()
        bound, kept = rig.api.find(PVCS, "default/data"), rig.api.find(PVS, "pv")
        assert bound and kept
        assert (bound["status"]["phase"], kept["status"]["phase"]) == ("Bound", "Bound")
        assert bound["status"]["capacity"] == {"storage": "1Gi"}
        assert bound["spec"]["volumeName"] == "pv"
        assert kept["spec"]["claimRef"]["uid"] == "uid-of-data"
        assert bound["metadata"]["annotations"]["pv.kubernetes.io/bind-completed"] == "yes"
        await rig.api.delete(PVCS, "data", "default")
        await rig.settle()
        assert phase(rig, PVS, "pv") == "Released"
        rig.api.put(PVCS, claim("data2"))
        await rig.settle()
        assert phase(rig, PVCS, "default/data2") == "Pending"


async def test_nothing_is_written_when_nothing_changes() -> None:
    rig = Rig()
    async with rig.running(VolumeBinder):
        rig.api.put(PVS, volume())
        rig.api.put(PVCS, claim())
        await rig.settle()
        writes = rig.api.writes
        await rig.clock.advance(60)
        await rig.settle()
        assert rig.api.writes == writes


async def test_two_claims_never_share_a_volume() -> None:
    rig = Rig()
    async with rig.running(VolumeBinder):
        for name in ("a", "b", "c"):
            rig.api.put(PVCS, claim(name))
        rig.api.put(PVS, volume())
        await rig.settle()
        await rig.clock.advance(30)
        await rig.settle()
        phases = sorted(phase(rig, PVCS, f"default/{n}") for n in ("a", "b", "c"))
        assert phases == ["Bound", "Pending", "Pending"]


async def test_a_claim_that_names_its_volume() -> None:
    rig = Rig()
    async with rig.running(VolumeBinder):
        rig.api.put(PVS, volume("small", "1Mi"))
        rig.api.put(PVCS, claim(volumeName="small"))
        await rig.settle()
        assert "VolumeMismatch" in rig.events.reasons
        rig.api.put(PVCS, claim("other", volumeName="later"))
        rig.api.put(PVS, volume("later"))
        await rig.settle()
        assert phase(rig, PVCS, "default/other") == "Bound"


async def test_a_volume_written_for_a_claim_waits_for_it() -> None:
    rig = Rig()
    async with rig.running(VolumeBinder):
        rig.api.put(PVS, volume(claimRef={"namespace": "default", "name": "data"}))
        await rig.settle()
        assert phase(rig, PVS, "pv") == "Available"
        rig.api.put(PVCS, claim())
        await rig.settle()
        assert phase(rig, PVS, "pv") == phase(rig, PVCS, "default/data") == "Bound"


async def test_a_claim_without_a_class_gets_the_default_one_and_a_provisioner() -> None:
    rig = Rig()
    rig.api.put(resources.STORAGECLASSES, storage_class(default=True))
    async with rig.running(VolumeBinder):
        rig.api.put(PVCS, claim(cls=None))
        await rig.settle()
        found = rig.api.find(PVCS, "default/data")
        assert found
        assert found["spec"]["storageClassName"] == "standard"
        assert found["metadata"]["annotations"]["volume.kubernetes.io/storage-provisioner"] == "disk.cloudlet.dev"
        assert "ExternalProvisioning" in rig.events.reasons


async def test_a_claim_that_waits_for_its_pod_is_left_alone_until_a_node_is_chosen() -> None:
    rig = Rig()
    rig.api.put(resources.STORAGECLASSES, storage_class(mode="WaitForFirstConsumer"))
    rig.api.put(PVS, volume())
    async with rig.running(VolumeBinder):
        rig.api.put(PVCS, claim(size="5Gi"))
        await rig.settle()
        assert rig.events.reasons[-1] == "WaitForFirstConsumer"
        chosen = claim(size="5Gi")
        chosen["metadata"]["annotations"] = {"volume.kubernetes.io/selected-node": "n1"}
        rig.api.put(PVCS, chosen)
        await rig.settle()
        found = rig.api.find(PVCS, "default/data")
        assert found
        assert "volume.kubernetes.io/storage-provisioner" in found["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("cls", "reason"), [("", "FailedBinding"), ("missing", "ProvisioningFailed"), ("static", "FailedBinding")]
)
async def test_why_a_claim_waits(cls: str, reason: str) -> None:
    rig = Rig()
    rig.api.put(resources.STORAGECLASSES, {**storage_class("static"), "provisioner": "kubernetes.io/no-provisioner"})
    async with rig.running(VolumeBinder):
        rig.api.put(PVCS, claim(cls=cls))
        await rig.settle()
        assert rig.events.reasons == [reason]
        assert phase(rig, PVCS, "default/data") == "Pending"


async def test_a_bound_claim_whose_volume_vanishes_is_lost() -> None:
    rig = Rig()
    async with rig.running(VolumeBinder):
        rig.api.put(PVS, volume())
        rig.api.put(PVCS, claim())
        await rig.settle()
        await rig.api.delete(PVS, "pv")
        await rig.settle()
        assert phase(rig, PVCS, "default/data") == "Lost"
        assert "ClaimLost" in rig.events.reasons


def deleting(rig: Rig, key: str) -> Object | None:
    found = rig.api.find(PVCS, key)
    return found if found and found["metadata"].get("deletionTimestamp") else None


async def test_a_claim_in_use_outlives_its_deletion_until_the_pod_has_gone() -> None:
    rig = Rig()
    async with rig.running(ClaimProtection, VolumeProtection):
        rig.api.put(PVCS, claim())
        rig.api.put(resources.PODS, pod())
        await rig.settle()
        await rig.api.delete(PVCS, "data", "default")
        await rig.settle()
        assert deleting(rig, "default/data")
        await rig.api.delete(resources.PODS, "app", "default")
        await rig.settle()
        assert rig.api.find(PVCS, "default/data") is None


@pytest.mark.parametrize("user", [pod(node=""), pod(phase="Succeeded"), pod("app", "n1", "other")])
async def test_a_claim_that_nobody_uses_goes_at_once(user: Object) -> None:
    rig = Rig()
    async with rig.running(ClaimProtection):
        rig.api.put(PVCS, claim())
        rig.api.put(resources.PODS, user)
        await rig.settle()
        await rig.api.delete(PVCS, "data", "default")
        await rig.settle()
        assert rig.api.find(PVCS, "default/data") is None


async def test_a_bound_volume_outlives_its_deletion() -> None:
    rig = Rig()
    async with rig.running(VolumeProtection):
        bound = volume()
        bound["status"]["phase"] = "Bound"
        rig.api.put(PVS, bound)
        await rig.settle()
        await rig.api.delete(PVS, "pv")
        await rig.settle()
        found = rig.api.find(PVS, "pv")
        assert found
        found["status"]["phase"] = "Released"
        rig.api.put(PVS, found)
        await rig.settle()
        assert rig.api.find(PVS, "pv") is None
