"""etcd's members, health and snapshots through the program `etcdctl` (Debian: `etcd-client`).

Understands the JSON of etcd 3.4 (Debian 12), 3.5 and 3.6, which differ in fields that are left out when they are empty.
Every call has a deadline. Errors are one line: what etcd said, without the client's log.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from client.command import CommandError, Commands

TIMEOUT = 5.0
"""Seconds one call may take, the wait for a connection included."""
SNAPSHOT_TIMEOUT = 600.0
_GRACE = 5.0
"""Seconds after etcdctl's own deadline after which it is killed."""
# A variable that says the same as a flag makes etcdctl refuse to run, and API=2 makes it another program.
CLEAN = (
    "env",
    *(f"--unset=ETCDCTL_{name}" for name in ("API", "ENDPOINTS", "CACERT", "CERT", "KEY", "USER", "PASSWORD")),
)
_DOWN = ("context deadline exceeded", "unhealthy cluster", "no leader", "leader changed", "request timed out")


class EtcdCtlError(Exception):
    """etcd or etcdctl refused; the text is one line for people."""


class EtcdUnavailable(EtcdCtlError):
    """No endpoint answers, or the cluster has no quorum: trying again may help."""


class LearnerNotReady(EtcdCtlError):
    """The learner has not caught up with the leader yet: promote it later."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the cluster. `name` is empty until it has started for the first time."""

    id: int
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]
    learner: bool = False


@dataclass(frozen=True, slots=True)
class Added:
    """A member that was just added, and the value of `--initial-cluster` it must be started with."""

    member: Member
    initial_cluster: str


@dataclass(frozen=True, slots=True)
class Health:
    """Whether an endpoint can commit a proposal; `error` says why not."""

    endpoint: str
    healthy: bool
    error: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """What one endpoint says of itself. `leader` is 0 when it knows none; `db_size` is in bytes."""

    endpoint: str
    cluster: int
    member: int
    leader: int
    version: str
    revision: int
    db_size: int
    raft_index: int
    raft_applied: int
    learner: bool
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hash:
    """etcd's hash of all revisions of one endpoint after `compact_revision` and up to `revision`."""

    endpoint: str
    hash: int
    revision: int
    compact_revision: int


class KeyValue(NamedTuple):
    """A key, its value and the revision that wrote it."""

    key: bytes
    value: bytes
    mod_revision: int


