"""Simulated nodes: Node objects, Leases and pods that start and end as `stages.STAGES` says. No Docker, no root.

One process plays any number of nodes with one watch; the API, the scheduler and the controllers cannot tell the difference.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from api import meta, resources, timestamp
from api.errors import ApiError, Conflict, NotFound
from api.types import Object
from client.clock import RealClock
from client.daemon import Daemon
from client.informer import Informer, InformerFactory
from client.rest import ApiClient
from client.workqueue import WorkQueue
from kubelet import podspec, status
from kubelet.network import AddressPool
from kubelet.node import NodeReporter, NodeState
from kubelet.resources import Capacity
from kubelet.runtime import ATTEMPT, CONTAINER_NAME, HASH, KIND, POD_UID, SANDBOX, ContainerState, EngineInfo
from kubelet.settings import Settings
from kubelet.stages import Stage, exit_code, next_stage
from kubelet.status_manager import patch_for
from kubelet.sync import Plan, PodView

CAPACITY = Capacity(cpu=32_000, memory=256 << 30, storage=1 << 40, pods=110)
"""What each simulated node claims to have."""
_WORKERS = 8
_SYNC_SECONDS = 60.0
_ENGINE = EngineInfo(version="simulated", kernel="simulated", os_image="Simulated")


def node_settings(index: int, prefix: str) -> Settings:
    """The settings of one simulated node; its root directory is never made, its address never used."""
    address = f"10.{192 + index // 65536}.{index // 256 % 256}.{index % 256}"
    return Settings(
        node=f"{prefix}-{index}", root=Path("/nonexistent"), node_ips=(address,), port=0,
        labels={"type": "fake", "cloudlet.dev/fake": "true"},
    )  # fmt: skip


class FakeNodes:
    """Plays nodes until cancelled."""

    def __init__(self, client: ApiClient, count: int, prefix: str) -> None:
        self._client, self._clock = client, RealClock()
        self._settings = {s.node: s for s in (node_settings(i, prefix) for i in range(count))}
        self._informers = InformerFactory(client)
        self._pods: Informer = self._informers.informer(resources.PODS, field_selector="spec.nodeName!=")
        self._queue = WorkQueue(self._clock)
        self._since: dict[str, tuple[str, float]] = {}
        self._pools: dict[str, AddressPool] = {}
        self._addresses: dict[str, tuple[str, str]] = {}
        self._log = structlog.get_logger("fake")

    async def run(self, ready: Callable[[], None]) -> None:
        """Register all nodes, then follow their pods."""
        reporters = [self._reporter(settings) for settings in self._settings.values()]
        self._pods.add_handler(self._enqueue, lambda _, new: self._enqueue(new), self._gone)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._informers.run(), name="informers")
            for reporter in reporters:
                tasks.create_task(reporter.run(), name="node")
            await self._informers.wait_synced(_SYNC_SECONDS)
            for reporter in reporters:
                await reporter.registered.wait()
            ready()
            for _ in range(_WORKERS):
                tasks.create_task(self._work(), name="worker")

    def _reporter(self, settings: Settings) -> NodeReporter:
        identity = {"architecture": "amd64", "operatingSystem": "linux", "machineID": settings.node,
                    "systemUUID": settings.node, "bootID": settings.node}  # fmt: skip
        state = NodeState(settings, CAPACITY, engine=_ENGINE, identity=identity)
        return NodeReporter(self._client, self._clock, lambda: state, settings)

    def _enqueue(self, pod: Object) -> None:
        if pod["spec"].get("nodeName") in self._settings:
            self._queue.add(meta.key(pod))

    def _gone(self, pod: Object) -> None:
        uid = meta.uid(pod)
        self._since.pop(uid, None)
        if held := self._addresses.pop(uid, None):
            self._pools[held[0]].free(held[1])

    async def _work(self) -> None:
        """A worker's outer loop."""
        while True:
            key = await self._queue.get()
            try:
                await self._advance(key)
            except (NotFound, Conflict):
                self._queue.forget(key)
            except ApiError as error:
                self._log.warning("pod not advanced", pod=key, error=error.message)
                self._queue.add_rate_limited(key)
            else:
                self._queue.forget(key)
            finally:
                self._queue.done(key)

    async def _advance(self, key: str) -> None:
        pod = self._pods.lister.get(key)
        stage = next_stage(pod) if pod else None
        if pod is None or stage is None:
            return
        wait = self._left(pod, stage)
        if wait > 0:
            self._queue.add_after(key, wait)
            return
        if stage.becomes is None:
            await self._client.delete(
                resources.PODS, meta.name(pod), meta.namespace(pod), grace_period_seconds=0, uid=meta.uid(pod)
            )
            return
        patch = patch_for(pod, self._status(pod, stage))
        if patch:
            await self._client.patch(
                resources.PODS, meta.name(pod), patch, meta.namespace(pod), subresource="status", kind="strategic"
            )

    def _left(self, pod: Object, stage: Stage) -> float:
        """Seconds the pod still has to wait for the stage."""
        uid, now = meta.uid(pod), self._clock.now()
        name, since = self._since.get(uid, ("", now))
        if name != stage.name:
            since = now
            self._since[uid] = (stage.name, now)
        return since + stage.seconds(pod) - now

    def _address(self, pod: Object) -> str:
        node, uid = str(pod["spec"]["nodeName"]), meta.uid(pod)
        if podspec.is_host_network(pod):
            return self._settings[node].node_ips[0]
        if uid not in self._addresses:
            pool = self._pools.setdefault(node, AddressPool(self._range(node)))
            self._addresses[uid] = (node, pool.take())
        return self._addresses[uid][1]

    def _range(self, node: str) -> str:
        index = int(node.rpartition("-")[2])
        return f"10.{64 + index // 256 % 64}.{index % 256}.0/24"

    def _status(self, pod: Object, stage: Stage) -> Object:
        """The status a real kubelet would write for a pod all of whose containers are in the stage's state."""
        view, ended = view_of(pod, stage), stage.becomes == "exited"
        around = status.Surroundings(
            node_ips=self._settings[str(pod["spec"]["nodeName"])].node_ips,
            pod_ips=(self._address(pod),),
            terminating=ended,
        )
        return status.build(view, Plan(initialized=True, over=ended), around)


