"""One pod's worker over the fake engine: what it starts, stops, reports and leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.errors import NotFound
from api.types import Object
from client.clock import RealClock
from client.command import Commands
from kubelet.engine_feed import EngineFeed
from kubelet.fake_runtime import FakeRuntime
from kubelet.images import Images
from kubelet.network import AddressPool
from kubelet.pod_worker import Kit, PodWorker
from kubelet.references import References
from kubelet.resources import Capacity
from kubelet.runtime import ATTEMPT
from kubelet.sandbox import Sandboxes, container_name
from kubelet.settings import PAUSE_IMAGE, Settings
from kubelet.starter import Services, Starter
from kubelet.status_manager import StatusManager
from kubelet.stopper import Stopper
from kubelet.store import ContainerStore
from kubelet.volumes.disks import ImageDisks
from kubelet.volumes.manager import VolumeManager
from kubelet.volumes.tokens import Tokens
from tests.unit.kubelet.build import container, pod

_CAPACITY = Capacity(cpu=2000, memory=4 << 30, storage=1 << 40)


class _Client:
    """The API of one pod: takes status patches and the final delete."""

    def __init__(self, found: Object) -> None:
        self.pod, self.deleted = copy.deepcopy(found), asyncio.Event()
        self.changed: Callable[[Object], None] = lambda _: None

    async def patch(self, _resource: Any, _name: str, patch: Object, _namespace: str, **_: Any) -> Object:
        if self.deleted.is_set():
            raise NotFound("gone")
        status = dict(self.pod.get("status") or {})
        for key, value in patch["status"].items():
            if key == "conditions":
                merged = {c["type"]: c for c in status.get("conditions", [])}
                for condition in value:
                    merged[condition["type"]] = {k: v for k, v in condition.items() if v is not None}
                status[key] = list(merged.values())
            elif value is None:
                status.pop(key, None)
            else:
                status[key] = value
        version = str(int(self.pod["metadata"].get("resourceVersion", "0")) + 1)
        self.pod = {**self.pod, "status": status, "metadata": {**self.pod["metadata"], "resourceVersion": version}}
        self.changed(self.pod)
        return self.pod

    async def delete(self, *_: Any, **__: Any) -> Object:
        self.deleted.set()
        return {}


class _Network:
    """Addresses without interfaces."""

    ready = True

    def __init__(self) -> None:
        self.pool = AddressPool("10.1.0.0/24")
        self.attached: set[str] = set()

    def take(self) -> str:
        return self.pool.take()

    def free(self, address: str) -> None:
        if address:
            self.pool.free(address)

    async def attach(self, sandbox_id: str, pid: int, address: str) -> None:
        self.attached.add(sandbox_id)

    def is_attached(self, sandbox_id: str) -> bool:
        return sandbox_id in self.attached


class Bench:
    """A worker, its engine and its API."""

    def __init__(self, found: Object, root: Path) -> None:
        self.ahead, self.terminated = 0.0, asyncio.Event()
        self.engine, self.client, self.said = FakeRuntime(), _Client(found), list[str]()
        for image in (PAUSE_IMAGE, "i:1"):
            self.engine.add_image(image)
        settings = Settings("n", root, node_ips=("10.0.0.1",))
        self.store = ContainerStore(lambda _: self.worker.wake())
        client: Any = self.client
        references = References(client, lambda _: self.worker.refresh())
        clock, network = RealClock(), _Network()
        services = Services(lambda: [], lambda: None)
        images, disks = Images(self.engine, self._wall), ImageDisks(root / "disks", root, Commands())
        self.statuses = StatusManager(client, clock)
        self.kit = Kit(
            runtime=self.engine, store=self.store, sandboxes=Sandboxes(self.engine, network, self.store, settings),
            starter=Starter(self.engine, images, references, services, self.store, settings, lambda: _CAPACITY),
            stopper=Stopper(self.engine, self.store),
            volumes=VolumeManager(root, references, Tokens(client), disks, lambda: _CAPACITY),
            references=references, statuses=self.statuses, client=client, settings=settings, clock=clock,
            wall=self._wall, capacity=lambda: _CAPACITY, say=self._say,
        )  # fmt: skip
        self.worker = PodWorker(self.kit, found)
        self._seen = asyncio.Event()
        self.client.changed = self._echo
        self.feed = EngineFeed(self.engine, self.store, clock, self._connected, lambda _: None)

    def _say(self, _pod: Object, _kind: str, reason: str, _message: str, _path: str) -> None:
        self.said.append(reason)
        if reason == "Killing":
            self.terminated.set()

    def _wall(self) -> float:
        return time.time() + self.ahead

    async def _connected(self) -> None:
        for state in self.store.all():
            if state.is_sandbox:
                await self.kit.sandboxes.adopt(state)
        self.worker.refresh()

    def _echo(self, found: Object) -> None:
        self.worker.update(found)
        self._seen.set()

    @property
    def status(self) -> Object:
        return dict(self.client.pod.get("status") or {})

    async def until(self, test: Callable[[Object], bool]) -> Object:
        """Wait until the API's status is as wanted."""
        async with asyncio.timeout(10):
            while not test(self.status):
                self._seen.clear()
                await self._seen.wait()
        return self.status

    async def change(self, **meta: Any) -> None:
        """Somebody changes the pod's metadata."""
        self.client.pod = {**self.client.pod, "metadata": {**self.client.pod["metadata"], **meta}}
        self.worker.update(self.client.pod)

    def ids(self, name: str = "c") -> list[str]:
        return [s.id for s in self.engine.by_container(name)]


