"""A whole kubelet over the fake engine: everything but Docker, interfaces and the kernel is real."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from api.types import Object
from client.clock import settle
from client.rest import ApiClient
from kubelet.agent import Agent
from kubelet.fake_runtime import FakeRuntime
from kubelet.network import AddressPool, NetworkFault
from kubelet.runtime import ContainerState
from kubelet.settings import PAUSE_IMAGE, Settings


class Said:
    """A daemon's skeleton that only notes what it is told."""

    def __init__(self) -> None:
        self.is_ready = False

    def ready(self) -> None:
        self.is_ready = True

    def add_check(self, name: str, check: Callable[[], str | None]) -> None:
        """No health server asks."""


class FakeNetwork:
    """Addresses without interfaces; not ready until the node has its range."""

    def __init__(self) -> None:
        self.pool: AddressPool | None = None
        self.attached: set[str] = set()

    @property
    def ready(self) -> bool:
        return self.pool is not None

    async def configure(self, cidr: str, in_use: Iterable[str]) -> None:
        self.pool = AddressPool(cidr)
        for address in in_use:
            self.pool.reserve(address)

    def take(self) -> str:
        if self.pool is None:
            raise NetworkFault("network is not ready")
        return self.pool.take()

    def free(self, address: str) -> None:
        if self.pool and address:
            self.pool.free(address)

    async def attach(self, sandbox_id: str, pid: int, address: str) -> None:
        self.attached.add(sandbox_id)

    def is_attached(self, sandbox_id: str) -> bool:
        return sandbox_id in self.attached


def engine() -> FakeRuntime:
    """A fake engine with the image that the tests' pods use."""
    made = FakeRuntime()
    for image in (PAUSE_IMAGE, "i:1"):
        made.add_image(image)
    return made


def manifest(name: str, *, host_network: bool = True, args: tuple[str, ...] = (), **spec: Any) -> Object:
    """A static pod of one container `c`, in the machine's network and with a volume of its own."""
    container = {"name": "c", "image": "i:1", "args": list(args), "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "kube-system"},
        "spec": {"hostNetwork": host_network, "containers": [container], "volumes": [{"name": "v", "emptyDir": {}}],
                 "terminationGracePeriodSeconds": 1, **spec},
    }  # fmt: skip


class Node:
    """A node's disk and engine, on which kubelets live one after another."""

    def __init__(
        self, folder: Path, kubeconfig: Path, name: str = "node-a", runtime: FakeRuntime | None = None
    ) -> None:
        self.settings = Settings(
            name, folder / name, str(kubeconfig), manifests=folder / f"{name}-manifests", address="127.0.0.1", port=0,
            node_ips=("127.0.0.1",),
        )  # fmt: skip
        self.engine, self.network = runtime or engine(), FakeNetwork()
        self.agent: Agent | None = None
        assert self.settings.manifests
        self.manifests: Path = self.settings.manifests
        self.manifests.mkdir(parents=True, exist_ok=True)

    def write(self, obj: Object) -> None:
        """Put a static pod's manifest into the folder, or change it."""
        partial = self.manifests / ".partial"
        partial.write_text(yaml.safe_dump(obj))
        partial.rename(self.manifests / f"{obj['metadata']['name']}.yaml")

    def reboot(self) -> None:
        """All containers end, as they do with the machine; its network is gone."""
        self.engine.restart_engine()
        self.network = FakeNetwork()

    @contextlib.asynccontextmanager
    async def kubelet(self) -> AsyncIterator[Said]:
        """One life of the kubelet."""
        said = Said()
        daemon: Any = said
        network: Any = self.network
        async with ApiClient.from_kubeconfig(self.settings.kubeconfig) as client:
            self.agent = Agent(self.settings, client, self.engine, network)
            task = asyncio.create_task(self.agent.run(daemon))
            try:
                yield said
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def until(self, test: Callable[[], object], seconds: float = 20.0) -> None:
        """Give all others their turn until `test` holds."""
        async with asyncio.timeout(seconds):
            while not test():
                await settle(1)

    def containers(self, name: str = "c", phase: str = "running") -> list[ContainerState]:
        return [s for s in self.engine.by_container(name) if s.phase == phase]

    def volume(self) -> Path:
        """Where the one container that runs has its volume."""
        (found,) = self.containers()
        return Path(self.engine.specs[found.id].binds[0].source)

    def is_steady(self) -> bool:
        """Whether every worker says that its pod is ready."""
        assert self.agent
        workers = self.agent.pods.workers()
        return bool(workers) and all(
            c["status"] == "True"
            for w in workers
            for c in (w.status or {"conditions": [{"status": "?"}]})["conditions"]
        )
