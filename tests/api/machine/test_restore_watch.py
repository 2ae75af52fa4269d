"""What clients of an API server see of a restore: they list again, and miss nothing."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api import resources
from api.types import Object
from client.reflector import Reflector
from client.rest import ApiClient
from cloudctl.machine.etcdctl import EtcdCtl
from cloudctl.machine.snapshots.restore import restore, verify
from cloudctl.machine.snapshots.save import save
from tests.api.cluster import Cluster
from tests.api.machine.test_snapshots import NOW, make_keys

NAMESPACE = "default"


class Mirror:
    """The names in the namespace as a reflector tells of them; `until` waits for a state."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.lists = 0
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def replace(self, objects: list[Object]) -> None:
        self.names = {obj["metadata"]["name"] for obj in objects}
        self.lists += 1
        self._tell()

    def apply(self, kind: str, obj: Object) -> None:
        name = obj["metadata"]["name"]
        (self.names.discard if kind == "DELETED" else self.names.add)(name)
        self._tell()

    def _tell(self) -> None:
        task = asyncio.ensure_future(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, *names: str) -> None:
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(lambda: self.names == set(names))


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """A server of the test's own, because its store is exchanged."""
    running = Cluster(tmp_path)
    make_keys(tmp_path / "home")
    try:
        await asyncio.to_thread(running.start)
        yield running
    finally:
        await asyncio.to_thread(running.close)


async def create(client: ApiClient, name: str) -> Object:
    return await client.create(resources.CONFIGMAPS, {"metadata": {"name": name, "namespace": NAMESPACE}})


async def back_from(cluster: Cluster, data: Path) -> None:
    """The same addresses, with another store behind them."""

    def exchange() -> None:
        cluster.stop("apiserver")
        cluster.stop("etcd")
        shutil.rmtree(cluster.folder / "etcd")
        data.rename(cluster.folder / "etcd")
        cluster.start()

    await asyncio.to_thread(exchange)


async def test_a_client_that_saw_later_revisions_lists_again_and_follows(cluster: Cluster, tmp_path: Path) -> None:
    etcd = EtcdCtl([f"http://127.0.0.1:{cluster.etcd_port}"])
    async with ApiClient.from_kubeconfig(cluster.kubeconfig(), "test") as client:
        kept = await create(client, "kept")
        mirror = Mirror()
        reflector = asyncio.create_task(Reflector(client, resources.CONFIGMAPS, mirror, namespace=NAMESPACE).run())
        try:
            await mirror.until("kept")
            await save(tmp_path / "s.tar.gz", etcd, tmp_path / "home", tmp_path, NOW)
            late = await create(client, "late")
            await mirror.until("kept", "late")
            lists = mirror.lists
            restored = await restore(
                tmp_path / "s.tar.gz", tmp_path / "vm", name="default", peer_url="http://127.0.0.1:1", now=NOW
            )
            await back_from(cluster, tmp_path / "vm" / "etcd")
            await mirror.until("kept")
            assert mirror.lists > lists
            new = await create(client, "new")
            assert int(new["metadata"]["resourceVersion"]) > int(late["metadata"]["resourceVersion"])
            await mirror.until("kept", "new")
            again = await client.get(resources.CONFIGMAPS, "kept", NAMESPACE)
            assert again == kept
            await verify(etcd, restored)
        finally:
            reflector.cancel()
            await asyncio.gather(reflector, return_exceptions=True)


async def test_a_client_notices_a_store_that_went_back_without_a_jump(cluster: Cluster, tmp_path: Path) -> None:
    async with ApiClient.from_kubeconfig(cluster.kubeconfig(), "test") as client:
        await create(client, "kept")
        mirror = Mirror()
        reflector = asyncio.create_task(Reflector(client, resources.CONFIGMAPS, mirror, namespace=NAMESPACE).run())
        try:
            await mirror.until("kept")
            before = tmp_path / "before"
            await asyncio.to_thread(cluster.stop, "etcd")
            await asyncio.to_thread(shutil.copytree, cluster.folder / "etcd", before)
            await asyncio.to_thread(cluster.start_etcd)
            for number in range(100):
                await create(client, f"late-{number}")
            await mirror.until("kept", *(f"late-{number}" for number in range(100)))
            await back_from(cluster, before)
            await mirror.until("kept")
        finally:
            reflector.cancel()
            await asyncio.gather(reflector, return_exceptions=True)
