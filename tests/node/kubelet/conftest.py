"""One API server and one kubelet for all tests of the folder; a namespace per test."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import docker
import pytest

from api import resources
from api.errors import AlreadyExists
from client.rest import ApiClient
from kubelet.network import bridge_name
from kubelet.runtime import CLUSTER
from kubelet.settings import Settings
from tests import images
from tests.api.cluster import Cluster
from tests.node.kubelet.lab import Kubelet, Space, condition, is_root, issue_node

NODE = "node-a"
_CIDR = "10.97.40.0/24"
_numbers = itertools.count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not is_root() or not Path("/var/run/docker.sock").exists():
        for item in items:
            if "tests/node/kubelet" in str(item.path):
                item.add_marker(pytest.mark.skip("needs root and Docker"))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("kubelet"))
    issue_node(made, NODE)
    images.ensure_busybox()
    try:
        made.start()
        yield made
    finally:
        made.close()


def remove_containers(root: Path, node: str, engine: str = "/var/run/docker.sock") -> None:
    """Take away everything a kubelet may have left."""
    client = docker.APIClient(base_url=f"unix://{engine}", version="auto")
    label = f"{CLUSTER}={Settings(node, root).cluster}"
    for found in client.containers(all=True, filters={"label": [label]}):
        with contextlib.suppress(docker.errors.APIError):
            client.remove_container(found["Id"], force=True, v=True)
    client.close()
    subprocess.run(["ip", "link", "del", bridge_name(node)], capture_output=True, check=False, timeout=10)
    for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
        target = line.split()[4]
        if target.startswith(f"{root}/"):
            subprocess.run(["umount", "-l", target], check=False, timeout=10)


async def prepare(cluster: Cluster, node: str, cidr: str) -> None:
    """Wait for a node and give it a range, as the IPAM controller would."""
    async with ApiClient.from_kubeconfig(cluster.kubeconfig()) as client, asyncio.timeout(30):
        space = Space(client, "", node)
        await space.wait(node, lambda n: True, resource=resources.NODES)
        await client.patch(resources.NODES, node, {"spec": {"podCIDR": cidr, "podCIDRs": [cidr]}})
        await space.wait(node, lambda n: condition(n, "Ready") == "True", resource=resources.NODES)


@pytest.fixture(scope="session")
def kubelet(cluster: Cluster) -> Iterator[Kubelet]:
    made = Kubelet(cluster, NODE)
    made.start()
    try:
        asyncio.run(prepare(cluster, NODE, _CIDR))
        yield made
    finally:
        try:
            made.stop()
        finally:
            remove_containers(made.root, NODE)


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[ApiClient]:
    async with ApiClient.from_kubeconfig(cluster.kubeconfig()) as found:
        yield found


async def make_space(client: ApiClient, name: str) -> Space:
    """A namespace with what controllers would put into it."""
    await client.create(resources.NAMESPACES, {"metadata": {"name": name}})
    space = Space(client, name, NODE)
    for resource, obj in (
        (resources.SERVICEACCOUNTS, {"metadata": {"name": "default"}}),
        (resources.CONFIGMAPS, {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": "-"}}),
    ):
        with contextlib.suppress(AlreadyExists):
            await space.create(resource, obj)
    return space


@pytest.fixture
async def space(kubelet: Kubelet, client: ApiClient) -> AsyncIterator[Space]:
    made = await make_space(client, f"test-{next(_numbers)}")
    try:
        yield made
    finally:
        await made.clean()
