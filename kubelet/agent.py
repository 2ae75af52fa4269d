"""One node's agent: builds the parts, wires them, runs them. The order of start-up stands in `Agent.run`."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import structlog

from api import resources
from api.types import Object
from api.volumes import DISK_STORE
from client.clock import RealClock
from client.command import Commands
from client.daemon import Daemon
from client.events import EventRecorder
from client.informer import InformerFactory
from client.rest import ApiClient
from kubelet import machine
from kubelet.cluster_files import ClusterFiles
from kubelet.docker_engine import DockerEngine
from kubelet.engine_feed import EngineFeed
from kubelet.housekeeping import Housekeeping
from kubelet.images import Images
from kubelet.network import BridgeNetwork, NetworkFault
from kubelet.network_setup import NetworkSetup
from kubelet.node import NodeReporter, NodeState
from kubelet.pod_worker import Kit
from kubelet.pods import Pods
from kubelet.references import References
from kubelet.resources import Capacity
from kubelet.runtime import POD_IP, ContainerState, Runtime, RuntimeFault
from kubelet.sandbox import Sandboxes
from kubelet.server import NodeServer
from kubelet.settings import Settings
from kubelet.starter import Services, Starter
from kubelet.static_pods import Mirrors, StaticPods
from kubelet.status_manager import StatusManager
from kubelet.stopper import Stopper
from kubelet.store import ContainerStore
from kubelet.volumes.disks import ImageDisks, store_id
from kubelet.volumes.manager import VolumeManager
from kubelet.volumes.removal import Removals
from kubelet.volumes.tokens import Tokens

_SYNC_SECONDS = 120.0


class Agent:
    """The kubelet of one node. `runtime` and `network` may be handed in by tests."""

    def __init__(
        self,
        settings: Settings,
        client: ApiClient,
        runtime: Runtime | None = None,
        network: BridgeNetwork | None = None,
    ) -> None:
        store = store_id(settings.disk_folder)
        settings = dataclasses.replace(settings, labels={**settings.labels, DISK_STORE: store})
        self.settings, self._client = settings, client
        self._clock, self._log = RealClock(), structlog.get_logger("agent")
        self._capacity = machine.capacity(
            _made(settings.root), settings.max_pods, settings.reserved_cpu, settings.reserved_memory
        )
        self._identity = machine.identity()
        self.runtime: Runtime = runtime or DockerEngine(settings.cluster, settings.node, settings.docker)
        self.network = network or BridgeNetwork(settings.node)
        self.store = ContainerStore(self._container_changed, self._sandbox_gone)
        self._informers = InformerFactory(client)
        self._recorder = EventRecorder(client, "kubelet", settings.node)
        self._state = NodeState(
            settings, self._capacity, identity=self._identity, problems=["container runtime is starting"]
        )
        self._reporter = NodeReporter(client, self._clock, self._observe, settings)
        self._node_cache: Object | None = None
        self._services = self._informers.informer(resources.SERVICES)
        self._pods_informer = self._informers.informer(resources.PODS, field_selector=f"spec.nodeName={settings.node}")
        self._node_informer = self._informers.informer(resources.NODES, field_selector=f"metadata.name={settings.node}")
        self.references = References(client, self._reference_changed)
        self.statuses = StatusManager(client, self._clock)
        self.sandboxes = Sandboxes(self.runtime, self.network, self.store, settings)
        self.images = Images(self.runtime)
        self._network_setup = NetworkSetup(
            self.network, self._clock, self._addresses, self._network_made, self._reporter.changed
        )
        self._feed = EngineFeed(self.runtime, self.store, self._clock, self._engine_connected, self._engine_lost)
        self._mirrors = Mirrors(client, self._clock, lambda: self._node_cache)
        self._disks = ImageDisks(settings.disk_folder, settings.root, Commands())
        self._removals = Removals(client, settings.node, self._disks, self._clock)
        self.kit = self._kit()
        self.pods = Pods(self.kit, self._mirrors, lambda: self._node_cache, self._pods_changed)
        self._static_known = asyncio.Event()
        self._housekeeping = Housekeeping(self.runtime, self.images, settings.root, self._state, self._reporter.changed)

    def _kit(self) -> Kit:
        tokens = Tokens(self._client)
        services = Services(self._services.lister.list, lambda: self._services.lister.get("default/kubernetes"))
        starter = Starter(
            self.runtime, self.images, self.references, services, self.store, self.settings, lambda: self._capacity
        )
        volumes = VolumeManager(
            self.settings.root, self.references, tokens, self._disks, lambda: self._capacity, self.settings.node_ips
        )
        return Kit(
            runtime=self.runtime, store=self.store, sandboxes=self.sandboxes, starter=starter,
            stopper=Stopper(self.runtime, self.store), volumes=volumes, references=self.references, statuses=self.statuses,
            client=self._client, settings=self.settings, clock=self._clock, wall=time.time, capacity=lambda: self._capacity,
            say=self._say,
        )  # fmt: skip

    @property
    def capacity(self) -> Capacity:
        """What the node has."""
        return self._capacity

    # --- life -------------------------------------------------------------------------------------------------------

    async def run(self, daemon: Daemon) -> None:
        """Until cancelled. Containers are left as they are."""
        server = NodeServer(self.settings, self.pods, self.runtime, self.store, self._capacity)
        daemon.add_check("engine", lambda: None if self._state.engine else "the container engine does not answer")
        try:
            async with asyncio.TaskGroup() as tasks:
                for name, work in (
                    ("engine", self._feed.run()),
                    ("informers", self._informers.run()),
                    ("events", self._recorder.run()),
                    ("node", self._reporter.run()),
                    ("server", server.run()),
                    ("mirrors", self._mirrors.run()),
                    ("removals", self._removals.run()),
                    ("pods", self._start_pods(daemon)),
                    *self._upkeep(server),
                ):
                    tasks.create_task(work, name=name)
        finally:
            await self._network_setup.close()
            await self.pods.close()
            await self.statuses.close()
            await self.references.close()
            await self.runtime.close()

    def _upkeep(self, server: NodeServer) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """What keeps the node's own files fresh, where that is wanted."""
        settings = self.settings
        if settings.rotate_certificates or settings.rotate_server_certificates:
            # Loaded by name: it needs a library that is larger than all else here.
            keeper = importlib.import_module("kubelet.certificates.keeper")
            registered, serve = self._reporter.registered, lambda: server.tls.use(settings.server_pair)
            yield "certificates", keeper.keep(settings, self._client, self._clock, registered, serve)
        if settings.follows_cluster_info:
            ca_file = Path(settings.client_ca) if settings.sync_client_ca and settings.client_ca else None
            kubeconfigs = (Path(settings.kubeconfig), *settings.sync_kubeconfigs)
            yield "cluster files", ClusterFiles(self._client, self._clock, kubeconfigs, ca_file).run()

    async def _start_pods(self, daemon: Daemon) -> None:
        """Workers may begin once it is known what runs already; leftovers are cleared once all sources are known.

        Static pods do not wait for the API server: it may be one of them.
        """
        await self._feed.synced.wait()
        self._node_informer.add_handler(self._node_seen, lambda _, new: self._node_seen(new))
        async with asyncio.TaskGroup() as tasks:
            if self.settings.manifests:
                static = StaticPods(self.settings.manifests, self.settings.node, self._set_static)
                tasks.create_task(static.run(), name="static pods")
                await self._static_known.wait()
                daemon.ready()
            await self._api_heard()
            self._pods_informer.add_handler(self.pods.add, self.pods.update, self.pods.delete)
            await self.pods.clean_up()
            daemon.ready()
            tasks.create_task(self._housekeeping.run(), name="housekeeping")

    async def _api_heard(self) -> None:
        """Return once the API server has said what is to run here, however long that takes."""
        while True:
            try:
                await self._informers.wait_synced(_SYNC_SECONDS)
                return
            except TimeoutError as error:
                self._log.warning("still waiting for the API server", error=str(error))

    # --- what happens -----------------------------------------------------------------------------------------------

    def _container_changed(self, uid: str) -> None:
        self.pods.wake(uid)

    def _sandbox_gone(self, state: ContainerState) -> None:
        self.sandboxes.gone(state)

    def _reference_changed(self, uid: str) -> None:
        self.pods.refresh(uid)

    def _pods_changed(self) -> None:
        self._reporter.changed()

    def _set_static(self, pods: dict[str, Object]) -> None:
        self.pods.set_static(pods)
        self._static_known.set()

    async def _engine_connected(self) -> None:
        try:
            self._state.engine = await self.runtime.info()
            self._state.images = await self.runtime.images()
        except RuntimeFault as error:
            self._log.warning("container engine does not tell about itself", error=str(error))
        await self._adopt()
        self.pods.wake_all()
        self._reporter.changed()

    def _engine_lost(self, why: str) -> None:
        self._state.engine = None
        self._reporter.changed()

    async def _adopt(self) -> None:
        for state in self.store.all():
            if state.is_sandbox:
                try:
                    await self.sandboxes.adopt(state)
                except NetworkFault as error:
                    # The network namespace is beyond repair: without its sandbox the pod gets a new one.
                    self._log.warning("sandbox cannot be wired", container=state.id[:12], error=str(error))
                    await self.sandboxes.remove(state)

    def _node_seen(self, node: Object) -> None:
        self._node_cache = node
        self._mirrors.wake()
        self._reporter.seen(node)
        self._removals.seen(node)
        cidr = node["spec"].get("podCIDR") or ""
        if cidr:
            self._network_setup.want(cidr)

    def _addresses(self) -> list[str]:
        return [a for s in self.store.all() if s.is_sandbox and (a := s.labels.get(POD_IP))]

    async def _network_made(self) -> None:
        await self._adopt()
        self.pods.wake_all()
        self._reporter.changed()

    def _observe(self) -> NodeState:
        problems = []
        if self._state.engine is None:
            problems.append("container runtime is down")
        if not self.network.ready:
            why = f" message:{self._network_setup.problem}" if self._network_setup.problem else ""
            problems.append(
                f"container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady{why}"
            )
        self._state.problems = problems
        return self._state

    def _say(self, pod: Object, kind: str, reason: str, message: str, field_path: str) -> None:
        shown = self._mirrors.of(pod) or {"apiVersion": "v1", "kind": "Pod", **pod}
        self._recorder.event(
            shown, "Warning" if kind == "Warning" else "Normal", reason, message, field_path=field_path
        )


def _made(root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    return root
