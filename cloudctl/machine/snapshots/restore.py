"""A machine becomes the first control plane of a restored cluster: data and keys first, everything else is `init`'s."""

from __future__ import annotations

import asyncio
import datetime
import fcntl
import secrets
from dataclasses import dataclass
from pathlib import Path

from client.command import Commands
from cloudctl.machine.etcdctl import EtcdCtlError
from cloudctl.machine.snapshots import archive, contents, keys, rebuild, room
from cloudctl.machine.snapshots.bolt import BoltError
from cloudctl.machine.snapshots.manifest import STORE, Manifest, SnapshotError


@dataclass(frozen=True, slots=True)
class Restored:
    """What `restore` left: a store that begins at `revision`, and in the folder `aside` what stood in the way, if anything."""

    manifest: Manifest
    revision: int
    aside: Path | None = None


async def restore(
    path: Path,
    home: Path,
    *,
    name: str,
    peer_url: str,
    now: datetime.datetime,
    force: bool = False,
    commands: Commands | None = None,
) -> Restored:
    """Put the snapshot's store into `home/etcd` and its keys into `home/pki`, as the member `name` at `peer_url`.

    Nothing below `home` changes before the new store is complete and found equal to what was saved. What is there already is
    refused, or with `force` moved to `home/before-restore-TIME`. The files belong to whoever runs this. Raises SnapshotError.
    """
    manifest = await asyncio.to_thread(archive.inspect, path)
    _refuse(home, force)
    try:
        with room.workshop(home, ".restore-", 2 * manifest.files[STORE].size) as work:
            await asyncio.to_thread(archive.unpack, path, work)
            token = f"restored-{secrets.token_hex(8)}"
            await rebuild.rebuild(
                work / STORE, work / "etcd", name=name, peer_url=peer_url, token=token, commands=commands or Commands()
            )
            found = await asyncio.to_thread(contents.of_file, rebuild.database(work / "etcd"))
            _require_equal(manifest.contents, found)
            aside = _install(work, home, home / f"before-restore-{now:%Y%m%dT%H%M%SZ}")
    except BoltError as error:
        raise SnapshotError(f"the restored store is damaged: {error}") from error
    except OSError as error:
        raise SnapshotError(f"{error.filename or home} cannot be written: {error.strerror}") from error
    return Restored(manifest, found.revision, aside)


async def verify(reader: contents.Reader, restored: Restored) -> list[str]:
    """One line for each thing that the running store was found to have as it was saved. Raises SnapshotError."""
    try:
        found = await contents.of_etcd(reader, restored.revision)
    except EtcdCtlError as error:
        raise SnapshotError(f"the restored store cannot be read: {error}") from error
    wanted = restored.manifest.contents
    _require_equal(wanted, found)
    return [
        f"revision: {found.revision}, after {wanted.revision} in the snapshot",
        f"objects: {found.total} of {len(found.objects)} resources, as many of each as in the snapshot",
        f"hash: {found.digest}, as in the snapshot",
    ]


def _require_equal(wanted: contents.Contents, found: contents.Contents) -> None:
    wrong = contents.differences(wanted, found)
    if wrong:
        raise SnapshotError(f"the restored store is not what was saved: {'; '.join(wrong)}")


def _refuse(home: Path, force: bool) -> None:
    if _in_use(rebuild.database(home / "etcd")):
        raise SnapshotError(
            f"etcd runs on {home / 'etcd'}: stop the control plane first (systemctl stop cloudlet-etcd)"
        )
    there = [
        path for path in (home / "etcd" / "member", *(home / "pki" / name for name in keys.REQUIRED)) if path.exists()
    ]
    if there and not force:
        raise SnapshotError(
            f"this machine belongs to a cluster already ({there[0]} is there): "
            "--force sets its data and keys aside, `cloudctl reset` removes them"
        )


def _in_use(database: Path) -> bool:
    """Whether an etcd has the database open, whoever started it: it holds a lock on the file."""
    try:
        with database.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _install(work: Path, home: Path, aside: Path) -> Path | None:
    """Move the new folders to their place, and what stands there to `aside`; None when nothing stood there."""
    moved = False
    for part in ("pki", "etcd"):
        old = home / part
        if old.exists() and not any(old.iterdir()):
            old.rmdir()
        elif old.exists():
            aside.mkdir(mode=0o700, exist_ok=True)
            old.rename(aside / part)
            moved = True
        (work / part).rename(old)
    archive.sync_folder(home)
    return aside if moved else None
