"""Static pods need no API server: it may be one of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from client import kubeconfig
from tests.unit.kubelet.authority import authority
from tests.unit.kubelet.node import Node, manifest


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A node whose API server does not answer."""
    path = tmp_path / "kubeconfig"
    kubeconfig.write(path, "lab", ["https://127.0.0.1:1"], authority()[0], user="u", token="t")
    return Node(tmp_path, path)


async def test_they_start_at_once_and_the_kubelet_is_ready(node: Node) -> None:
    node.write(manifest("etcd"))
    async with node.kubelet() as daemon:
        await node.until(lambda: daemon.is_ready and node.is_steady())
        (found,) = node.containers()
        assert found.name.startswith("cld_c_etcd-node-a_kube-system_")
    assert node.containers() == [found]


async def test_a_kubelet_that_comes_again_adopts_them(node: Node) -> None:
    node.write(manifest("etcd"))
    async with node.kubelet():
        await node.until(node.is_steady)
    before = list(node.engine.started)
    async with node.kubelet() as daemon:
        await node.until(lambda: daemon.is_ready and node.is_steady())
    assert node.engine.started == before and node.engine.killed == []


async def test_what_the_api_may_want_is_left_alone_while_it_does_not_answer(node: Node) -> None:
    node.write(manifest("etcd"))
    async with node.kubelet():
        await node.until(node.is_steady)
    (node.manifests / "etcd.yaml").unlink()
    node.write(manifest("other"))
    async with node.kubelet():
        await node.until(lambda: len(node.containers()) == 2 and node.is_steady())
        assert node.engine.killed == []


async def test_after_a_reboot_they_run_again_with_their_names_and_volumes(node: Node) -> None:
    node.write(manifest("etcd"))
    async with node.kubelet():
        await node.until(node.is_steady)
    (before,) = node.containers()
    note = node.volume() / "data"
    note.write_text("kept")
    node.reboot()
    assert node.containers() == []
    async with node.kubelet():
        await node.until(node.is_steady)
    (after,) = node.containers()
    assert (after.name, after.attempt) == (before.name[:-1] + "1", 1)
    assert node.volume() == note.parent and note.read_text() == "kept"


async def test_one_in_the_pod_network_waits_for_it_and_holds_up_no_other(node: Node) -> None:
    node.write(manifest("a", host_network=False))
    node.write(manifest("b"))
    async with node.kubelet() as daemon:
        await node.until(lambda: daemon.is_ready and node.containers())
        (found,) = node.containers()
        assert "_b-node-a_" in found.name


async def test_a_changed_manifest_waits_until_the_old_pod_has_ended(node: Node) -> None:
    port = {"name": "c", "image": "i:1", "ports": [{"containerPort": 6443, "hostPort": 6443}]}
    node.write(manifest("api", containers=[port]))
    node.engine.stubborn.add("c")
    async with node.kubelet():
        await node.until(node.is_steady)
        (old,) = node.containers()
        node.write(manifest("api", containers=[{**port, "args": ["new"]}]))
        await node.until(lambda: node.engine.killed)
        assert node.containers() == [old]
        await node.until(lambda: node.containers() not in ([], [old]))
        await node.until(node.is_steady)
        assert node.engine.killed == [("c", "SIGTERM"), ("c", "SIGKILL")]
        assert [s.pod_uid for s in node.engine.by_container("c")] != [old.pod_uid]


async def test_a_manifest_changed_while_the_kubelet_was_away_replaces_the_old_pod(node: Node) -> None:
    node.write(manifest("api"))
    async with node.kubelet():
        await node.until(node.is_steady)
    (old,) = node.containers()
    node.write(manifest("api", args=("new",)))
    async with node.kubelet():
        await node.until(lambda: node.containers() not in ([], [old]))
    assert node.engine.killed == [("c", "SIGTERM")]
