"""The archive: whole or refused, whatever happened to it, and never more than the snapshots that are to stay."""

from __future__ import annotations

import dataclasses
import datetime
import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from cloudctl.machine.snapshots import archive, keys, room
from cloudctl.machine.snapshots.bolt import BoltError, opened
from cloudctl.machine.snapshots.contents import Contents, differences
from cloudctl.machine.snapshots.manifest import STORE, File, Manifest, SnapshotError
from cloudctl.machine.snapshots.save import default_name, newest, prune

TAKEN = datetime.datetime(2026, 1, 31, 4, 5, tzinfo=datetime.UTC)


def make(folder: Path, **changes: object) -> tuple[Path, Manifest]:
    """An archive with a store that is no real one."""
    store, key = folder / "store", folder / "key"
    store.write_bytes(b"".join(hashlib.sha256(bytes([n])).digest() for n in range(10)) + bytes(3000))
    key.write_bytes(b"secret")
    sources = {STORE: store, "pki/etcd/ca.key": key}
    files = {name: archive.describe(source) for name, source in sources.items()}
    made = Manifest("cafe", TAKEN, "1.0", "3.4.23", Contents(7, {"pods": 2}, "d1"), files)
    made = dataclasses.replace(made, **changes)  # type: ignore[arg-type]
    path = folder / "snapshot.tar.gz"
    archive.write(path, made, sources)
    return path, made


def test_what_was_written_comes_back_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path, made = make(tmp_path)
    assert archive.inspect(path) == made
    assert archive.member(path, "pki/etcd/ca.key") == b"secret"
    assert archive.member(path, "machine.yaml") == b""
    target = tmp_path / "target"
    assert archive.unpack(path, target) == made
    assert (target / "pki" / "etcd" / "ca.key").read_bytes() == b"secret"
    modes = {each.stat().st_mode & 0o77 for each in (path, target / STORE, target / "pki/etcd/ca.key")}
    assert modes == {0}


def test_an_archive_with_any_byte_changed_is_refused(tmp_path: Path) -> None:
    path, _ = make(tmp_path)
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 0xFF,)) + whole[at + 1 :])
        with pytest.raises(SnapshotError, match=r"snapshot\.tar\.gz cannot be used: "):
            archive.inspect(path)