def view_of(pod: Object, stage: Stage) -> PodView:
    """The pod as if its containers were really there: init containers over, sidecars and main ones as the stage says."""
    now, uid = timestamp.now(), meta.uid(pod)
    sandbox = ContainerState(f"fake-{uid}", "sandbox", "running", {KIND: "sandbox", POD_UID: uid})
    containers = {}
    running = set()
    for container in podspec.every_container(pod):
        init = container in podspec.init_containers(pod) and not podspec.is_sidecar(container)
        phase = "exited" if init else (stage.becomes or "exited")
        labels = {CONTAINER_NAME: container["name"], ATTEMPT: "0", SANDBOX: sandbox.id, POD_UID: uid,
                  HASH: podspec.container_hash(container)}  # fmt: skip
        state = ContainerState(
            id=f"fake-{uid}-{container['name']}", name=container["name"], phase=phase, labels=labels,
            image_id=f"fake://{container.get('image', '')}", created_at=now, started_at=now,
            finished_at=now if phase == "exited" else "", exit_code=0 if init else exit_code(pod),
        )  # fmt: skip
        containers[container["name"]] = [state]
        running |= {state.id} if phase == "running" else set()
    return PodView(pod=pod, sandbox=sandbox, containers=containers, wired=True, started=frozenset(running))


async def run(client: ApiClient, count: int, prefix: str, process: Daemon) -> None:
    """Play `count` nodes until cancelled."""
    await FakeNodes(client, count, prefix).run(process.ready)
