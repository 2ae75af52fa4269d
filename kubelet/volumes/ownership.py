"""fsGroup: make a volume writable for the pod's group. Blocking: call from a thread.

Source: Kubernetes' "Configure a Security Context": the group owns everything, the set-gid bit makes new files follow.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

_READ_WRITE, _EXECUTE = 0o660, 0o110


def fs_group(pod: dict[str, object]) -> int | None:
    """The pod's fsGroup, or None."""
    spec = pod.get("spec")
    context = spec.get("securityContext") if isinstance(spec, dict) else None
    value = (context or {}).get("fsGroup")
    return None if value is None else int(value)


def apply(root: Path, group: int, *, only_if_needed: bool = False) -> None:
    """Change group and permissions of everything below `root`. Raises OSError.

    `only_if_needed` (fsGroupChangePolicy OnRootMismatch) trusts a root that is right already.
    """
    top = root.stat()
    if only_if_needed and top.st_gid == group and top.st_mode & stat.S_ISGID and top.st_mode & 0o070 == 0o070:
        return
    for folder, names, files in os.walk(root, topdown=False):
        for name in files + names:
            _change(os.path.join(folder, name), group)  # noqa: PTH118 (hot loop over plain strings)
    _change(str(root), group)


def _change(path: str, group: int) -> None:
    found = os.lstat(path)
    os.chown(path, -1, group, follow_symlinks=False)
    if stat.S_ISLNK(found.st_mode):
        return
    mode = stat.S_IMODE(found.st_mode) | _READ_WRITE
    if stat.S_ISDIR(found.st_mode):
        mode |= stat.S_ISGID | _EXECUTE
    os.chmod(path, mode)  # noqa: PTH101 (hot loop over plain strings)
