"""Taking a snapshot, and keeping only the newest."""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cloudctl.machine.etcdctl import EtcdCtl, EtcdCtlError, Status
from cloudctl.machine.snapshots import archive, contents, keys, room
from cloudctl.machine.snapshots.bolt import BoltError
from cloudctl.machine.snapshots.manifest import STORE, Manifest, SnapshotError

_NAME = re.compile(r"cloudlet-\d{8}T\d{6}Z\.tar\.gz")
_CHECKSUM = 32
"""etcd appends the SHA-256 of the database to a snapshot."""


def default_name(now: datetime.datetime) -> str:
    """`cloudlet-20260131T040500Z.tar.gz`: names sort as times do. `now` is in UTC."""
    return f"cloudlet-{now:%Y%m%dT%H%M%SZ}.tar.gz"


async def save(path: Path, etcd: EtcdCtl, home: Path, etc: Path, now: datetime.datetime) -> Manifest:
    """Have a snapshot of the cluster at `path`, whole or not at all. Raises SnapshotError.

    `etcd` is the member of this machine, `home` and `etc` the folders of its data and settings.
    """
    sources = keys.collect(home, etc)
    _refuse_existing(path)
    try:
        status = await _caught_up(etcd)
        with room.workshop(path.parent, ".cloudlet-snapshot-", 2 * status.db_size) as work:
            await etcd.snapshot_save(work / STORE)
            return await asyncio.to_thread(_pack, path, {STORE: work / STORE, **sources}, status, now)
    except EtcdCtlError as error:
        raise SnapshotError(str(error)) from error
    except BoltError as error:
        raise SnapshotError(f"etcd's snapshot cannot be read: {error}") from error
    except OSError as error:
        raise SnapshotError(f"{error.filename or path} cannot be written: {error.strerror}") from error


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise SnapshotError(f"{path} is there already: give another name")


async def _caught_up(etcd: EtcdCtl) -> Status:
    """What the member says of itself once it has everything that was committed before; without a quorum there is an error.

    A compaction goes through all members' log, so a member that answers it is not behind. This one forgets nothing but
    makes the store note down how far it was compacted, which a restore relies on (`rebuild`).
    """
    await etcd.compact(1)
    [status] = await etcd.status()
    return status


def _pack(path: Path, sources: dict[str, Path], status: Status, now: datetime.datetime) -> Manifest:
    check(sources[STORE])
    manifest = Manifest(
        cluster=f"{status.cluster:x}",
        taken=now,
        cloudlet=_version(),
        etcd=status.version,
        contents=contents.of_file(sources[STORE]),
        files={name: archive.describe(source) for name, source in sources.items()},
    )
    archive.write(path, manifest, sources)
    return manifest


def check(database: Path) -> None:
    """Raises SnapshotError unless the checksum at the end of etcd's snapshot is that of what stands before it."""
    left = database.stat().st_size - _CHECKSUM
    digest = hashlib.sha256()
    with database.open("rb") as file:
        while left > 0 and (chunk := file.read(min(left, 1 << 20))):
            digest.update(chunk)
            left -= len(chunk)
        if file.read() != digest.digest():
            raise SnapshotError("etcd's snapshot did not arrive whole: try again")


def prune(folder: Path, keep: int) -> list[Path]:
    """Delete the oldest snapshots with a default name beyond `keep`, and return them; other files stay."""
    found = sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    old = found[: max(0, len(found) - keep)]
    for path in old:
        path.unlink()
    return old


def newest(folder: Path) -> Path | None:
    """The latest snapshot with a default name."""
    if not folder.is_dir():
        return None
    return max((path for path in folder.iterdir() if _NAME.fullmatch(path.name)), default=None)


def _version() -> str:
    try:
        return version("cloudlet")
    except PackageNotFoundError:
        return "unknown"
