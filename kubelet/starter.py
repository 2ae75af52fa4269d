"""Starts one container of a pod: image, environment, mounts, security, limits, then create and start.

Every failure is a StartFault with the reason that the container's `waiting` state shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from api import resources as kinds
from api.types import Object
from kubelet import environment, hosts, podspec, security
from kubelet.environment import EnvironmentFault
from kubelet.images import ImageFault, Images
from kubelet.references import Reference, References
from kubelet.resources import Capacity, container_resources
from kubelet.runtime import (
    ATTEMPT,
    CONTAINER_NAME,
    HASH,
    KIND,
    SANDBOX,
    Bind,
    ContainerSpec,
    ContainerState,
    EngineDown,
    Image,
    NameTaken,
    Runtime,
    RuntimeFault,
    StartError,
)
from kubelet.sandbox import container_name, pod_labels
from kubelet.security import SecurityFault
from kubelet.settings import Settings
from kubelet.store import ContainerStore
from kubelet.volumes import manager, subpath
from kubelet.volumes.manager import Mounted
from kubelet.volumes.paths import PodPaths
from kubelet.volumes.payload import VolumeFault

_PROPAGATION = {"HostToContainer": "rslave", "Bidirectional": "rshared"}
Tell = Callable[[str, str, str], None]
"""(event type, reason, message) about the container."""


class StartFault(Exception):
    """The container cannot be started now; try again after `until` (seconds since 1970, 0 for the usual delay)."""

    def __init__(self, reason: str, message: str, until: float = 0.0) -> None:
        super().__init__(message)
        self.reason, self.until = reason, until


@dataclass(frozen=True, slots=True)
class Place:
    """Where a container is started: its pod, the live sandbox, the pod's volumes and addresses."""

    pod: Object
    sandbox: ContainerState
    volumes: Mapping[str, Mounted]
    ips: Sequence[str]


@dataclass(frozen=True, slots=True)
class Services:
    """The cluster's Services as environment variables need them."""

    all: Callable[[], Sequence[Object]]
    api: Callable[[], Object | None]


