"""What a node looks at from time to time since nothing tells of it: memory, disk, images nobody uses."""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections.abc import Callable
from pathlib import Path

import structlog

from kubelet import machine
from kubelet.images import Images
from kubelet.node import NodeState
from kubelet.runtime import Runtime, RuntimeFault

_PERIOD_SECONDS = 60.0
_LIBC = ctypes.CDLL(None)
_MEMORY_FLOOR = 100 << 20
_DISK_FLOOR = 0.05
_IMAGES_HIGH, _IMAGES_LOW = 0.85, 0.80


class Housekeeping:
    """Keeps the pressure conditions and the list of images; collects images when the disk fills."""

    def __init__(
        self, runtime: Runtime, images: Images, root: Path, state: NodeState, changed: Callable[[], None]
    ) -> None:
        self._runtime, self._images, self._root, self._state, self._changed = runtime, images, root, state, changed
        self._log = structlog.get_logger("housekeeping")

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._look()
            except (RuntimeFault, OSError) as error:
                self._log.warning("housekeeping put off", error=str(error))
            await asyncio.sleep(_PERIOD_SECONDS)

    async def _look(self) -> None:
        memory, disk = machine.memory(), machine.disk(self._root)
        self._state.memory_low = memory.get("MemAvailable", _MEMORY_FLOOR) < _MEMORY_FLOOR
        self._state.disk_low = disk.free < disk.total * _DISK_FLOOR
        used = 1 - disk.free / disk.total
        if used > _IMAGES_HIGH:
            removed = await self._images.collect(int((used - _IMAGES_LOW) * disk.total))
            self._log.info("images collected", removed=len(removed), disk_used=round(used, 3))
        self._state.images = await self._runtime.images()
        self._changed()
        # Give back what a burst of pods has left in the allocator's free lists: malloc_trim(3).
        gc.collect()
        _LIBC.malloc_trim(0)
