"""The node's own objects: registration, Lease heartbeats, and a status that is written when it changes.

A Lease renewed every 10 s says that the kubelet lives; the status follows changes at once and is written anew every five
minutes without one. Source: Kubernetes' "Node heartbeats".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from api import meta, resources, timestamp
from api.errors import AlreadyExists, ApiError, NotFound
from api.types import Object
from api.version import GIT_VERSION
from client.backoff import Backoff
from client.clock import Clock
from client.rest import ApiClient
from kubelet import machine
from kubelet.resources import Capacity
from kubelet.runtime import EngineInfo, Image
from kubelet.settings import Settings

LEASE_NAMESPACE = "kube-node-lease"
_RENEWALS = 4
"""Renewals of the Lease within its duration."""
REPORT_SECONDS = 300.0
_MANAGED_BY = "volumes.kubernetes.io/controller-managed-attach-detach"
_IMAGES_SHOWN = 50


@dataclass(slots=True)
class NodeState:
    """What a node's status is made of. `problems` are reasons why it is not ready."""

    settings: Settings
    capacity: Capacity
    engine: EngineInfo | None = None
    problems: list[str] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    memory_low: bool = False
    disk_low: bool = False
    pids_low: bool = False
    pod_cidr: str = ""
    identity: dict[str, str] = field(default_factory=dict)


def labels(settings: Settings) -> dict[str, str]:
    """The labels a node registers with."""
    arch = machine.architecture()
    return {
        "beta.kubernetes.io/arch": arch,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": arch,
        "kubernetes.io/os": "linux",
        "kubernetes.io/hostname": settings.node,
        **settings.labels,
    }


def parse_taint(text: str) -> Object:
    """`key=value:Effect` or `key:Effect`."""
    left, _, effect = text.rpartition(":")
    key, _, value = left.partition("=")
    return {"key": key, "effect": effect} | ({"value": value} if value else {})


def node_object(settings: Settings, status: Object) -> Object:
    """The Node to create. Pure."""
    spec: Object = {}
    if settings.taints:
        spec["taints"] = [parse_taint(t) for t in settings.taints]
    if settings.provider_id:
        spec["providerID"] = settings.provider_id
    found = {"name": settings.node, "labels": labels(settings), "annotations": {_MANAGED_BY: "true"}}
    return {"metadata": found, "spec": spec, "status": status}


def _image_names(images: list[Image]) -> list[Object]:
    shown = sorted((i for i in images if i.tags or i.digests), key=lambda i: i.size, reverse=True)[:_IMAGES_SHOWN]
    return [{"names": [*i.digests, *i.tags], "sizeBytes": i.size} for i in shown]