class Starter:
    """Starts containers of this node."""

    def __init__(
        self, runtime: Runtime, images: Images, references: References, services: Services, store: ContainerStore,
        settings: Settings, capacity: Callable[[], Capacity],
    ) -> None:  # fmt: skip
        self._runtime, self._images, self._references, self._services = runtime, images, references, services
        self._store, self._settings, self._capacity = store, settings, capacity

    async def start(self, place: Place, container: Object, attempt: int, tell: Tell) -> ContainerState:
        """Start an attempt, or finish one that an earlier life began. Raises StartFault, EngineDown."""
        try:
            image = await self._images.ensure(container, self._pull_secrets(place.pod), tell)
            spec = await self._spec(place, container, attempt, image)
        except ImageFault as fault:
            raise StartFault(fault.reason, str(fault), fault.until) from fault
        except (EnvironmentFault, SecurityFault, VolumeFault) as fault:
            tell("Warning", "Failed", f"Error: {fault}")
            raise StartFault("CreateContainerConfigError", str(fault)) from fault
        except OSError as error:
            raise StartFault("CreateContainerError", str(error)) from error
        return await self._run(spec, container, tell)

    async def _run(self, spec: ContainerSpec, container: Object, tell: Tell) -> ContainerState:
        try:
            container_id, new = await self._create(spec)
            if new:
                tell("Normal", "Created", f"Container created: {container['name']}")
        except EngineDown:
            raise
        except RuntimeFault as fault:
            tell("Warning", "Failed", f"Error: {fault}")
            raise StartFault("CreateContainerError", str(fault)) from fault
        try:
            await self._runtime.start(container_id)
        except StartError as error:
            tell("Warning", "Failed", f"Error: {error}")
        else:
            tell("Normal", "Started", f"Container started: {container['name']}")
        state = await self._runtime.inspect(container_id)
        self._store.put(state)
        return state

    async def _create(self, spec: ContainerSpec) -> tuple[str, bool]:
        """The container's id, and whether it is new: an earlier life may have made it and not started it."""
        try:
            return await self._runtime.create(spec), True
        except NameTaken as taken:
            present = await self._runtime.inspect(taken.container_id)
        if present.started_at or present.sandbox == spec.labels[SANDBOX]:
            return present.id, False
        # Docker was restarted in between, say: it can never start, because the sandbox that it is to join is gone.
        await self._runtime.remove(present.id)
        return await self._runtime.create(spec), True

    def _pull_secrets(self, pod: Object) -> list[Object]:
        space = pod["metadata"].get("namespace", "default")
        names = [s.get("name", "") for s in pod["spec"].get("imagePullSecrets") or ()]
        found = [self._references.get(Reference(kinds.SECRETS, space, name)) for name in names]
        return [secret for secret in found if secret]

    def _environment(self, place: Place, container: Object) -> dict[str, str]:
        source = environment.Source(
            lookup=manager.lookup(self._references, place.pod["metadata"].get("namespace", "default")),
            capacity=self._capacity(),
            services=self._services.all(),
            pod_ips=place.ips,
            node_ips=self._settings.node_ips,
            api_service=self._services.api(),
        )
        return environment.environment(place.pod, container, source)

    async def _spec(self, place: Place, container: Object, attempt: int, image: Image) -> ContainerSpec:
        pod, variables = place.pod, self._environment(place, container)
        paths = PodPaths(self._settings.root, pod["metadata"]["uid"])
        binds = await asyncio.to_thread(self._binds, place, container, attempt, variables, paths)
        labels = pod_labels(pod, self._settings) | {
            KIND: "container",
            CONTAINER_NAME: container["name"],
            ATTEMPT: str(attempt),
            HASH: podspec.container_hash(container),
            SANDBOX: place.sandbox.id,
        }
        command, arguments = container.get("command"), container.get("args")
        return ContainerSpec(
            name=container_name(pod, container["name"], attempt),
            image=image.id,
            labels=labels,
            entrypoint=tuple(environment.expand(w, variables) for w in command) if command else None,
            args=tuple(environment.expand(w, variables) for w in arguments) if arguments else None,
            env=tuple(f"{name}={value}" for name, value in variables.items()),
            working_dir=container.get("workingDir") or "",
            binds=tuple(binds),
            devices=_devices(container, place.volumes),
            network="host" if podspec.is_host_network(pod) else f"container:{place.sandbox.id}",
            ipc="host" if pod["spec"].get("hostIPC") else f"container:{place.sandbox.id}",
            pid=_pid(pod, container, place, self._store),
            tty=bool(container.get("tty")),
            stdin=bool(container.get("stdin")),
            stdin_once=bool(container.get("stdinOnce")),
            stop_signal=(container.get("lifecycle") or {}).get("stopSignal") or "",
            resources=container_resources(pod, container, self._capacity().memory),
            security=security.security(pod, container, image, self._settings.root),
        )

    def _binds(
        self, place: Place, container: Object, attempt: int, variables: Mapping[str, str], paths: PodPaths
    ) -> list[Bind]:
        """Everything mounted into a container. Blocking. Raises VolumeFault, OSError."""
        binds = []
        for index, mount in enumerate(container.get("volumeMounts") or ()):
            volume = place.volumes.get(mount["name"])
            if volume is None:
                raise VolumeFault(f'volume "{mount["name"]}" is not there to mount')
            source = _mount_source(
                mount, volume, variables, paths.subpaths / mount["name"] / container["name"] / str(index)
            )
            how = _PROPAGATION.get(mount.get("mountPropagation") or "", "rprivate")
            binds.append(Bind(str(source), mount["mountPath"], volume.read_only or bool(mount.get("readOnly")), how))
        targets = {bind.target for bind in binds}
        for name, path in self._files(place, paths):
            if name not in targets:
                binds.append(Bind(str(path), name))
        log = paths.termination_log(container["name"], attempt)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
        log.chmod(0o666)
        binds.append(Bind(str(log), container.get("terminationMessagePath") or "/dev/termination-log"))
        return binds

    def _files(self, place: Place, paths: PodPaths) -> list[tuple[str, Path]]:
        """The name service files, written anew."""
        domain = self._settings.cluster_domain
        node_hosts = Path("/etc/hosts").read_text() if podspec.is_host_network(place.pod) else None
        _rewrite(paths.hosts, hosts.hosts_file(place.pod, place.ips, domain, node_hosts))
        node = self._settings.resolv_conf
        text = node.read_text() if node.exists() else ""
        found = hosts.resolver(place.pod, hosts.Resolver.parse(text), self._settings.cluster_dns, domain)
        _rewrite(paths.resolv, found.text())
        return [("/etc/hosts", paths.hosts), ("/etc/resolv.conf", paths.resolv)]


def _rewrite(path: Path, text: str) -> None:
    """Give a file its content in place: containers that run have this very file mounted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        path.chmod(0o644)


def _mount_source(mount: Object, volume: Mounted, variables: Mapping[str, str], place: Path) -> Path:
    relative = mount.get("subPath") or ""
    if expression := mount.get("subPathExpr"):
        relative = environment.expand(expression, variables)
        if "$(" in relative:
            raise VolumeFault(f"missing value for {relative[relative.index('$(') + 2 :].partition(')')[0]}")
    if not relative:
        return volume.path
    return subpath.prepare(volume.path, relative, place, create=True)


def _devices(container: Object, volumes: Mapping[str, Mounted]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for device in container.get("volumeDevices") or ():
        volume = volumes.get(device["name"])
        if volume is None or not volume.block:
            raise VolumeFault(f'volume "{device["name"]}" is no block device')
        pairs.append((str(volume.path), device["devicePath"]))
    return tuple(pairs)


def _pid(pod: Object, container: Object, place: Place, store: ContainerStore) -> str:
    if pod["spec"].get("hostPID"):
        return "host"
    if pod["spec"].get("shareProcessNamespace"):
        return f"container:{place.sandbox.id}"
    target = container.get("targetContainerName")
    for state in store.pod(pod["metadata"]["uid"]):
        if target and state.container == target and state.phase == "running":
            return f"container:{state.id}"
    return ""
