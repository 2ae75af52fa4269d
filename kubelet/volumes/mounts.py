"""mount(2) and umount2(2), and what is mounted now (proc(5), mountinfo). Blocking: call from a thread."""

from __future__ import annotations

import ctypes
import os
import re
from dataclasses import dataclass
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND = 0x1, 0x2, 0x4, 0x20, 0x1000
_MNT_DETACH = 2
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mounted:
    """One line of mountinfo."""

    target: str
    kind: str
    source: str


def parse(text: str) -> list[Mounted]:
    """Read mountinfo."""
    result = []
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        kind, source = right.split(" ")[:2]
        result.append(Mounted(_plain(left.split(" ")[4]), kind, _plain(source)))
    return result


def _plain(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


def mounted() -> list[Mounted]:
    """Everything mounted in this mount namespace."""
    return parse(Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape"))


def is_mounted(target: Path) -> bool:
    """Whether something is mounted exactly there."""
    return any(m.target == str(target) for m in mounted())


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Raises OSError."""
    code = _LIBC.mount(
        source.encode(), target.encode(), kind.encode() or None, ctypes.c_ulong(flags), data.encode() or None
    )
    if code:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def tmpfs(target: Path, size: int = 0, mode: int = 0o755) -> None:
    """Mount memory at a directory unless something is mounted there. `size` in bytes, 0 for the kernel's default."""
    if not is_mounted(target):
        limit = f",size={size}" if size else ""
        mount("tmpfs", str(target), "tmpfs", MS_NOSUID | MS_NODEV, f"mode={mode:o}{limit}")


def bind(source: str, target: str) -> None:
    """Mount a file or directory a second time."""
    mount(source, target, flags=MS_BIND)


def unmount(target: str) -> None:
    """Unmount; a busy mount is detached now and ends with its last user. Raises OSError."""
    if _LIBC.umount2(target.encode(), 0) == 0:
        return
    if _LIBC.umount2(target.encode(), _MNT_DETACH):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def unmount_below(root: Path) -> None:
    """Unmount everything at and below a directory, deepest first. Raises OSError."""
    prefix = f"{root}/"
    targets = [m.target for m in mounted() if m.target == str(root) or m.target.startswith(prefix)]
    for target in reversed(targets):
        unmount(target)
