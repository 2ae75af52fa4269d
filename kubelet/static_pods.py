"""Static pods: manifests in a folder of the node, run without the API, and shown in it as mirror pods.

Source: Kubernetes' "Create static Pods". A mirror pod bears the hash of its manifest; one that differs, or that somebody
deletes, is made anew. A manifest that cannot be read is logged and skipped; the others run.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import structlog
import yaml

from api import resources, timestamp
from api.errors import AlreadyExists, ApiError, NotFound
from api.pods import MIRROR
from api.types import Object
from client.backoff import Backoff
from client.clock import Clock
from client.rest import ApiClient
from kubelet.inotify import FolderWatch

HASH = "kubernetes.io/config.hash"
SOURCE = "kubernetes.io/config.source"
_SUFFIXES = (".yaml", ".yml", ".json")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEFAULTS: Object = {
    "restartPolicy": "Always",
    "dnsPolicy": "ClusterFirst",
    "terminationGracePeriodSeconds": 30,
    "enableServiceLinks": True,
    "schedulerName": "default-scheduler",
    "securityContext": {},
}


def static_pod(manifest: Object, node: str, path: str) -> Object:
    """The pod of a manifest: named after the node, its uid derived from node and content. Pure. Raises ValueError."""
    meta = manifest.get("metadata")
    if manifest.get("kind") != "Pod" or not isinstance(meta, dict) or not meta.get("name"):
        raise ValueError("not a Pod with a name")
    spec = manifest.get("spec")
    if not isinstance(spec, dict) or not spec.get("containers"):
        raise ValueError("spec.containers: Required value")
    digest = hashlib.sha256(f"{node}\n{path}\n{yaml.safe_dump(manifest)}".encode()).hexdigest()[:32]
    pod = copy.deepcopy(manifest)
    pod |= {"apiVersion": "v1", "kind": "Pod"}
    pod["metadata"] |= {
        "name": f"{meta['name']}-{node}",
        "namespace": meta.get("namespace") or "default",
        "uid": digest,
    }
    pod["metadata"]["annotations"] = {**(meta.get("annotations") or {}), HASH: digest, SOURCE: "file"}
    pod["spec"] = _DEFAULTS | spec | {"nodeName": node}
    everywhere = {"operator": "Exists", "effect": "NoExecute"}
    pod["spec"]["tolerations"] = [*(spec.get("tolerations") or ()), everywhere]
    return pod


def read_folder(folder: Path, node: str, complain: Callable[[str, str], None]) -> dict[str, Object]:
    """The static pods of a folder by uid. Blocking."""
    found = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix not in _SUFFIXES or path.name.startswith("."):
            continue
        try:
            for manifest in yaml.load_all(path.read_bytes(), _LOADER):
                if manifest:
                    pod = static_pod(manifest, node, path.name)
                    found[pod["metadata"]["uid"]] = pod
        except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
            complain(str(path), str(error))
    return found


class StaticPods:
    """Follows the manifest folder. `on_pods` gets all static pods whenever the folder changes."""

    def __init__(self, folder: Path, node: str, on_pods: Callable[[dict[str, Object]], None]) -> None:
        self._folder, self._node, self._on_pods = folder, node, on_pods
        self._changed = asyncio.Event()
        self._log = structlog.get_logger("static-pods")

    async def run(self) -> None:
        """Until cancelled."""
        self._folder.mkdir(parents=True, exist_ok=True)
        watch = FolderWatch(self._folder, self._changed.set)
        try:
            while True:
                self._changed.clear()
                self._on_pods(await asyncio.to_thread(read_folder, self._folder, self._node, self._complain))
                await self._changed.wait()
        finally:
            watch.close()

    def _complain(self, path: str, problem: str) -> None:
        self._log.error("manifest cannot be used", path=path, error=problem)


class Mirrors:
    """Keeps one mirror pod in the API for each static pod, from when the API shows the Node that owns them."""

    def __init__(self, client: ApiClient, clock: Clock, node: Callable[[], Object | None]) -> None:
        self._client, self._clock, self._node = client, clock, node
        self._static: dict[str, Object] = {}
        self._shown: dict[str, Object] = {}
        self._wake = asyncio.Event()
        self._log = structlog.get_logger("mirror")

    @staticmethod
    def _key(pod: Object) -> str:
        return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"

    def wake(self) -> None:
        """The Node has come, or changed."""
        self._wake.set()

    def set_static(self, pods: Iterable[Object]) -> None:
        """The static pods of now."""
        self._static = {self._key(pod): pod for pod in pods}
        self._wake.set()

    def seen(self, pod: Object) -> None:
        """A mirror pod in the API."""
        self._shown[self._key(pod)] = pod
        self._wake.set()

    def gone(self, pod: Object) -> None:
        """A mirror pod has left the API."""
        if self._shown.get(self._key(pod), pod)["metadata"]["uid"] == pod["metadata"]["uid"]:
            self._shown.pop(self._key(pod), None)
        self._wake.set()

    def of(self, static: Object) -> Object | None:
        """The API's object of a static pod, if it is there and current."""
        shown = self._shown.get(self._key(static))
        return shown if shown and self._current(static, shown) else None

    @staticmethod
    def _current(static: Object, shown: Object) -> bool:
        notes = shown["metadata"].get("annotations") or {}
        return not shown["metadata"].get("deletionTimestamp") and notes.get(MIRROR) == static["metadata"]["uid"]

    async def run(self) -> None:
        """Make and remove mirrors until cancelled."""
        retry = Backoff(first=0.5, longest=30.0)
        while True:
            self._wake.clear()
            try:
                await self._reconcile()
                retry.reset()
            except ApiError as error:
                self._log.warning("mirror pod not written", error=error.message)
                await self._clock.sleep(retry.next())
                continue
            await self._wake.wait()

    async def _reconcile(self) -> None:
        node = self._node()
        if node is None:
            return
        for key, shown in list(self._shown.items()):
            static = self._static.get(key)
            if static is None or not self._current(static, shown):
                await self._delete(shown)
        for key, static in list(self._static.items()):
            if key not in self._shown:
                await self._create(static, node)

    async def _delete(self, shown: Object) -> None:
        meta = shown["metadata"]
        try:
            await self._client.delete(
                resources.PODS, meta["name"], meta["namespace"], grace_period_seconds=0, uid=meta["uid"]
            )
        except NotFound:
            self.gone(shown)

    async def _create(self, static: Object, node: Object) -> None:
        mirror = copy.deepcopy(static)
        digest = mirror["metadata"].pop("uid")
        mirror["metadata"]["annotations"] |= {MIRROR: digest, "kubernetes.io/config.seen": timestamp.now()}
        mirror["metadata"]["ownerReferences"] = [
            {"apiVersion": "v1", "kind": "Node", "name": node["metadata"]["name"], "uid": node["metadata"]["uid"],
             "controller": True}
        ]  # fmt: skip
        try:
            self.seen(await self._client.create(resources.PODS, mirror))
        except AlreadyExists:
            self.seen(
                await self._client.get(resources.PODS, mirror["metadata"]["name"], mirror["metadata"]["namespace"])
            )
