"""Snapshots of a real etcd: saved, damaged, restored into a new cluster and compared with what was saved."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from client.command import Commands
from cloudctl.cluster.pki import Authority, ensure_service_account_key
from cloudctl.machine.etcdctl import EtcdCtl, EtcdCtlError
from cloudctl.machine.snapshots import archive, contents
from cloudctl.machine.snapshots.manifest import Manifest, SnapshotError
from cloudctl.machine.snapshots.rebuild import JUMP, database
from cloudctl.machine.snapshots.restore import Restored, restore, verify
from cloudctl.machine.snapshots.save import save
from tests.api.cluster import free_port
from tests.api.machine.etcd import Etcd, running

NOW = datetime.datetime(2026, 1, 31, 4, 5, tzinfo=datetime.UTC)


def make_keys(home: Path) -> None:
    Authority.have(home / "pki", "ca", "kubernetes")
    Authority.have(home / "pki", "front-proxy-ca", "front-proxy-ca")
    Authority.have(home / "pki" / "etcd", "ca", "etcd-ca")
    ensure_service_account_key(home / "pki")


@dataclass
class Host:
    """A control plane's folders and its member."""

    home: Path
    etcd: Etcd

    async def save(self, path: Path) -> Manifest:
        return await save(path, self.etcd.ctl, self.home, self.home / "etc", NOW)


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    home = tmp_path / "vm-1"
    make_keys(home)
    (home / "etc").mkdir()
    (home / "etc" / "machine.yaml").write_text("nodeName: vm-1\n")
    async with running(home / "member") as etcd:
        for name in ("web-1", "web-2", "web-3"):
            await etcd.put(f"/registry/pods/shop/{name}", f"pod {name}")
        await etcd.put("/registry/nodes/vm-1", "node")
        await etcd.put("/registry/pods/shop/web-1", "pod web-1, changed")
        await Commands().run("etcdctl", f"--endpoints={etcd.url}", "del", "/registry/pods/shop/web-2")
        await etcd.put("unrelated", "")
        yield Host(home, etcd)


async def restored_to(home: Path, snapshot: Path, *, force: bool = False) -> tuple[Restored, Etcd]:
    """Restore onto a new machine; its member is not started yet."""
    member = Etcd(home, "vm-2")
    return await restore(snapshot, home, name="vm-2", peer_url=member.peer, now=NOW, force=force), member


async def test_a_restored_store_holds_what_was_saved_and_the_old_members_cannot_join_it(
    host: Host, tmp_path: Path
) -> None:
    snapshot = tmp_path / "backups" / "snapshot.tar.gz"
    saved = await host.save(snapshot)
    assert saved.contents.objects == {"nodes": 1, "pods": 2}
    assert snapshot.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in snapshot.parent.iterdir()] == ["snapshot.tar.gz"]
    assert archive.inspect(snapshot) == saved
    await host.etcd.put("/registry/pods/shop/web-4", "after the snapshot")

    home = tmp_path / "vm-2"
    restored, member = await restored_to(home, snapshot)
    assert restored.aside is None
    assert (home / "pki" / "etcd" / "ca.key").read_bytes() == (host.home / "pki" / "etcd" / "ca.key").read_bytes()
    (home / "etcd").rename(member.folder / "data")
    await member.start()
    try:
        await member.ready()
        lines = await verify(member.ctl, restored)
        assert [line.partition(":")[0] for line in lines] == ["revision", "objects", "hash"]
        [before], [after] = await host.etcd.ctl.status(), await member.ctl.status()
        assert after.cluster != before.cluster
        assert after.revision == saved.contents.revision + JUMP > before.revision
        assert [one.name for one in await member.ctl.members()] == ["vm-2"]
    finally:
        await member.stop()


async def test_revisions_of_before_the_restore_are_refused_not_answered_with_silence(
    host: Host, tmp_path: Path
) -> None:
    saved = await host.save(tmp_path / "snapshot.tar.gz")
    restored, member = await restored_to(tmp_path / "vm-2", tmp_path / "snapshot.tar.gz")
    (tmp_path / "vm-2" / "etcd").rename(member.folder / "data")
    for _ in range(2):  # also after a restart
        await member.start()
        try:
            await member.ready()
            for old in (saved.contents.revision, saved.contents.revision + 1000):
                with pytest.raises(EtcdCtlError, match="compacted"):
                    await member.ctl.page(b"/registry/", b"/registry0", limit=1, revision=old)
            await verify(member.ctl, restored)
            await member.put("/registry/pods/shop/web-5", "new")
            [status] = await member.ctl.status()
            assert status.revision > restored.revision
        finally:
            await member.stop()


