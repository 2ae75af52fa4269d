"""Disks that the kubelets keep: see docs/decisions/0004-disks-belong-to-a-folder.md.

A kubelet makes a disk when a pod first mounts it, in the folder (store) that a label of its Node names, so that creating one is
choosing the store. To remove one, an annotation asks every node of that store, and one of them answers there.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import structlog

from api import meta, quantity, resources
from api.errors import NotFound
from api.meta import name
from api.types import Object
from api.volumes import DISK_DRIVER, DISK_STORE, REMOVE, REMOVED, removal_annotation, removals
from client.controller import Context
from controllers.cloud.provider import CloudError, Disk, DiskBusy

# The smallest ext4 that leaves room for files.
_MIN_BYTES, _BLOCK = 16 << 20, 4096


class LocalDisks:
    """See the module."""

    driver = DISK_DRIVER

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._informer = context.informers.informer(resources.NODES)
        self._nodes = self._informer.lister
        self._log = structlog.get_logger("disks")

    def follow(self, changed: Callable[[str], None]) -> None:
        """`changed` is told the disks that a node answers about or was asked about when it went."""

        def tell(node: Object) -> None:
            for disk in removals(node):
                changed(disk)

        def compare(old: Object, new: Object) -> None:
            if removals(old) != removals(new):
                tell(new)

        self._informer.add_handler(tell, compare, tell)

    async def create(self, name: str, size: int, node: str) -> Disk:
        """Raises CloudError if the node keeps no disks, or could never keep one of this size."""
        size = max(_MIN_BYTES, (size + _BLOCK - 1) // _BLOCK * _BLOCK)
        chosen = self._nodes.get(node) if node else self._any(name)
        store = meta.labels(chosen).get(DISK_STORE) if chosen else None
        if chosen is None or not store:
            raise CloudError(f"node {node} keeps no disks" if node else "no node that is Ready keeps disks")
        storage = ((chosen.get("status") or {}).get("capacity") or {}).get("ephemeral-storage")
        if storage and size > quantity.value(storage):
            raise CloudError(f"{size} bytes are more than the filesystem of node {meta.name(chosen)} has ({storage})")
        return Disk(name, size, {DISK_STORE: store})

    def _any(self, disk: str) -> Object | None:
        """A node for a disk that no pod waits for: always the same for one disk, spread over all of them."""
        fit = [n for n in self._nodes.list() if DISK_STORE in meta.labels(n) and _is_ready(n)]
        return sorted(fit, key=name)[zlib.crc32(disk.encode()) % len(fit)] if fit else None

    async def delete(self, disk: Disk) -> None:
        """Raises DiskBusy until a node of the store has said that it is gone. Without such a node it has gone with them."""
        store = disk.topology.get(DISK_STORE, "")
        nodes = [n for n in self._nodes.list() if meta.labels(n).get(DISK_STORE) == store] if store else []
        if not nodes:
            self._log.warning("the nodes that could remove a disk have gone", disk=disk.handle)
            return
        if any(removals(node).get(disk.handle) == REMOVED for node in nodes):
            return
        for node in nodes:
            if disk.handle not in removals(node):
                await self._annotate(node, disk.handle, REMOVE)
        raise DiskBusy(f"disk {disk.handle} is being removed by node {', '.join(sorted(map(name, nodes)))}")

    async def keep(self, handle: str) -> None:
        """Take the annotations away."""
        for node in self._nodes.list():
            if handle in removals(node):
                await self._annotate(node, handle, None)

    async def _annotate(self, node: Object, disk: str, value: str | None) -> None:
        patch = {"metadata": {"annotations": {removal_annotation(disk): value}}}
        try:
            await self._client.patch(resources.NODES, name(node), patch)
        except NotFound:
            self._log.info("node has gone", node=name(node), disk=disk)


def _is_ready(node: Object) -> bool:
    ready = meta.get_condition(node, "Ready")
    return ready is not None and ready["status"] == "True"
