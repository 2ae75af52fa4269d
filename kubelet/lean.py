"""Imported first by the kubelet's process: keeps out of memory what a node agent has no use for.

structlog loads a terminal library where it finds one, for colours that go to no terminal; that is 4 MiB of every node. And
each thread of the C library's allocator gets an arena of its own unless told otherwise: mallopt(3).
"""

from __future__ import annotations

import ctypes
import sys

_M_ARENA_MAX = -8

sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)
