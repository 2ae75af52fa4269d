"""`hostPath`: a file or directory of the node, of the type the volume says. Blocking: call from a thread."""

from __future__ import annotations

import stat
from pathlib import Path

from kubelet.volumes.payload import VolumeFault

_TESTS = {
    "Directory": stat.S_ISDIR,
    "File": stat.S_ISREG,
    "Socket": stat.S_ISSOCK,
    "CharDevice": stat.S_ISCHR,
    "BlockDevice": stat.S_ISBLK,
}
_WORDS = {"Directory": "directory", "File": "file", "Socket": "socket file", "CharDevice": "character device",
          "BlockDevice": "block device"}  # fmt: skip


def prepare(path: str, kind: str) -> Path:
    """Check the path, or create it where the type asks for that. Raises VolumeFault."""
    place = Path(path)
    try:
        if kind in ("", "DirectoryOrCreate") and not place.exists():
            place.mkdir(mode=0o755, parents=True)
        elif kind == "FileOrCreate" and not place.exists():
            place.touch(mode=0o644)
        mode = place.stat().st_mode
    except OSError as error:
        raise VolumeFault(f"hostPath {path}: {error.strerror}") from error
    wanted = kind.removesuffix("OrCreate")
    test = _TESTS.get(wanted)
    if test and not test(mode):
        raise VolumeFault(f"hostPath type check failed: {path} is not a {_WORDS[wanted]}")
    return place