class EtcdCtl:
    """One etcd cluster, spoken to through `endpoints` (URLs) with a client certificate, or plainly without one."""

    def __init__(
        self,
        endpoints: Sequence[str],
        ca: Path | None = None,
        cert: Path | None = None,
        key: Path | None = None,
        *,
        commands: Commands | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        self.endpoints = tuple(endpoints)
        self._commands = commands or Commands()
        self._timeout = timeout
        files = {"cacert": ca, "cert": cert, "key": key}
        self._tls = [f"--{name}={path}" for name, path in files.items() if path is not None]

    async def members(self) -> list[Member]:
        """All members in the order of their names. Raises EtcdCtlError, as all methods do."""
        answer = await self._json("member", "list")
        return sorted(map(_member, answer["members"]), key=lambda member: (member.name, member.id))

    async def add_learner(self, name: str, peer_url: str) -> Added:
        """Add a member that follows without a vote, to be started under this name and URL."""
        answer = await self._json("member", "add", name, f"--peer-urls={peer_url}", "--learner")
        added = _member(answer["member"])
        peers = [
            f"{name if member.id == added.id else member.name}={url}"
            for member in map(_member, answer["members"])
            if member.name or member.id == added.id
            for url in member.peer_urls
        ]
        return Added(added, ",".join(peers))

    async def promote(self, member: int) -> None:
        """Give a learner its vote. Raises LearnerNotReady until it is in sync with the leader."""
        await self._run(self.endpoints, "member", "promote", f"{member:x}")  # as JSON etcdctl 3.4 panics after it

    async def remove(self, member: int) -> None:
        """Take a member out of the cluster. Raises EtcdUnavailable while etcd thinks that quorum would be at risk."""
        await self._run(self.endpoints, "member", "remove", f"{member:x}")

    async def health(self) -> list[Health]:
        """One entry per endpoint; does not raise for an endpoint that is down."""
        return list(await asyncio.gather(*map(self._health, self.endpoints)))

    async def status(self) -> list[Status]:
        """What the endpoints that answer say. Raises EtcdUnavailable when none does."""
        answers = await asyncio.gather(*map(self._status, self.endpoints), return_exceptions=True)
        found = [answer for answer in answers if isinstance(answer, Status)]
        failed = [answer for answer in answers if isinstance(answer, BaseException)]
        unexpected = next((error for error in failed if not isinstance(error, EtcdCtlError)), None)
        if unexpected or not found:
            raise unexpected or failed[0]
        return found

    async def hashes(self) -> list[Hash]:
        """etcd's own hash of each endpoint's keys, to compare members at the same revision."""
        return list(await asyncio.gather(*map(self._hash, self.endpoints)))

    async def snapshot_save(self, path: Path, timeout: float = SNAPSHOT_TIMEOUT) -> None:
        """Have the first endpoint's whole store in a file, with etcd's checksum at its end."""
        await self._run(self.endpoints[:1], "snapshot", "save", str(path), timeout=timeout)

    async def compact(self, revision: int) -> None:
        """Forget history before `revision`, and return when that is done; also when it was done before."""
        try:
            await self._run(self.endpoints, "compaction", str(revision), "--physical")
        except EtcdCtlError as error:
            if "has been compacted" not in str(error):
                raise

    async def page(self, start: bytes, end: bytes, *, limit: int, revision: int) -> list[KeyValue]:
        """At most `limit` keys from `start` up to but not including `end` as they were at a revision, in order."""
        options = (f"--limit={limit}", f"--rev={revision}")
        answer = await self._json("get", start.decode(), end.decode(), *options)
        return [
            KeyValue(b64decode(row["key"]), b64decode(row.get("value", "")), row["mod_revision"])
            for row in answer.get("kvs", ())
        ]

    async def _health(self, endpoint: str) -> Health:
        try:
            await self._run((endpoint,), "endpoint", "health")
        except EtcdCtlError as error:
            return Health(endpoint, False, str(error))
        return Health(endpoint, True)

    async def _status(self, endpoint: str) -> Status:
        [row] = await self._json("endpoint", "status", endpoints=(endpoint,))
        status = row["Status"]
        header = status["header"]
        return Status(
            endpoint=endpoint,
            cluster=header["cluster_id"],
            member=header["member_id"],
            leader=status.get("leader", 0),
            version=status["version"],
            revision=header.get("revision", 0),
            db_size=status["dbSize"],
            raft_index=status["raftIndex"],
            raft_applied=status.get("raftAppliedIndex", 0),
            learner=status.get("isLearner", False),
            errors=tuple(status.get("errors", ())),
        )

    async def _hash(self, endpoint: str) -> Hash:
        [row] = await self._json("endpoint", "hashkv", endpoints=(endpoint,))
        answer = row["HashKV"]
        revision = answer.get("hash_revision", answer["header"]["revision"])
        return Hash(endpoint, answer.get("hash", 0), revision, answer.get("compact_revision", 0))

    async def _json(self, *argv: str, endpoints: Sequence[str] = ()) -> Any:
        return json.loads(await self._run(endpoints or self.endpoints, *argv, "--write-out=json"))

    async def _run(self, endpoints: Sequence[str], *argv: str, timeout: float = 0.0) -> str:
        seconds = timeout or self._timeout
        flags = (f"--endpoints={','.join(endpoints)}", f"--command-timeout={seconds:g}s", "--dial-timeout=2s")
        line = (*CLEAN, "etcdctl", *flags, *self._tls, *argv)
        try:
            return await self._commands.run(*line, timeout=seconds + _GRACE)
        except CommandError as error:
            raise _explain(error, endpoints) from error


def _member(row: dict[str, Any]) -> Member:
    return Member(
        row["ID"],
        row.get("name", ""),
        tuple(row.get("peerURLs", ())),
        tuple(row.get("clientURLs", ())),
        row.get("isLearner", False),
    )


def _explain(error: CommandError, endpoints: Sequence[str]) -> EtcdCtlError:
    """etcdctl's last words instead of its log, which is JSON on the same stream."""
    if error.code == 127:
        return EtcdCtlError("the program etcdctl is not there: apt-get install etcd-client")
    said = [line for line in error.stderr.splitlines() if not line.startswith("{")] or [str(error)]
    text = next((line for line in said if line.startswith("Error: ")), said[0])
    if "etcdserver: unhealthy cluster" in text:
        return EtcdUnavailable("etcd does not change its members before all of them have been in touch for 5 s")
    text = text.removeprefix("Error: ").removeprefix("etcdserver: ")
    if "in sync with leader" in text:
        return LearnerNotReady(f"etcd: {text}")
    if error.code is None or any(words in text for words in _DOWN):
        return EtcdUnavailable(
            f"etcd does not answer at {', '.join(endpoints)} ({text}): is cloudlet-etcd running there?"
        )
    return EtcdCtlError(f"etcd: {text}")
