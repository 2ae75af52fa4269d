"""A machine with a token becomes a node: cluster-info is signed, its certificates are approved, signed and renewed."""

from __future__ import annotations

import asyncio
import base64
import time
from pathlib import Path

import pytest
import yaml

from api import resources
from api.errors import Forbidden
from api.types import Object
from client import cluster_info, kubeconfig
from client.clock import RealClock
from client.rest import ApiClient
from kubelet.certificates import bootstrap, pair
from kubelet.certificates.rotation import Rotation
from kubelet.certificates.signing import NotSigned, client_certificate, serving_certificate, signed
from kubelet.cluster_files import ClusterFiles
from kubelet.inotify import FolderWatch
from kubelet.settings import Settings
from tests.api.cluster import Cluster
from tests.api.controllers.world import World

NODE, TOKEN_ID, SECRET = "joined", "abcdef", "0123456789abcdef"


@pytest.fixture
async def token(world: World) -> str:
    """A token as kubeadm makes them; it goes with the first test's cluster."""
    data = {
        "token-id": TOKEN_ID, "token-secret": SECRET, "usage-bootstrap-signing": "true",
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token",
    }  # fmt: skip
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    metadata = {"name": f"bootstrap-token-{TOKEN_ID}", "namespace": "kube-system"}
    body = {"metadata": metadata, "type": "bootstrap.kubernetes.io/token", "data": encoded}
    await world.client.patch(
        resources.SECRETS, f"bootstrap-token-{TOKEN_ID}", {"apiVersion": "v1", "kind": "Secret", **body},
        "kube-system", kind="apply", field_manager="tests",
    )  # fmt: skip
    return f"{TOKEN_ID}.{SECRET}"


@pytest.fixture
async def node(controlled: Cluster, token: str, tmp_path: Path) -> Settings:
    """The settings of a machine that has joined."""
    settings = Settings(
        NODE, tmp_path, str(tmp_path / "kubelet.kubeconfig"), str(tmp_path / "bootstrap.kubeconfig"),
        node_ips=("10.9.8.7",),
    )  # fmt: skip
    ca = (controlled.pki / "ca.crt").read_bytes()
    kubeconfig.write(settings.bootstrap_kubeconfig, "lab", [controlled.url], ca, user="bootstrap", token=token)
    async with asyncio.timeout(20):
        await bootstrap.ensure(settings)
    return settings


async def test_cluster_info_is_signed_by_the_token_and_again_after_a_change(world: World, token: str) -> None:
    space = World(world.client, cluster_info.NAMESPACE)
    for text in ("one", "two"):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cluster-info"}}
        await world.client.patch(
            resources.CONFIGMAPS, "cluster-info", {**body, "data": {"kubeconfig": text}}, cluster_info.NAMESPACE,
            kind="apply", field_manager="tests",
        )  # fmt: skip
        await space.until(
            resources.CONFIGMAPS, "cluster-info", lambda found: cluster_info.is_signed(found, TOKEN_ID, SECRET)
        )


async def test_a_token_brings_a_node_its_identity_and_the_node_renews_it(node: Settings) -> None:
    first = node.client_pair.read_bytes()
    async with ApiClient.from_kubeconfig(node.kubeconfig) as client:
        with pytest.raises(Forbidden, match="system:node:joined"):
            await client.list(resources.SECRETS)
        fresh = await signed(client, client_certificate(NODE), 20)
    assert fresh.pem != first and fresh.end > time.time()


async def test_a_nodes_kubeconfig_follows_cluster_info(
    world: World, controlled: Cluster, node: Settings, tmp_path: Path
) -> None:
    ca = (controlled.pki / "ca.crt").read_bytes()
    changed = asyncio.Event()
    watch = FolderWatch(tmp_path, changed.set)
    async with ApiClient.from_kubeconfig(node.kubeconfig) as client:
        files = asyncio.create_task(ClusterFiles(client, RealClock(), [Path(node.kubeconfig)], None).run())
        try:
            for servers in ([controlled.url, "https://192.0.2.1:6443"], [controlled.url]):
                changed.clear()
                kubeconfig.write(tmp_path / ".text", "", servers, ca, user="")
                text = kubeconfig.read(tmp_path / ".text")
                body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cluster-info"}}
                await world.client.patch(
                    resources.CONFIGMAPS, "cluster-info", {**body, "data": {"kubeconfig": yaml.safe_dump(text)}},
                    cluster_info.NAMESPACE, kind="apply", field_manager="tests", force=True,
                )  # fmt: skip
                async with asyncio.timeout(20):
                    while kubeconfig.load(node.kubeconfig).servers != servers:
                        await changed.wait()
                        changed.clear()
        finally:
            watch.close()
            files.cancel()
            await asyncio.gather(files, return_exceptions=True)


async def test_a_serving_certificate_waits_for_the_nodes_own_addresses(
    world: World, node: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "server.pem"
    done = asyncio.Event()
    async with ApiClient.from_kubeconfig(node.kubeconfig) as client:
        rotation = Rotation(
            file, serving_certificate(NODE, node.node_ips), lambda wanted: signed(client, wanted), done.set, RealClock()
        )
        renewing = asyncio.create_task(rotation.run())
        try:
            await world.until_list(resources.CERTIFICATESIGNINGREQUESTS, lambda found: any(map(_is_serving, found)))
            await client.create(resources.NODES, {"metadata": {"name": NODE}})
            addresses = [{"type": "InternalIP", "address": "10.9.8.7"}]
            await client.patch(resources.NODES, NODE, {"status": {"addresses": addresses}}, subresource="status")
            async with asyncio.timeout(20):
                await done.wait()
            with pytest.raises(NotSigned, match="nobody decided"):
                await signed(client, serving_certificate(NODE, ("10.9.8.8",)), 1)
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            await world.client.delete(resources.NODES, NODE)
    found = pair.read(file)
    assert found and found.names == {NODE, "10.9.8.7"}


def _is_serving(csr: Object) -> bool:
    return bool(csr["spec"]["signerName"] == "kubernetes.io/kubelet-serving")
