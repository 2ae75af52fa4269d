"""Write a set of files so that readers see all of the old or all of the new: Kubernetes' `..data` symlink swap.

Layout: `..2026_01_01_00_00_00.1234/` holds the files, `..data` points to it, and each visible name points through `..data`.
Source: the behaviour documented under "Mounted ConfigMaps are updated automatically". Blocking: call from a thread.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class File:
    """A file's content, permission bits and owner (None leaves root)."""

    data: bytes
    mode: int = 0o644
    uid: int | None = None


Payload = Mapping[str, File]
"""Relative path → file."""


def current(target: Path) -> dict[str, tuple[bytes, int]]:
    """What a directory written before holds: path → (content, mode)."""
    base = target / "..data"
    if not base.exists():
        return {}
    root = base.resolve()
    files = [p for p in root.rglob("*") if p.is_file()]
    return {str(p.relative_to(root)): (p.read_bytes(), p.stat().st_mode & 0o777) for p in files}


def write(target: Path, payload: Payload, group: int | None = None) -> bool:
    """Make `target` show exactly `payload`; `group` is the pod's fsGroup. Whether anything changed. Raises OSError."""
    wanted = {path: (file.data, _mode(file, group)) for path, file in payload.items()}
    if (target / "..data").exists() and current(target) == wanted:
        return False
    fresh = target / f"..{time.strftime('%Y_%m_%d_%H_%M_%S', time.gmtime())}.{secrets.randbelow(10**9)}"
    fresh.mkdir(mode=0o755)
    fresh.chmod(0o755 if group is None else 0o2775)
    _own(fresh, None, group)
    for path, file in payload.items():
        _write_file(fresh, path, file, group)
    old = (target / "..data").resolve() if (target / "..data").is_symlink() else None
    swap = target / "..data_tmp"
    swap.unlink(missing_ok=True)
    swap.symlink_to(fresh.name)
    swap.rename(target / "..data")
    _link(target, payload)
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)
    return True


def _mode(file: File, group: int | None) -> int:
    return file.mode if group is None else file.mode | 0o440


def _own(path: Path, uid: int | None, group: int | None) -> None:
    if uid is not None or group is not None:
        os.chown(path, -1 if uid is None else uid, -1 if group is None else group)


def _write_file(root: Path, path: str, file: File, group: int | None) -> None:
    place = root / path
    for parent in reversed(place.relative_to(root).parents[:-1]):
        directory = root / parent
        if not directory.exists():
            directory.mkdir()
            directory.chmod(0o755 if group is None else 0o2775)
            _own(directory, None, group)
    place.write_bytes(file.data)
    _own(place, file.uid, group)
    place.chmod(_mode(file, group))


def _link(target: Path, payload: Payload) -> None:
    names = {path.split("/", 1)[0] for path in payload}
    for entry in target.iterdir():
        if entry.is_symlink() and not entry.name.startswith("..") and entry.name not in names:
            entry.unlink()
    for name in names:
        link = target / name
        if not link.is_symlink():
            link.symlink_to(f"..data/{name}")
