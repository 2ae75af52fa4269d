"""Pid files that cannot be fooled by a reused pid: they hold the pid and the process's start time."""

from __future__ import annotations

import os
from pathlib import Path


def start_time(pid: int) -> str | None:
    """The start time of a living process in clock ticks since boot, None when there is none (proc(5), field 22)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else fields[19]


def write(path: Path, pid: int) -> None:
    """Record a living process; the file appears whole or not at all."""
    partial = path.with_suffix(".tmp")
    partial.write_text(f"{pid} {start_time(pid) or ''}\n")
    partial.replace(path)


def read(path: Path) -> int | None:
    """The pid of the recorded process if that very process still lives, else None."""
    try:
        words = path.read_text().split()
    except OSError:
        return None
    if len(words) != 2 or not words[0].isdigit():
        return None
    pid = int(words[0])
    return pid if start_time(pid) == words[1] else None


def send_signal(path: Path, number: int) -> bool:
    """Signal the recorded process if it still lives; False when it does not."""
    pid = read(path)
    if pid is None:
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
