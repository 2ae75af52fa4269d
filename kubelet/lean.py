"""Imported first by the kubelet's process: keeps out of memory what a node agent has no use for.

structlog loads a terminal library where it finds one, for colours that go to no terminal; requests loads one that guesses
the encoding of texts, and Docker speaks UTF-8: together 7 MiB of every node. And each thread of the C library's allocator
gets an arena of its own unless told otherwise: mallopt(3).
"""

from __future__ import annotations

import ctypes
import sys
import warnings

_M_ARENA_MAX = -8
_UNUSED = ("rich", "pygments", "charset_normalizer", "chardet")

for _name in _UNUSED:
    sys.modules.setdefault(_name, None)  # type: ignore[arg-type]
warnings.filterwarnings("ignore", message="Unable to find acceptable character detection dependency")
ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)
