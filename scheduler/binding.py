"""Writing decisions to the API: volumes first, then the Binding; for pods without a node the condition; victims' evictions."""

from __future__ import annotations

import asyncio

import structlog

from api import resources, timestamp
from api.errors import NotFound
from api.meta import annotations as notes_of
from api.meta import get_condition, split_key
from api.types import Object
from client.rest import ApiClient
from scheduler.podinfo import PodInfo
from scheduler.volumes import BOUND_BY_CONTROLLER, SELECTED_NODE, Plan, VolumeCatalog, is_bound

BIND_TIMEOUT_SECONDS = 600.0


class VolumesNotBound(Exception):
    """The claims of a pod were not bound in time, or the provisioner gave up; the text says which."""


class PodWriter:
    """The calls that change pods, claims and volumes. Each raises ApiError; none is repeated here."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._log = structlog.get_logger("binding")

    async def bind(self, pod: PodInfo, node: str) -> None:
        """Assign a pod: the one write that makes a decision come true."""
        meta = pod.pod["metadata"]
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        await self._client.create(resources.PODS, binding, meta["namespace"], name=meta["name"], subresource="binding")

    async def node_of(self, pod: PodInfo) -> str | None:
        """Where the API says the pod is: empty for nowhere, None if it does not exist (any more)."""
        meta = pod.pod["metadata"]
        try:
            found = await self._client.get(resources.PODS, meta["name"], meta["namespace"])
        except NotFound:
            return None
        if found["metadata"].get("uid") != meta["uid"]:
            return None
        return str(found["spec"].get("nodeName") or "")

    async def set_condition(self, pod: Object, reason: str, message: str, nominated: str | None) -> None:
        """PodScheduled=False with its reason; `nominated` is the promised node, empty to clear it, None to leave it."""
        current = get_condition(pod, "PodScheduled") or {}
        status: Object = {}
        condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
        if any(current.get(k) != v for k, v in condition.items()):
            moved = current.get("status") != "False"
            condition["lastTransitionTime"] = timestamp.now() if moved else current["lastTransitionTime"]
            observed = (
                {"observedGeneration": pod["metadata"]["generation"]} if pod["metadata"].get("generation") else {}
            )
            status["conditions"] = [condition | observed]
        if nominated is not None and nominated != ((pod.get("status") or {}).get("nominatedNodeName") or ""):
            status["nominatedNodeName"] = nominated or None
        if status:
            await self._patch_status(pod, status)

    async def clear_nomination(self, pod: Object) -> None:
        """Take back the node a pod was promised."""
        await self._patch_status(pod, {"nominatedNodeName": None})

    async def evict(self, victim: PodInfo, preemptor: PodInfo) -> None:
        """Mark a victim and delete it with its own grace period; one that is gone already is fine."""
        who = preemptor.pod["spec"].get("schedulerName", "default-scheduler")
        meta = victim.pod["metadata"]
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "PreemptionByScheduler",
            "message": f"{who}: preempting to accommodate a higher priority pod",
            "lastTransitionTime": timestamp.now(),
        }
        try:
            await self._patch_status(victim.pod, {"conditions": [condition]})
            await self._client.delete(resources.PODS, meta["name"], meta["namespace"], uid=meta["uid"])
        except NotFound:
            return

    async def _patch_status(self, pod: Object, status: Object) -> None:
        meta = pod["metadata"]
        patch = {"metadata": {"uid": meta["uid"]}, "status": status}
        await self._client.patch(
            resources.PODS, meta["name"], patch, meta["namespace"], subresource="status", kind="strategic"
        )

    async def bind_volumes(self, plan: Plan, catalog: VolumeCatalog, claims: list[str], node: str) -> None:
        """Carry out a plan and wait until all `claims` (keys) are bound. Raises VolumesNotBound, ApiError."""
        for claim, volume in plan.bind:
            await self._claim_volume(claim, volume, catalog)
        for key in plan.provision:
            space, name = split_key(key)
            patch = {"metadata": {"annotations": {SELECTED_NODE: node}}}
            await self._client.patch(resources.PERSISTENTVOLUMECLAIMS, name, patch, space)
        try:
            async with asyncio.timeout(BIND_TIMEOUT_SECONDS):
                await _all_bound(plan, catalog, claims, node)
        except TimeoutError:
            raise VolumesNotBound("binding volumes: context deadline exceeded") from None

    async def _claim_volume(self, key: str, name: str, catalog: VolumeCatalog) -> None:
        volume, claim = catalog.volume(name), catalog.claim(*_pair(key))
        if volume is None or claim is None:
            raise VolumesNotBound(f"binding volumes: {name} or {key} is gone")
        reference = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "namespace": claim["metadata"]["namespace"],
            "name": claim["metadata"]["name"],
            "uid": claim["metadata"]["uid"],
            "resourceVersion": claim["metadata"].get("resourceVersion", ""),
        }
        meta = volume["metadata"]
        noted = {**notes_of(volume), BOUND_BY_CONTROLLER: "yes"}
        new = {**volume, "metadata": {**meta, "annotations": noted}, "spec": {**volume["spec"], "claimRef": reference}}
        # With the resourceVersion we saw: if the volume has changed since, the plan is void.
        await self._client.update(resources.PERSISTENTVOLUMES, new)


def _pair(key: str) -> tuple[str, str]:
    space, name = split_key(key)
    return space or "", name


async def _all_bound(plan: Plan, catalog: VolumeCatalog, claims: list[str], node: str) -> None:
    """Wait, woken by the informers; a claim that has lost its node is given up, its provisioner has refused."""
    chosen: set[str] = set()
    while True:
        waiting = []
        for key in claims:
            claim = catalog.claim(*_pair(key))
            if claim is None:
                raise VolumesNotBound(f'persistentvolumeclaim "{key}" not found')
            if is_bound(claim):
                continue
            waiting.append(key)
            if key in plan.provision:
                selected = (catalog.raw_claim(key) or claim)["metadata"].get("annotations") or {}
                if selected.get(SELECTED_NODE) == node:
                    chosen.add(key)
                elif key in chosen:
                    raise VolumesNotBound(f'provisioning failed for PVC "{key.rpartition("/")[2]}"')
        if not waiting:
            return
        await catalog.changed()
