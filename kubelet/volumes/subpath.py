"""`subPath`: one file or directory of a volume, safely. Blocking: call from a thread.

A container could have put a symlink into a shared volume that points out of it. So the path is opened beneath the volume
(openat2(2), RESOLVE_IN_ROOT) and what was opened, not its name, is what gets mounted (KEP-2333 tells the story).
"""

from __future__ import annotations

import ctypes
import os
import stat
from pathlib import Path

from kubelet.volumes import mounts
from kubelet.volumes.payload import VolumeFault

_LIBC = ctypes.CDLL(None, use_errno=True)
_SYS_OPENAT2 = 437
_RESOLVE_IN_ROOT = 0x10


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_beneath(root: Path, relative: str) -> int:
    """A path-only descriptor of `relative`, with `root` as the root directory of its symlinks. Raises OSError."""
    directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        how = _OpenHow(os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT)
        handle = _LIBC.syscall(_SYS_OPENAT2, directory, relative.encode(), ctypes.byref(how), ctypes.sizeof(how))
        if handle < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), relative)
        return int(handle)
    finally:
        os.close(directory)


def _make_directories(root: Path, relative: str) -> None:
    """Create what is missing of the path, one step at a time beneath the root."""
    done = "."
    for part in Path(relative).parts:
        handle = open_beneath(root, done)
        try:
            parent = Path(f"/proc/self/fd/{handle}")
            if not os.path.lexists(parent / part):
                (parent / part).mkdir(mode=0o750)
                # The parent's group and permissions, so that an fsGroup reaches the new directory.
                mode = Path(parent).stat().st_mode & 0o7777
                (parent / part).chmod(mode)
                os.chown(parent / part, Path(parent).stat().st_uid, Path(parent).stat().st_gid)
        finally:
            os.close(handle)
        done = f"{done}/{part}"


def prepare(volume: Path, relative: str, place: Path, *, create: bool) -> Path:
    """Mount `relative` of the volume at `place` and return `place`. Raises VolumeFault."""
    if relative.startswith("/") or ".." in Path(relative).parts:
        raise VolumeFault(f"subPath {relative!r} must be a relative path within the volume")
    try:
        if create:
            _make_directories(volume, relative)
        handle = open_beneath(volume, relative)
    except OSError as error:
        raise VolumeFault(f"failed to prepare subPath {relative!r}: {error.strerror}") from error
    try:
        opened = f"/proc/self/fd/{handle}"
        place.parent.mkdir(parents=True, exist_ok=True)
        if mounts.is_mounted(place):
            mounts.unmount(str(place))
        if stat.S_ISDIR(Path(opened).stat().st_mode):
            place.mkdir(exist_ok=True)
        else:
            place.touch()
        mounts.bind(opened, str(place))
    except OSError as error:
        raise VolumeFault(f"failed to mount subPath {relative!r}: {error.strerror}") from error
    finally:
        os.close(handle)
    return place
