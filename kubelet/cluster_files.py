"""Keeps the machine's files equal to what kube-public/cluster-info says: where the API servers are, and who vouches for them.

So a control plane that is added or taken away, and a CA that is being replaced, reach every machine without anybody going there.
The daemons read these files again when they change. A CA bundle that has no certificate in common with the present one is
refused: it would cut the machine off, and a CA is replaced by way of a bundle of both.
"""

from __future__ import annotations

import base64
import contextlib
import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog
import yaml

from api import resources
from api.types import Object
from client import cluster_info, kubeconfig
from client.backoff import Backoff
from client.clock import Clock, Timer
from client.cluster_info import ClusterInfo
from client.kubeconfig import SERVERS_EXTENSION, KubeconfigError
from client.reflector import Reflector
from client.rest import ApiClient
from kubelet import atomic
from kubelet.inotify import FolderWatch

_SETTLE_SECONDS = 1.0


def merged(config: dict[str, Any], ca: bytes | None, info: ClusterInfo) -> dict[str, Any]:
    """A kubeconfig whose current context knows the cluster as `info` does; `ca` is the bundle it has now. Pure.

    Its first server stays first as long as it is one; a server that never was among its others (a virtual IP) stays what it is.
    Raises ValueError for a bundle that has nothing in common with `ca`.
    """
    found = copy.deepcopy(config)
    context = next(c["context"] for c in found["contexts"] if c["name"] == found["current-context"])
    cluster = next(c["cluster"] for c in found["clusters"] if c["name"] == context["cluster"])
    extensions = list(cluster.get("extensions") or ())
    listed = [s for e in extensions if e["name"] == SERVERS_EXTENSION for s in e["extension"]["servers"]]
    first = str(cluster["server"]).rstrip("/")
    in_front = bool(listed) and first not in listed
    first = listed[0] if in_front else first
    servers = sorted(info.servers, key=lambda server: server != first)
    if not in_front:
        cluster["server"] = servers[0]
    others = [e for e in extensions if e["name"] != SERVERS_EXTENSION]
    ours = [{"name": SERVERS_EXTENSION, "extension": {"servers": servers}}] if len(servers) > 1 or in_front else []
    cluster["extensions"] = others + ours
    if not cluster["extensions"]:
        del cluster["extensions"]
    if ca is not None and succeeds(info.ca, ca):
        cluster.pop("certificate-authority", None)
        cluster["certificate-authority-data"] = base64.b64encode(info.ca).decode()
    return found


def succeeds(new: bytes, old: bytes) -> bool:
    """Whether a CA bundle is another than the present one and may take its place. Raises ValueError if it may not."""
    if new == old:
        return False
    if not cluster_info.certificates(new) & cluster_info.certificates(old):
        raise ValueError("the cluster's new CA bundle has no certificate in common with the present one")
    return True


class ClusterFiles:
    """Follows cluster-info with the node's identity. `ca_file`, if there is one, gets the CA bundle."""

    def __init__(self, client: ApiClient, clock: Clock, kubeconfigs: Sequence[Path], ca_file: Path | None) -> None:
        """Of the kubeconfigs, those that are there are kept; the others when they come."""
        self._client, self._clock, self._kubeconfigs, self._ca_file = client, clock, tuple(kubeconfigs), ca_file
        self._info: ClusterInfo | None = None
        self._timer: Timer | None = None
        self._retry = Backoff(first=_SETTLE_SECONDS, longest=60.0)
        self._log = structlog.get_logger("cluster-files")

    async def run(self) -> None:
        """Until cancelled."""
        reflector = Reflector(
            self._client, resources.CONFIGMAPS, self, namespace=cluster_info.NAMESPACE,
            field_selector=f"metadata.name={cluster_info.NAME}", clock=self._clock,
        )  # fmt: skip
        with contextlib.ExitStack() as ending:
            for folder in {path.parent for path in self._kubeconfigs}:
                ending.callback(FolderWatch(folder, self._soon).close)
            ending.callback(self._cancel)
            await reflector.run()

    def replace(self, objects: list[Object]) -> None:
        """Called by the reflector."""
        for obj in objects:
            self.apply("MODIFIED", obj)

    def apply(self, kind: str, obj: Object) -> None:
        """Called by the reflector. A cluster-info that is deleted or of no use changes nothing."""
        if kind == "DELETED":
            return
        try:
            self._info = cluster_info.parse(obj)
        except ValueError as error:
            self._log.error("cluster-info cannot be used", error=str(error))
            return
        self._cancel()
        self._write()

    def _soon(self, seconds: float = _SETTLE_SECONDS) -> None:
        """A file has come or changed, perhaps by our own doing: one look a little later, however often this is called."""
        if self._timer is None:
            self._timer = self._clock.call_later(seconds, self._write)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _write(self) -> None:
        """Write what differs; in the event loop, for these are small, seldom written, and have other writers in this process."""
        self._timer = None
        if self._info is None:
            return
        done = [self._succeeds(path, _write_kubeconfig, self._info) for path in self._kubeconfigs if path.exists()]
        if self._ca_file is not None:
            done.append(self._succeeds(self._ca_file, _write_ca, self._info))
        if all(done):
            self._retry.reset()
        else:
            self._soon(self._retry.next())

    def _succeeds(self, path: Path, write: Callable[[Path, ClusterInfo], bool], info: ClusterInfo) -> bool:
        try:
            if write(path, info):
                self._log.info("file follows the cluster", file=str(path), servers=info.servers)
        except (KubeconfigError, OSError, ValueError) as error:
            self._log.error("file does not follow the cluster", file=str(path), error=str(error))
            return False
        return True


def _write_kubeconfig(path: Path, info: ClusterInfo) -> bool:
    config, present = kubeconfig.read(path), kubeconfig.load(path)
    wanted = merged(config, present.ca, info)
    if wanted == config:
        return False
    atomic.replace(path, yaml.safe_dump(wanted, sort_keys=False).encode())
    return True


def _write_ca(path: Path, info: ClusterInfo) -> bool:
    if not succeeds(info.ca, path.read_bytes()):
        return False
    atomic.replace(path, info.ca)
    return True
