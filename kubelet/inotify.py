"""inotify(7) on one folder, as an asyncio callback: the kernel says when a file in it has come, gone or been written."""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _DELETE = 0x8, 0x40, 0x80, 0x200
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC


class FolderWatch:
    """Calls `changed` when a file in `folder` changes, until `close`. Raises OSError if the folder cannot be watched."""

    def __init__(self, folder: Path, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._handle = _LIBC.inotify_init1(_FLAGS)
        if self._handle < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        mask = ctypes.c_uint32(_CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _DELETE)
        if _LIBC.inotify_add_watch(self._handle, str(folder).encode(), mask) < 0:
            number = ctypes.get_errno()
            os.close(self._handle)
            raise OSError(number, os.strerror(number), str(folder))
        asyncio.get_running_loop().add_reader(self._handle, self._read)

    def _read(self) -> None:
        os.read(self._handle, 65536)
        self._changed()

    def close(self) -> None:
        """Stop watching."""
        asyncio.get_running_loop().remove_reader(self._handle)
        os.close(self._handle)
