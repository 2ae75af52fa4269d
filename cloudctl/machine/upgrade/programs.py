"""The programs of a release on this machine: a folder of their own beside the present ones.

A folder is named by its wheel's version and contents, and is complete once its mark is there. From then on nothing in it is
changed, because daemons may run from it; one that was interrupted is made anew.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from client.command import Commands
from cloudctl.machine import node
from cloudctl.machine.upgrade.release import Release

_PREFIX, _MARK = "cloudlet-", ".complete"
_INSTALL_SECONDS = 300.0


def folder(present: Path, release: Release) -> Path:
    """Where a release belongs, beside the present programs. Pure."""
    return present.parent / f"{_PREFIX}{release.version}-{release.digest[:8]}"


async def install(present: Path, release: Release, commands: Commands) -> Path:
    """Have a copy of the present programs with the wheel in the place of the old one; returns its folder. Raises CommandError.

    What both have is one file with two names: 200 MB written at once would have etcd wait for its disk.
    What the release needs beyond the present libraries is taken from the wheel's folder, or fetched.
    """
    wanted = folder(present, release)
    if (wanted / _MARK).exists():
        return wanted
    try:
        await asyncio.to_thread(_copy, present, wanted)
        # The wheel whatever its version is, then what it needs: a library that is there and good enough is left alone.
        for flags in (("--no-deps", "--force-reinstall"), (f"--find-links={release.path.parent}",)):
            await commands.run(
                str(wanted / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                *flags, str(release.path), timeout=_INSTALL_SECONDS,
            )  # fmt: skip
    except BaseException:
        node.forget(wanted)
        raise
    (wanted / _MARK).touch()
    return wanted


def distrust(folder: Path) -> None:
    """Have it made anew the next time: what does not work may not be whole, after a power failure for instance."""
    (folder / _MARK).unlink(missing_ok=True)


def _copy(present: Path, wanted: Path) -> None:
    node.forget(wanted)
    shutil.copytree(present, wanted, symlinks=True, ignore=shutil.ignore_patterns(_MARK), copy_function=_share)


def _share(source: str, target: str) -> None:
    """pip replaces files and never writes into one that is there, so the present programs stay as they are."""
    try:
        os.link(source, target)
    except OSError:  # another filesystem, or one without such links
        shutil.copy2(source, target)


def forget_others(*kept: Path) -> None:
    """Remove what earlier upgrades have left, but for these folders."""
    for old in kept[0].parent.glob(f"{_PREFIX}*"):
        if (old / _MARK).exists() and old not in kept:
            node.forget(old)