def _conditions(state: NodeState, old: list[Object], now: str) -> list[Object]:
    result = [dict(c) for c in old]

    def put(kind: str, value: bool, good: tuple[str, str], bad: tuple[str, str], *, healthy: bool) -> None:
        reason, message = good if value == healthy else bad
        meta.set_condition(result, kind, str(value), reason, message, now=now, lastHeartbeatTime=now)

    put("MemoryPressure", state.memory_low,
        ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"), healthy=False)  # fmt: skip
    put("DiskPressure", state.disk_low,
        ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("KubeletHasDiskPressure", "kubelet has disk pressure"), healthy=False)  # fmt: skip
    put("PIDPressure", state.pids_low,
        ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"), healthy=False)  # fmt: skip
    put("Ready", not state.problems,
        ("KubeletReady", "kubelet is posting ready status"),
        ("KubeletNotReady", ", ".join(state.problems)), healthy=True)  # fmt: skip
    return result


def status(state: NodeState, old: Object, now: str) -> Object:
    """The node's status. Pure. `old` is the present one: capacity that others added (extended resources) stays."""
    engine = state.engine or EngineInfo("")
    addresses = [{"type": "InternalIP", "address": ip} for ip in state.settings.node_ips]
    addresses.append({"type": "Hostname", "address": state.settings.node})
    capacity, allocatable = state.capacity.as_capacity(), state.capacity.as_allocatable()
    return {
        "addresses": addresses,
        "capacity": _kept(old.get("capacity"), capacity),
        "allocatable": _kept(old.get("allocatable"), allocatable),
        "conditions": _conditions(state, old.get("conditions") or [], now),
        "daemonEndpoints": {"kubeletEndpoint": {"Port": state.settings.port}},
        "images": _image_names(state.images),
        "nodeInfo": {
            **state.identity,
            "kernelVersion": engine.kernel,
            "osImage": engine.os_image,
            "containerRuntimeVersion": f"docker://{engine.version}",
            "kubeletVersion": GIT_VERSION,
            "kubeProxyVersion": "",
        },
        "runtimeHandlers": [{"name": "", "features": {"recursiveReadOnlyMounts": False, "userNamespaces": False}}],
    }


def _kept(old: Object | None, new: dict[str, str]) -> dict[str, str]:
    return {**{k: v for k, v in (old or {}).items() if "/" in k}, **new}


def _without_times(found: Object) -> Object:
    conditions = [
        {k: v for k, v in c.items() if k not in ("lastHeartbeatTime", "lastTransitionTime")}
        for c in found.get("conditions") or ()
    ]
    return {**found, "conditions": sorted(conditions, key=lambda c: c["type"])}


def differs(old: Object, new: Object) -> bool:
    """Whether anything but heartbeat times has changed."""
    before = _without_times({k: old.get(k) for k in new})
    # What is empty may be missing in the API's answer.
    return {k: v for k, v in before.items() if v} != {k: v for k, v in _without_times(new).items() if v}


class NodeReporter:
    """Registers the node, renews its Lease, writes its status. `observe` gives the state of now."""

    def __init__(self, client: ApiClient, clock: Clock, observe: Callable[[], NodeState], settings: Settings) -> None:
        self._client, self._clock, self._observe, self._settings = client, clock, observe, settings
        self._renew_seconds = settings.lease_seconds / _RENEWALS
        self._changed = asyncio.Event()
        self._node: Object | None = None
        self.registered = asyncio.Event()
        self._log = structlog.get_logger("node")

    def changed(self) -> None:
        """Something the status shows may have changed."""
        self._changed.set()

    def seen(self, node: Object) -> None:
        """The Node as a watch shows it; our own last write may be newer."""
        if self._node is None or int(meta.resource_version(node)) >= int(meta.resource_version(self._node)):
            self._node = node

    async def run(self) -> None:
        """Until cancelled."""
        await self._register()
        self.registered.set()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._heartbeat(), name="lease")
            tasks.create_task(self._report(), name="node status")

    async def _register(self) -> None:
        retry = Backoff(first=0.2, longest=7.0)
        while True:
            try:
                await self._create()
                return
            except ApiError as error:
                self._log.warning("node not registered yet", error=error.message)
                await self._clock.sleep(retry.next())

    async def _create(self) -> None:
        name = self._settings.node
        try:
            self._node = await self._client.get(resources.NODES, name)
        except NotFound:
            if not self._settings.register:
                raise
            first = status(self._observe(), {}, timestamp.now())
            try:
                self._node = await self._client.create(resources.NODES, node_object(self._settings, first))
            except AlreadyExists:
                self._node = await self._client.get(resources.NODES, name)
            return
        wanted = labels(self._settings)
        present = self._node["metadata"].get("labels") or {}
        if any(present.get(k) != v for k, v in wanted.items()):
            change = {"metadata": {"labels": wanted, "annotations": {_MANAGED_BY: "true"}}}
            self._node = await self._client.patch(resources.NODES, name, change)

    async def _heartbeat(self) -> None:
        retry = Backoff(first=0.5, longest=5.0)
        while True:
            try:
                await self._renew()
                retry.reset()
            except ApiError as error:
                self._log.warning("lease not renewed", error=error.message)
                await self._clock.sleep(retry.next())
                continue
            await self._clock.sleep(self._renew_seconds)

    async def _renew(self) -> None:
        name = self._settings.node
        spec: Object = {
            "holderIdentity": name,
            "leaseDurationSeconds": self._settings.lease_seconds,
            "renewTime": timestamp.now_micro(),
        }
        try:
            await self._client.patch(resources.LEASES, name, {"spec": spec}, LEASE_NAMESPACE)
        except NotFound:
            await self._client.create(resources.LEASES, {"metadata": self._lease_meta(), "spec": spec}, LEASE_NAMESPACE)

    def _lease_meta(self) -> Object:
        found: Object = {"name": self._settings.node, "namespace": LEASE_NAMESPACE}
        if self._node:
            owner = meta.owner_reference(resources.NODES, self._node, controller=False)
            found["ownerReferences"] = [owner]
        return found

    async def _report(self) -> None:
        retry = Backoff(first=0.5, longest=5.0)
        written = 0.0
        while True:
            self._changed.clear()
            try:
                if await self._write(force=self._clock.now() - written >= REPORT_SECONDS or not written):
                    written = self._clock.now()
                retry.reset()
                timeout = self._renew_seconds
            except NotFound:
                self._log.warning("the node object was deleted, registering again")
                await self._register()
                continue
            except ApiError as error:
                self._log.warning("node status not written", error=error.message)
                timeout = retry.next()
            await self._wait(timeout)

    async def _wait(self, timeout: float) -> None:
        """Until something changed or it is time to look at memory and disk again."""
        try:
            async with asyncio.timeout(timeout):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _write(self, *, force: bool) -> bool:
        old: Object = (self._node or {}).get("status") or {}
        new = status(self._observe(), old, timestamp.now())
        if not force and not differs(old, new):
            return False
        patch: dict[str, Any] = {"status": new}
        gone = [a["type"] for a in old.get("addresses") or () if a["type"] not in {x["type"] for x in new["addresses"]}]
        patch["status"]["addresses"] = [*new["addresses"], *({"$patch": "delete", "type": t} for t in gone)]
        self._node = await self._client.patch(
            resources.NODES, self._settings.node, patch, subresource="status", kind="strategic"
        )
        return True
