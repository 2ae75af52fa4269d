"""Sandboxes: the container that holds the namespaces a pod shares (network, IPC, processes) while its containers come and go."""

from __future__ import annotations

import structlog

from api.types import Object
from kubelet import hosts, pause, podspec, security
from kubelet.network import NetworkFault, PodNetwork
from kubelet.runtime import (
    CLUSTER,
    GRACE,
    KIND,
    NODE,
    POD_IP,
    POD_NAME,
    POD_NAMESPACE,
    POD_UID,
    ContainerSpec,
    ContainerState,
    NameTaken,
    NotThere,
    Resources,
    Runtime,
    RuntimeFault,
    Security,
)
from kubelet.settings import Settings
from kubelet.store import ContainerStore

_SANDBOX_SHARES = 2


def pod_labels(pod: Object, settings: Settings) -> dict[str, str]:
    """The labels by which a container is known to belong to a pod of this node."""
    meta = pod["metadata"]
    return {
        CLUSTER: settings.cluster,
        NODE: settings.node,
        POD_NAMESPACE: meta.get("namespace", "default"),
        POD_NAME: meta["name"],
        POD_UID: meta["uid"],
        GRACE: str(podspec.grace_period(pod)),
    }


def container_name(pod: Object, container: str, attempt: int) -> str:
    """The engine's name of a container: unique, so that the engine itself refuses a second one."""
    meta = pod["metadata"]
    return f"cld_{container}_{meta['name']}_{meta.get('namespace', 'default')}_{meta['uid']}_{attempt}"


def _oom_score() -> int:
    # The sandbox goes last: without it the whole pod would have to be made again.
    return -998


def sandbox_spec(pod: Object, settings: Settings, address: str) -> ContainerSpec:
    """What the sandbox of a pod looks like. Pure."""
    spec = pod["spec"]
    host_network = podspec.is_host_network(pod)
    labels = pod_labels(pod, settings) | {KIND: "sandbox"}
    if address:
        labels[POD_IP] = address
    return ContainerSpec(
        name=container_name(pod, "POD", 0),
        image=settings.pause_image,
        labels=labels,
        entrypoint=pause.COMMAND,
        hostname="" if host_network else hosts.uts_name(pod, settings.cluster_domain)[:64],
        network="host" if host_network else "none",
        ipc="host" if spec.get("hostIPC") else "shareable",
        pid="host" if spec.get("hostPID") else "",
        sysctls=security.sysctls(pod),
        resources=Resources(cpu_shares=_SANDBOX_SHARES, oom_score_adj=_oom_score()),
        security=Security(no_new_privileges=True, read_only_root=True),
    )


class Sandboxes:
    """Makes, wires and removes sandboxes; knows which of them are wired."""

    def __init__(self, runtime: Runtime, network: PodNetwork, store: ContainerStore, settings: Settings) -> None:
        self._runtime, self._network, self._store, self._settings = runtime, network, store, settings
        self._wired: set[str] = set()
        self._pause = pause.PauseImage(runtime, settings.pause_image)
        self._log = structlog.get_logger("sandbox")

    def is_wired(self, container_id: str) -> bool:
        """Whether a sandbox's network stands."""
        return container_id in self._wired

    async def create(self, pod: Object) -> ContainerState:
        """A running, wired sandbox; one left half-made by an earlier life is finished. Raises RuntimeFault, NetworkFault."""
        address = "" if podspec.is_host_network(pod) else self._network.take()
        spec = sandbox_spec(pod, self._settings, address)
        try:
            container_id = await self._create(spec)
        except NameTaken as taken:
            self._network.free(address)
            return await self._finish(pod, taken.container_id)
        except RuntimeFault:
            self._network.free(address)
            raise
        return await self._start(container_id)

    async def _create(self, spec: ContainerSpec) -> str:
        try:
            return await self._runtime.create(spec)
        except NotThere:
            # The image is made when it is missed, not looked up before every pod.
            await self._pause.ensure()
            return await self._runtime.create(spec)

    async def _finish(self, pod: Object, container_id: str) -> ContainerState:
        state = await self._runtime.inspect(container_id)
        if state.phase == "exited":
            await self.remove(state)
            return await self.create(pod)
        return await self._start(container_id)

    async def _start(self, container_id: str) -> ContainerState:
        try:
            await self._runtime.start(container_id)
            state = await self._runtime.inspect(container_id)
            if state.phase != "running":
                raise RuntimeFault(f"the sandbox ended at once: {state.error or state.exit_code}")
            await self.wire(state)
        except (RuntimeFault, NetworkFault):
            await self.remove(await self._runtime.inspect(container_id))
            raise
        self._store.put(state)
        return state

    async def adopt(self, state: ContainerState) -> None:
        """Take over a sandbox of an earlier life. Raises NetworkFault if it cannot be wired."""
        if state.phase != "running" or state.id in self._wired:
            return
        if self._network.ready:
            await self.wire(state)
        elif not state.labels.get(POD_IP) or self._network.is_attached(state.id):
            self._wired.add(state.id)

    async def wire(self, state: ContainerState) -> None:
        """Make sure a running sandbox has its network. Raises NetworkFault."""
        address = state.labels.get(POD_IP, "")
        if address:
            await self._network.attach(state.id, state.pid, address)
        self._wired.add(state.id)

    async def remove(self, state: ContainerState) -> None:
        """Kill and remove; the address is free again."""
        try:
            await self._runtime.remove(state.id)
        except NotThere:
            self._log.debug("sandbox was gone", container=state.id)
        self._store.forget(state.id)
        self.gone(state)

    def gone(self, state: ContainerState) -> None:
        """Note that a sandbox is no more."""
        self._wired.discard(state.id)
        if address := state.labels.get(POD_IP, ""):
            self._network.free(address)
