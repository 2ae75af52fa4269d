"""The claims of generic ephemeral volumes, on a fake API."""

from __future__ import annotations

from typing import Any

from api import resources
from api.types import Object
from controllers.volumes.ephemeral import EphemeralVolumes
from tests.unit.cloud.fakeapi import Rig
from tests.unit.cloud.objects import claim

PVCS, PODS = resources.PERSISTENTVOLUMECLAIMS, resources.PODS
SPEC: Object = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


def pod(*volumes: str, uid: str = "uid-of-app", **metadata: Any) -> Object:
    template = {"metadata": {"labels": {"tier": "scratch"}, "annotations": {"note": "x"}}, "spec": SPEC}
    ephemeral: list[Object] = [{"name": v, "ephemeral": {"volumeClaimTemplate": template}} for v in volumes]
    others: list[Object] = [{"name": "c", "persistentVolumeClaim": {"claimName": "c"}}, {"name": "e", "emptyDir": {}}]
    metadata = {"name": "app", "namespace": "default", "uid": uid, **metadata}
    return {"metadata": metadata, "spec": {"containers": [], "volumes": others + ephemeral}}


def claims(rig: Rig) -> list[str]:
    return sorted(c["metadata"]["name"] for c in rig.api.all(PVCS))


async def test_each_generic_ephemeral_volume_gets_a_claim_made_from_its_template_and_owned_by_the_pod() -> None:
    rig = Rig()
    async with rig.running(EphemeralVolumes):
        rig.api.put(PODS, pod("a", "b"))
        await rig.settle()
        assert claims(rig) == ["app-a", "app-b"]
        made = rig.api.find(PVCS, "default/app-a")
        assert made and made["spec"] == SPEC
        assert (made["metadata"]["labels"], made["metadata"]["annotations"]) == ({"tier": "scratch"}, {"note": "x"})
        owner = {"apiVersion": "v1", "kind": "Pod", "name": "app", "uid": "uid-of-app"}
        assert made["metadata"]["ownerReferences"] == [{**owner, "controller": True, "blockOwnerDeletion": True}]


async def test_a_claim_that_is_not_the_pods_is_refused_and_replaced_when_it_goes() -> None:
    rig = Rig()
    rig.api.put(PVCS, claim("app-a"))
    async with rig.running(EphemeralVolumes):
        rig.api.put(PODS, pod("a", "b"))
        await rig.settle()
        assert claims(rig) == ["app-a", "app-b"]
        why = 'PVC "default/app-a" was not created for pod "default/app" (pod is not owner)'
        assert rig.events.seen == [("Warning", "FailedBinding", f"ephemeral volume a: {why}")]
        foreign = rig.api.find(PVCS, "default/app-a")
        assert foreign and "ownerReferences" not in foreign["metadata"]
        await rig.api.delete(PVCS, "app-a", "default")
        await rig.settle()
        made = rig.api.find(PVCS, "default/app-a")
        assert made and made["metadata"]["ownerReferences"][0]["uid"] == "uid-of-app"


async def test_the_claim_of_an_earlier_pod_of_that_name_is_not_taken_over() -> None:
    rig = Rig()
    async with rig.running(EphemeralVolumes):
        rig.api.put(PODS, pod("a", uid="uid-of-the-first"))
        await rig.settle()
        rig.api.put(PODS, pod("a", uid="uid-of-the-second"))
        await rig.settle()
        assert rig.events.reasons == ["FailedBinding"]
        kept = rig.api.find(PVCS, "default/app-a")
        assert kept and kept["metadata"]["ownerReferences"][0]["uid"] == "uid-of-the-first"


async def test_a_claim_made_behind_the_caches_back_is_looked_at_again() -> None:
    rig = Rig()
    async with rig.running(EphemeralVolumes):
        rig.api._objects[PVCS.plural, "default/app-a"] = claim("app-a")
        rig.api.put(PODS, pod("a"))
        await rig.settle()
        assert rig.events.seen == [], "the cache does not know that claim yet"
        rig.api.put(PVCS, claim("app-a"))
        await rig.clock.advance(60)
        await rig.settle()
        assert rig.events.reasons == ["FailedBinding"]


async def test_pods_that_are_leaving_get_no_claims() -> None:
    rig = Rig()
    async with rig.running(EphemeralVolumes):
        leaving: dict[str, Any] = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x/y"]}
        rig.api.put(PODS, pod("a", **leaving))
        await rig.settle()
        assert claims(rig) == []