async def test_a_restored_store_can_be_saved_and_restored_again(host: Host, tmp_path: Path) -> None:
    await host.save(tmp_path / "first.tar.gz")
    first, member = await restored_to(tmp_path / "vm-2", tmp_path / "first.tar.gz")
    (tmp_path / "vm-2" / "etcd").rename(member.folder / "data")
    (tmp_path / "vm-2" / "etc").mkdir()
    await member.start()
    try:
        await member.ready()
        await member.put("/registry/pods/shop/web-6", "new")
        again = await save(tmp_path / "second.tar.gz", member.ctl, tmp_path / "vm-2", tmp_path / "vm-2" / "etc", NOW)
    finally:
        await member.stop()
    assert again.contents.objects == {"nodes": 1, "pods": 3}
    second, _ = await restored_to(tmp_path / "vm-3", tmp_path / "second.tar.gz")
    assert second.revision == again.contents.revision + JUMP > first.revision + JUMP


async def test_many_objects_are_read_page_by_page_alike_from_file_and_server(host: Host, tmp_path: Path) -> None:
    keys = [f"/registry/events/shop/e-{number:04}" for number in range(1200)]
    for start in range(0, len(keys), 100):  # etcd takes 128 operations in a transaction
        lines = "".join(f"put {key} {'x' * 100}\n" for key in keys[start : start + 100])
        await Commands().run("etcdctl", f"--endpoints={host.etcd.url}", "txn", stdin=f"\n{lines}\n\n".encode())
    saved = await host.save(tmp_path / "snapshot.tar.gz")
    assert saved.contents.objects["events"] == 1200
    assert await contents.of_etcd(host.etcd.ctl, saved.contents.revision) == saved.contents


async def test_a_running_or_used_control_plane_is_refused_and_an_old_one_is_set_aside(
    host: Host, tmp_path: Path
) -> None:
    snapshot = tmp_path / "snapshot.tar.gz"
    await host.save(snapshot)
    (host.home / "member" / "data").rename(host.home / "etcd")  # etcd goes on with the files that it has open
    with pytest.raises(SnapshotError, match="stop the control plane first"):
        await restored_to(host.home, snapshot, force=True)
    await host.etcd.stop()
    with pytest.raises(SnapshotError, match=r"belongs to a cluster already.*--force"):
        await restored_to(host.home, snapshot)
    marked = contents.of_file(database(host.home / "etcd"))
    restored, _ = await restored_to(host.home, snapshot, force=True)
    assert restored.aside is not None
    assert contents.of_file(database(restored.aside / "etcd")) == marked
    assert (restored.aside / "pki" / "sa.key").exists()
    assert contents.of_file(database(host.home / "etcd")).digest == restored.manifest.contents.digest


async def test_a_store_that_differs_from_what_was_saved_is_not_taken(host: Host, tmp_path: Path) -> None:
    saved = await host.save(tmp_path / "snapshot.tar.gz")
    unpacked = tmp_path / "unpacked"
    archive.unpack(tmp_path / "snapshot.tar.gz", unpacked)
    other = contents.Contents(saved.contents.revision, {**saved.contents.objects, "pods": 3}, saved.contents.digest)
    forged = Manifest(saved.cluster, saved.taken, saved.cloudlet, saved.etcd, other, saved.files)
    archive.write(tmp_path / "forged.tar.gz", forged, {name: unpacked / name for name in saved.files})
    with pytest.raises(SnapshotError, match="pods: 2 objects instead of 3"):
        await restored_to(tmp_path / "vm-2", tmp_path / "forged.tar.gz")
    assert not list((tmp_path / "vm-2").glob("[!l]*"))


async def test_without_etcd_or_keys_nothing_is_saved(host: Host, tmp_path: Path) -> None:
    nobody = EtcdCtl([f"http://127.0.0.1:{free_port()}"], timeout=1)
    with pytest.raises(SnapshotError, match=r"etcd does not answer.*cloudlet-etcd"):
        await save(tmp_path / "out" / "s.tar.gz", nobody, host.home, host.home / "etc", NOW)
    shutil.rmtree(host.home / "pki")
    with pytest.raises(SnapshotError, match="no control plane"):
        await host.save(tmp_path / "out" / "s.tar.gz")
    assert not (tmp_path / "out").exists()