def test_an_archive_that_is_cut_off_anywhere_or_has_more_at_its_end_is_refused(tmp_path: Path) -> None:
    path, _ = make(tmp_path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(SnapshotError, match=r"snapshot\.tar\.gz cannot be used: .*(no snapshot|truncated)"):
            archive.inspect(path)
    path.write_bytes(whole + b"more")
    with pytest.raises(SnapshotError, match="damaged"):
        archive.inspect(path)


def test_files_that_are_no_snapshots_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "foreign"
    other = io.BytesIO()
    with tarfile.open(fileobj=other, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("README"))
    as_ours = io.BytesIO()
    with gzip.GzipFile("", "wb", 4, as_ours, mtime=0) as packed:
        packed.write(other.getvalue())
    for data in (b"", b"text", gzip.compress(other.getvalue()), as_ours.getvalue()):
        path.write_bytes(data)
        with pytest.raises(SnapshotError, match="no snapshot of a Cloudlet cluster") as caught:
            archive.inspect(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(SnapshotError, match=r"nowhere cannot be read: No such file"):
        archive.inspect(tmp_path / "nowhere")
    with pytest.raises(SnapshotError, match="cannot be read: Is a directory"):
        archive.inspect(tmp_path)


def test_a_format_of_the_future_is_named(tmp_path: Path) -> None:
    _, made = make(tmp_path)
    shown = json.loads(made.to_json())
    with pytest.raises(SnapshotError, match="version 2; this cloudctl reads version 1"):
        Manifest.from_json(json.dumps({**shown, "version": 2}).encode())
    for broken in (b"[]", b"{}", b"\xff", json.dumps({**shown, "files": {"x": 1}}).encode()):
        with pytest.raises(SnapshotError, match="no snapshot of a Cloudlet cluster"):
            Manifest.from_json(broken)


def test_members_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    outside = {"../evil": File(6, "0")}
    (tmp_path / "evil").write_bytes(b"secret")
    path = tmp_path / "snapshot.tar.gz"
    archive.write(path, dataclasses.replace(make(tmp_path)[1], files=outside), {"../evil": tmp_path / "evil"})
    with pytest.raises(SnapshotError, match="outside"):
        archive.unpack(path, tmp_path / "target")


def test_a_member_that_is_missing_or_another_is_named(tmp_path: Path) -> None:
    _, made = make(tmp_path)
    path = tmp_path / "snapshot.tar.gz"
    archive.write(path, made, {STORE: tmp_path / "store"})
    with pytest.raises(SnapshotError, match=r"pki/etcd/ca\.key is missing"):
        archive.inspect(path)
    (tmp_path / "key").write_bytes(b"change")
    archive.write(path, made, {STORE: tmp_path / "store", "pki/etcd/ca.key": tmp_path / "key"})
    with pytest.raises(SnapshotError, match="is not what was saved"):
        archive.inspect(path)


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path, made = make(tmp_path)
    before = path.read_bytes()
    with pytest.raises(FileNotFoundError):
        archive.write(path, made, {STORE: tmp_path / "nowhere"})
    assert path.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["key", "snapshot.tar.gz", "store"]


def test_only_the_newest_snapshots_stay_and_other_files_are_left_alone(tmp_path: Path) -> None:
    names = [default_name(TAKEN + datetime.timedelta(hours=hours)) for hours in range(5)]
    for name in (*names, "cloudlet-by-hand.tar.gz", "notes"):
        (tmp_path / name).touch()
    assert [path.name for path in prune(tmp_path, 2)] == names[:3]
    assert {path.name for path in tmp_path.iterdir()} == {*names[3:], "cloudlet-by-hand.tar.gz", "notes"}
    assert newest(tmp_path) == tmp_path / names[-1]
    assert newest(tmp_path / "nowhere") is None
    assert prune(tmp_path, 7) == []


def test_a_full_disk_is_noticed_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match=r"MiB free, and .* MiB are needed"), room.workshop(tmp_path, ".w", 1 << 60):
        pass
    with room.workshop(tmp_path / "new", ".w", 0) as folder:
        assert folder.parent == tmp_path / "new"
    assert list((tmp_path / "new").iterdir()) == []


def test_keys_of_a_rotation_under_way_are_saved_and_certificates_of_this_machine_are_not(tmp_path: Path) -> None:
    pki = tmp_path / "pki"
    (pki / "etcd").mkdir(parents=True)
    for name in (*keys.REQUIRED, "ca-next.crt", "ca-next.key", "apiserver.crt", "apiserver.key", "etcd/server.key"):
        (pki / name).touch()
    found = keys.collect(tmp_path, tmp_path)
    assert set(found) == {f"pki/{name}" for name in (*keys.REQUIRED, "ca-next.crt", "ca-next.key")}
    (tmp_path / "machine.yaml").touch()
    assert "machine.yaml" in keys.collect(tmp_path, tmp_path)
    (pki / "sa.key").unlink()
    with pytest.raises(SnapshotError, match=r"no control plane .*sa\.key"):
        keys.collect(tmp_path, tmp_path)


def test_what_differs_after_a_restore_is_said() -> None:
    saved = Contents(10, {"pods": 2, "nodes": 1}, "a")
    assert differences(saved, Contents(1000, {"pods": 2, "nodes": 1}, "a")) == []
    assert differences(saved, Contents(10, {"pods": 2, "nodes": 1}, "b")) == ["the hash of all objects differs"]
    assert differences(saved, Contents(9, {"pods": 1, "jobs": 1}, "a")) == [
        "jobs: 1 objects instead of 0",
        "nodes: 0 objects instead of 1",
        "pods: 1 objects instead of 2",
        "revision 9 is older than 10",
    ]


@pytest.mark.parametrize("data", [b"", b"short", bytes(8192), b"\xff" * 8192])
def test_files_that_are_no_databases_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "db").write_bytes(data)
    with pytest.raises(BoltError), opened(tmp_path / "db"):
        pass
