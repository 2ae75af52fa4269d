"""What etcdctl prints, as other versions of it print it, and what people are told when it fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from client.command import CommandError
from cloudctl.machine.etcdctl import EtcdCtl, EtcdCtlError
from tests.unit.machine.programs import Recorded


async def test_a_missing_program_names_the_package() -> None:
    missing = Recorded(CommandError(("etcdctl",), 127, "env: 'etcdctl': No such file or directory"))
    with pytest.raises(EtcdCtlError, match="apt-get install etcd-client"):
        await EtcdCtl(["http://127.0.0.1:1"], commands=missing).members()


async def test_status_and_hash_as_etcd_3_6_prints_them() -> None:
    header = {"cluster_id": 2**63 + 1, "member_id": 7, "revision": 12, "raft_term": 2}
    status = {
        "header": header, "version": "3.6.1", "dbSize": 4096, "leader": 7, "raftIndex": 9, "raftTerm": 2,
        "raftAppliedIndex": 9, "dbSizeInUse": 4096, "storageVersion": "3.6.0", "dbSizeQuota": 2147483648,
        "downgradeInfo": {},
    }  # fmt: skip
    hashed = {"header": header, "hash": 5, "compact_revision": 3, "hash_revision": 11}
    commands = Recorded(
        json.dumps([{"Endpoint": "https://a:2379", "Status": status}]),
        json.dumps([{"Endpoint": "https://a:2379", "HashKV": hashed}]),
    )
    ctl = EtcdCtl(["https://a:2379"], Path("ca"), Path("cert"), Path("key"), commands=commands)
    [found] = await ctl.status()
    assert (found.version, found.cluster, found.revision) == ("3.6.1", 2**63 + 1, 12)
    [digest] = await ctl.hashes()
    assert (digest.hash, digest.revision, digest.compact_revision) == (5, 11, 3)
    assert {"--cacert=ca", "--cert=cert", "--key=key", "--endpoints=https://a:2379"} <= set(commands.lines[0])
