"""Removes the disks that annotations of this Node ask for, and answers there: docs/decisions/0004-disks-belong-to-a-folder.md."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

from api import resources
from api.errors import ApiError
from api.types import Object
from api.volumes import REMOVE, REMOVED, removal_annotation, removals
from client.backoff import Backoff
from client.clock import Clock
from client.rest import ApiClient
from kubelet.volumes.payload import VolumeFault


class Removable(Protocol):
    """What is needed of the disks."""

    async def remove(self, disk: str) -> None:
        """Raises VolumeFault while it is in use; one that is not there is fine."""


class Removals:
    """One disk after the other; one that is in use is tried again."""

    def __init__(self, client: ApiClient, node: str, disks: Removable, clock: Clock) -> None:
        self._client, self._node, self._disks, self._clock = client, node, disks, clock
        self._wanted: set[str] = set()
        self._asked = asyncio.Event()
        self._log = structlog.get_logger("disks")

    def seen(self, node: Object) -> None:
        """The Node as the watch shows it now. A wish that is no longer there is dropped."""
        self._wanted = {disk for disk, said in removals(node).items() if said == REMOVE}
        if self._wanted:
            self._asked.set()

    async def run(self) -> None:
        """Until cancelled."""
        retry = Backoff(first=0.5, longest=15.0)
        while True:
            await self._asked.wait()
            self._asked.clear()
            if all([await self._remove(disk) for disk in sorted(self._wanted)]):
                retry.reset()
            else:
                await self._clock.sleep(retry.next())
                self._asked.set()

    async def _remove(self, disk: str) -> bool:
        try:
            await self._disks.remove(disk)
            answer = {"metadata": {"annotations": {removal_annotation(disk): REMOVED}}}
            await self._client.patch(resources.NODES, self._node, answer)
        except VolumeFault as error:
            self._log.warning("not removed yet", disk=disk, error=str(error))
            return False
        except ApiError as error:
            self._log.warning("removal not told yet", disk=disk, error=error.message)
            return False
        return True
