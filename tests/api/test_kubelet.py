"""A kubelet over a fake engine and a real API server: static pods before there is an API, and what comes back after a reboot."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from api import meta, resources
from api.types import Object
from client.rest import ApiClient
from tests.api.cluster import Cluster
from tests.unit.kubelet.node import Node, manifest

NAME = "node-a"


@pytest.fixture
def own() -> Iterator[Cluster]:
    """An etcd that runs and a server that does not yet."""
    folder = Path(tempfile.mkdtemp(prefix="cloudlet-kubelet-"))
    cluster = Cluster(folder)
    try:
        cluster.start_etcd()
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def admin(own: Cluster) -> AsyncGenerator[ApiClient]:
    async with ApiClient.from_kubeconfig(own.kubeconfig()) as client:
        yield client


async def pod(client: ApiClient, name: str, namespace: str, test: Callable[[Object], object]) -> Object:
    """The pod as soon as `test` holds of it."""
    async with asyncio.timeout(40), aclosing(_pods(client, name, namespace)) as found:
        async for obj in found:
            if test(obj):
                return obj
    raise AssertionError("the watch ended")


async def _pods(client: ApiClient, name: str, namespace: str) -> AsyncGenerator[Object]:
    async for event in client.watch(
        resources.PODS, namespace, resource_version="0", field_selector=f"metadata.name={name}"
    ):
        if event["type"] in ("ADDED", "MODIFIED"):
            yield event["object"]


def ready(obj: Object) -> bool:
    condition = meta.get_condition(obj, "Ready")
    return condition is not None and condition["status"] == "True"


@pytest.mark.timeout(120)
async def test_node_and_mirror_pods_are_there_once_the_api_server_is(own: Cluster, admin: ApiClient) -> None:
    node = Node(own.folder, own.kubeconfig(NAME), NAME)
    node.write(manifest("etcd"))
    async with node.kubelet() as said:
        await node.until(lambda: said.is_ready and node.is_steady())
        await asyncio.to_thread(own.start_server)
        mirror = await pod(admin, f"etcd-{NAME}", "kube-system", ready)
        registered = await admin.get(resources.NODES, NAME)
        assert mirror["metadata"]["ownerReferences"][0]["uid"] == meta.uid(registered)
        (running,) = node.containers()
        assert mirror["status"]["containerStatuses"][0]["containerID"].endswith(running.id)
    before = list(node.engine.started)
    async with node.kubelet():
        await node.until(node.is_steady)
        again = await pod(admin, f"etcd-{NAME}", "kube-system", ready)
    assert meta.uid(again) == meta.uid(mirror) and node.engine.started == before


@pytest.mark.timeout(120)
async def test_after_a_reboot_all_pods_run_again(own: Cluster, admin: ApiClient) -> None:
    await asyncio.to_thread(own.start_server)
    node = Node(own.folder, own.kubeconfig(NAME), NAME)
    node.write(manifest("static"))
    await admin.create(resources.NAMESPACES, {"metadata": {"name": "space"}})
    await admin.create(resources.SERVICEACCOUNTS, {"metadata": {"name": "default"}}, "space")
    wanted = manifest("bound", host_network=False, nodeName=NAME, automountServiceAccountToken=False)
    await admin.create(resources.PODS, {**wanted, "metadata": {"name": "bound"}}, "space")
    async with node.kubelet():
        await _give_range(admin)
        await pod(admin, "bound", "space", ready)
        await pod(admin, f"static-{NAME}", "kube-system", ready)
    before = {s.name: node.engine.specs[s.id].binds[0] for s in node.containers()}
    node.reboot()
    async with node.kubelet():
        for name, space in (("bound", "space"), (f"static-{NAME}", "kube-system")):
            await pod(admin, name, space, lambda p: ready(p) and p["status"]["containerStatuses"][0]["restartCount"])
    after = {s.name: node.engine.specs[s.id].binds[0] for s in node.containers()}
    assert after == {f"{name[:-1]}1": bind for name, bind in before.items()} and len(after) == 2


async def _give_range(client: ApiClient) -> None:
    """What the IPAM controller does, once the node is there."""
    cidr = "10.97.41.0/24"
    async with asyncio.timeout(30), aclosing(client.watch(resources.NODES, resource_version="0")) as events:
        async for event in events:
            if event["type"] == "ADDED" and meta.name(event["object"]) == NAME:
                await client.patch(resources.NODES, NAME, {"spec": {"podCIDR": cidr, "podCIDRs": [cidr]}})
                return
