"""A worker that loses its power: its pods run elsewhere. How soon is printed, from the loss of power on."""

from __future__ import annotations

import asyncio
import json

import pytest

from api import meta, resources
from api.types import Object
from client.backoff import Backoff
from client.rest import ApiClient
from tests.e2e.manifests import IDLE, deployment, evicted_after
from tests.lab.provision import Provided

_REPLICAS, _TOLERATION_SECONDS = 6, 5
_SECONDS = 120.0
_WHOLE_SECONDS = 240.0


@pytest.mark.timeout(_WHOLE_SECONDS + 3 * _SECONDS)
async def test_pods_of_a_worker_without_power_run_elsewhere(lab: Provided) -> None:
    await lab.lab.whole(_WHOLE_SECONDS)
    wanted = json.loads(deployment("idle", lab.image, _REPLICAS, IDLE, tolerations=evicted_after(_TOLERATION_SECONDS)))
    dead = lab.lab.of("worker")[0]
    async with lab.lab.namespace("lab-dead") as namespace, lab.lab.client() as client:
        await client.create(resources.DEPLOYMENTS, wanted, namespace)
        await _ready(client, namespace, without="")
        there = [pod for pod in await _running(client, namespace) if pod["spec"]["nodeName"] == dead.name]
        assert there, "the scheduler has put none of the pods on this worker"
        began = lab.lab.clock.now()
        await dead.kill()
        try:
            await _ready(client, namespace, without=dead.name)
            seconds = lab.lab.clock.now() - began
        finally:
            await dead.start()
        print(
            f"\n{len(there)} pods of {dead.name} run elsewhere {seconds:.1f} s after it lost its power; "
            f"they tolerate {_TOLERATION_SECONDS} s"
        )
        await lab.lab.whole(_WHOLE_SECONDS)


async def _running(client: ApiClient, namespace: str) -> list[Object]:
    """The pods that are ready and not being deleted."""
    found = await client.list(resources.PODS, namespace)
    return [
        pod
        for pod in found["items"]
        if not pod["metadata"].get("deletionTimestamp")
        and (meta.get_condition(pod, "Ready") or {}).get("status") == "True"
    ]


async def _ready(client: ApiClient, namespace: str, *, without: str) -> None:
    """Return when every replica is ready on a node other than `without`. Raises TimeoutError."""
    backoff = Backoff(0.1, 0.3)
    async with asyncio.timeout(_SECONDS):
        while True:
            pods = await _running(client, namespace)
            if len([pod for pod in pods if pod["spec"].get("nodeName") != without]) >= _REPLICAS:
                return
            await asyncio.sleep(backoff.next())