@contextlib.asynccontextmanager
async def bench(found: Object, root: Path) -> AsyncIterator[Bench]:
    made = Bench(found, root)
    feed = asyncio.create_task(made.feed.run())
    await made.feed.synced.wait()
    life = asyncio.create_task(made.worker.run())
    try:
        yield made
    finally:
        for task in (life, feed):
            task.cancel()
        await asyncio.gather(life, feed, return_exceptions=True)
        await made.statuses.close()


def _ready(status: Object) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or ())


async def test_from_nothing_to_ready_to_over(tmp_path: Path) -> None:
    async with bench(pod(restartPolicy="Never"), tmp_path) as made:
        found = await made.until(_ready)
        assert found["phase"] == "Running" and found["podIP"] == "10.1.0.2"
        assert made.said == ["Pulled", "Created", "Started"]
        made.engine.finish(made.ids()[0])
        await made.until(lambda s: s["phase"] == "Succeeded")


async def test_a_crash_is_restarted_once_then_waits(tmp_path: Path) -> None:
    async with bench(pod(), tmp_path) as made:
        await made.until(_ready)
        made.engine.finish(made.ids()[0], 1)
        await made.until(lambda s: s["containerStatuses"][0]["restartCount"] == 1)
        made.engine.finish(made.ids()[1], 1)
        await made.until(lambda s: "CrashLoopBackOff" in str(s))
        assert len(made.ids()) == 2
        made.ahead = 11
        made.worker.wake()
        await made.until(lambda s: s["containerStatuses"][0]["restartCount"] == 2)


async def test_deletion_waits_for_the_end_and_leaves_nothing(tmp_path: Path) -> None:
    async with bench(pod(), tmp_path) as made:
        await made.until(_ready)
        await made.change(deletionTimestamp="2027-01-15T08:00:00Z", deletionGracePeriodSeconds=30)
        await asyncio.wait_for(made.client.deleted.wait(), 10)
        assert made.engine.killed == [("c", "SIGTERM")]
        assert await made.engine.containers() == [] and not (tmp_path / "pods" / "u").exists()
        assert made.status["phase"] == "Failed"


async def test_who_does_not_listen_is_killed(tmp_path: Path) -> None:
    async with bench(pod(), tmp_path) as made:
        await made.until(_ready)
        made.engine.stubborn.add("c")
        await made.change(deletionTimestamp="2027-01-15T08:00:00Z", deletionGracePeriodSeconds=600)
        await asyncio.wait_for(made.terminated.wait(), 10)
        await made.change(deletionGracePeriodSeconds=0)
        await asyncio.wait_for(made.client.deleted.wait(), 10)
        assert made.engine.killed == [("c", "SIGTERM"), ("c", "SIGKILL")]


async def test_an_engine_restart_makes_everything_anew_once(tmp_path: Path) -> None:
    async with bench(pod(), tmp_path) as made:
        await made.until(_ready)
        made.engine.restart_engine()
        found = await made.until(lambda s: s["containerStatuses"][0]["restartCount"] == 1 and _ready(s))
        assert found["podIP"] == "10.1.0.3"
        assert len([s for s in await made.engine.containers() if s.phase == "running"]) == 2


async def test_an_attempt_that_was_begun_in_a_lost_sandbox_is_begun_again(tmp_path: Path) -> None:
    async with bench(pod(), tmp_path) as made:
        await made.until(_ready)
        first = made.engine.specs[made.ids()[0]]
        labels = {**first.labels, ATTEMPT: "1"}
        begun = await made.engine.create(replace(first, name=container_name(pod(), "c", 1), labels=labels))
        made.engine.restart_engine()
        await made.until(lambda s: s["containerStatuses"][0]["restartCount"] == 1 and _ready(s))
        assert begun not in made.ids()


async def test_a_container_that_exists_already_is_not_started_twice(tmp_path: Path) -> None:
    async with bench(pod(), tmp_path) as first:
        await first.until(_ready)
        engine, started = first.engine, list(first.engine.started)
        first.worker = PodWorker(first.kit, pod())
        life = asyncio.create_task(first.worker.run())
        await asyncio.sleep(0)
        await first.until(_ready)
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)
    assert engine.started == started


async def test_a_refused_pod_only_reports(tmp_path: Path) -> None:
    made = Bench(pod(), tmp_path)
    made.worker.reject("OutOfcpu", "too much")
    life = asyncio.create_task(made.worker.run())
    await made.until(lambda s: s.get("phase") == "Failed")
    life.cancel()
    await asyncio.gather(life, return_exceptions=True)
    await made.statuses.close()
    assert made.engine.started == [] and made.status["reason"] == "OutOfcpu" and made.said == ["OutOfcpu"]


@pytest.mark.parametrize("image", ["no:1"])
async def test_an_image_that_comes_later(tmp_path: Path, image: str) -> None:
    async with bench(pod(container(image=image)), tmp_path) as made:
        await made.until(lambda s: "ErrImagePull" in str(s))
        made.engine.add_image(image, remote=True)
        made.ahead = 400
        made.worker.wake()
        await made.until(_ready)
