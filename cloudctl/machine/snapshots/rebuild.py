"""etcd's data folder from a snapshot: a new cluster of one member, whose revisions continue far ahead of the old ones.

Clients remember revisions. Were those of a restored store to start where the snapshot ended, a client that has seen later ones
would be told nothing of the changes up to there, and would never know. So the store's revision jumps ahead by more than was
ever written after the snapshot, and all history before counts as compacted: whoever resumes a watch is told to list again.
Newer releases of etcd can do that (`--bump-revision`); for older ones, such as Debian 12's, the mark of the last compaction
is set in the database, from which etcd takes both when it starts. Source: etcd `mvcc/kvstore.go`, `restore`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from client.command import CommandError, Commands
from cloudctl.machine.etcdctl import CLEAN, SNAPSHOT_TIMEOUT
from cloudctl.machine.snapshots.bolt import BoltError, opened
from cloudctl.machine.snapshots.contents import COMPACTED
from cloudctl.machine.snapshots.manifest import SnapshotError

JUMP = 1_000_000_000
"""At 10,000 writes per second a snapshot may be a day old. Source: etcd's "Disaster recovery"."""


def database(data: Path) -> Path:
    """The database in a member's data folder."""
    return data / "member" / "snap" / "db"


async def rebuild(snapshot: Path, data: Path, *, name: str, peer_url: str, token: str, commands: Commands) -> None:
    """Make the data folder, which must not exist, of the only member of a cluster that `token` sets apart.

    Raises SnapshotError.
    """
    program = "etcdutl" if shutil.which("etcdutl") else "etcdctl"
    line = (*CLEAN, program, "snapshot", "restore")
    flags = (
        str(snapshot),
        f"--data-dir={data}",
        f"--name={name}",
        f"--initial-cluster={name}={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster-token={token}",
    )
    try:
        jumps = "--bump-revision" in await commands.run(*line, "--help")
        jump = (f"--bump-revision={JUMP}", "--mark-compacted") if jumps else ()
        await commands.run(*line, *flags, *jump, timeout=SNAPSHOT_TIMEOUT)
        if not jumps:
            _jump(database(data))
    except CommandError as error:
        if error.code == 127:
            raise SnapshotError("the program etcdctl is not there: apt-get install etcd-client") from error
        said = [line for line in error.stderr.splitlines() if not line.startswith("{")] or [str(error)]
        raise SnapshotError(f"{program} cannot restore the store: {said[-1]}") from error
    except BoltError as error:
        raise SnapshotError(f"the restored store is damaged: {error}") from error


def _jump(path: Path) -> None:
    with opened(path, writable=True) as store:
        last = max((int.from_bytes(item.key[:8], "big") for item in store.items(b"key")), default=0)
        mark = [item for item in store.items(b"meta") if item.key == COMPACTED]
        if not mark:
            raise BoltError("it was never compacted")
        main = max(last, int.from_bytes(store.value(mark[0])[:8], "big")) + JUMP
        store.overwrite(mark[0], main.to_bytes(8, "big") + b"_" + bytes(8))
