"""Whether a disk has room, asked before anything is written to it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cloudctl.machine.snapshots.manifest import SnapshotError

_MIB = 1 << 20
_RESERVE = 32 * _MIB


@contextmanager
def workshop(parent: Path, prefix: str, needed: int) -> Iterator[Path]:
    """A folder (mode 0700) below `parent`, which is made if need be, for as long as the context lasts.

    Raises SnapshotError when there is no room for `needed` bytes.
    """
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    require(parent, needed)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def require(folder: Path, needed: int) -> None:
    """Raises SnapshotError when the disk below an existing folder has no `needed` bytes and a little more."""
    free = shutil.disk_usage(folder).free
    if free < needed + _RESERVE:
        raise SnapshotError(
            f"{folder} has {free // _MIB} MiB free, and {(needed + _RESERVE) // _MIB} MiB are needed: "
            "make room, or use a folder on another disk"
        )
