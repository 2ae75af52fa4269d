"""Disks as image files: made complete or not at all, refused while another node has them, removed when asked for."""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from api import resources
from api.errors import ServiceUnavailable
from api.types import Object
from api.volumes import REMOVE, REMOVED, removal_annotation
from client.clock import FakeClock, settle
from client.command import CommandError, Commands
from kubelet.volumes.disks import ImageDisks, store_id
from kubelet.volumes.payload import VolumeFault
from kubelet.volumes.persistent import locate
from kubelet.volumes.removal import Removals
from tests.unit.kubelet.loops import FakeLoops, keep_their_promises

MIB = 1 << 20


class FakeCommands(Commands):
    """Remembers what it was asked to run; programs in `fail` fail."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[tuple[str, ...]] = []
        self.fail: set[str] = set()

    async def run(self, *argv: str, stdin: bytes | None = None, timeout: float = 30.0) -> str:
        self.ran.append(argv)
        if argv[0] in self.fail:
            raise CommandError(argv, 1, f"{argv[0]}: out of order")
        return ""

    def programs(self) -> list[str]:
        return [argv[0] for argv in self.ran]


class Bench:
    """A folder of disks and a kubelet's root."""

    def __init__(self, root: Path) -> None:
        self.folder, self.root = root / "disks", root
        store_id(self.folder)
        self.commands, self.loops = FakeCommands(), FakeLoops()
        self.disks = ImageDisks(self.folder, root, self.commands, self.loops)

    @property
    def image(self) -> Path:
        return self.folder / "a.img"

    def files(self) -> list[str]:
        return sorted(entry.name for entry in self.folder.iterdir() if entry.name != "id")

    async def mount(self, disk: str = "a", size: int = 16 * MIB) -> None:
        await self.disks.mount(disk, size, "ext4", self.root / "pods" / "u" / "mount")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_the_fake_loop_devices_keep_the_promises_of_real_ones(tmp_path: Path) -> None:
    (tmp_path / "image").touch()
    await keep_their_promises(FakeLoops(), tmp_path / "image")


def test_a_folder_keeps_its_id_and_no_two_have_the_same(tmp_path: Path) -> None:
    ids = {store_id(tmp_path / name) for name in ("a", "b", "a")}
    assert len(ids) == 2
    assert store_id(tmp_path / "a") == (tmp_path / "a" / "id").read_text()
    assert (tmp_path / "a").stat().st_mode & 0o077 == 0
    assert [entry.name for entry in (tmp_path / "a").iterdir()] == ["id"]


async def test_a_disk_is_made_at_first_use_sparse_and_private(bench: Bench) -> None:
    await bench.mount(size=1 << 30)
    found = bench.image.stat()
    assert (found.st_size, found.st_blocks, found.st_mode & 0o077) == (1 << 30, 0, 0)
    assert bench.commands.programs() == ["mkfs.ext4", "mount"]
    assert bench.files() == ["a.img"]


async def test_a_disk_that_is_there_is_only_mounted(bench: Bench) -> None:
    bench.image.write_bytes(b"precious")
    await bench.mount()
    assert bench.commands.programs() == ["mount"]
    assert bench.image.read_bytes() == b"precious"


async def test_a_disk_that_could_not_be_formatted_is_not_there(bench: Bench) -> None:
    bench.commands.fail = {"mkfs.ext4"}
    with pytest.raises(VolumeFault, match=r"making disk a failed: mkfs.ext4: out of order"):
        await bench.mount()
    assert bench.files() == []
    bench.commands.fail = set()
    await bench.mount()
    assert bench.files() == ["a.img"]


async def test_of_two_that_make_a_disk_at_once_one_wins(bench: Bench) -> None:
    other = ImageDisks(bench.folder, bench.root, bench.commands, bench.loops)
    places = [bench.root / "pods" / name for name in ("x", "y")]
    calls = (disks.mount("a", MIB, "ext4", place) for disks, place in zip((bench.disks, other), places, strict=True))
    await asyncio.gather(*calls, return_exceptions=True)
    assert bench.files() == ["a.img"]


async def test_more_than_there_can_be_is_refused(bench: Bench) -> None:
    with pytest.raises(VolumeFault, match="more than the filesystem"):
        await bench.mount(size=1 << 60)
    assert bench.files() == []


@pytest.mark.parametrize("name", ["../x", "a/b", "", "-a", "a..b", "A"])
async def test_names_cannot_leave_the_folder(bench: Bench, name: str) -> None:
    with pytest.raises(VolumeFault, match="no name of a disk"):
        await bench.mount(name)
    with pytest.raises(VolumeFault, match="no name of a disk"):
        await bench.disks.remove(name)


async def test_a_disk_that_another_node_of_the_machine_has_is_refused(bench: Bench) -> None:
    bench.image.touch()
    bench.loops.busy.add(await bench.loops.attach(bench.image))
    with pytest.raises(VolumeFault, match="disk a is still in use on this machine: /dev/loop0"):
        await bench.mount()
    bench.loops.busy.clear()
    await bench.mount()


async def test_while_another_kubelet_works_on_a_disk_it_is_refused(bench: Bench) -> None:
    bench.image.touch()
    descriptor = os.open(bench.image, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for attempt in (bench.mount(), bench.disks.remove("a")):
            with pytest.raises(VolumeFault, match="by another kubelet"):
                await attempt
    finally:
        os.close(descriptor)
    await bench.mount()


async def test_a_raw_disk_is_not_formatted_and_has_one_device(bench: Bench) -> None:
    assert await bench.disks.attach("a", MIB) == await bench.disks.attach("a", MIB) == "/dev/loop0"
    assert bench.commands.ran == []
    await bench.disks.remove("a")
    assert bench.loops.devices == {}
    assert bench.files() == []


async def test_a_disk_in_use_is_not_removed(bench: Bench) -> None:
    bench.loops.busy.add(await bench.disks.attach("a", MIB))
    with pytest.raises(VolumeFault, match="still in use"):
        await bench.disks.remove("a")
    assert bench.files() == ["a.img"]


async def test_a_disk_that_never_was_is_removed_at_once(bench: Bench) -> None:
    await bench.disks.remove("a")


def volume(driver: str = "disk.cloudlet.dev", **spec: Any) -> Object:
    csi = {"driver": driver, "volumeHandle": "pvc-1", "fsType": "ext4"}
    return {"metadata": {"name": "pvc-1"}, "spec": {"capacity": {"storage": "16Mi"}, "csi": csi, **spec}}


def test_what_a_volume_says_of_its_disk() -> None:
    found = locate(volume())
    assert (found.disk, found.size, found.filesystem, found.block) == ("pvc-1", 16 * MIB, "ext4", False)
    raw = locate(volume(volumeMode="Block"), read_only=True)
    assert (raw.disk, raw.filesystem, raw.block, raw.read_only) == ("pvc-1", "", True, True)
    with pytest.raises(VolumeFault, match="driver name other not found"):
        locate(volume("other"))


class FakeNodes:
    """The patches of one Node; `down` makes them fail."""

    def __init__(self) -> None:
        self.said: dict[str, str] = {}
        self.down = False

    async def patch(self, resource: Any, name: str, patch: Object, *_: Any) -> Object:
        if self.down:
            raise ServiceUnavailable("down")
        assert (resource, name) == (resources.NODES, "n1")
        self.said |= patch["metadata"]["annotations"]
        return {}


class FakeDisks:
    def __init__(self) -> None:
        self.removed: list[str] = []
        self.busy: set[str] = set()

    async def remove(self, disk: str) -> None:
        if disk in self.busy:
            raise VolumeFault("in use")
        self.removed.append(disk)


def node(**said: str) -> Object:
    return {"metadata": {"name": "n1", "annotations": {removal_annotation(k): v for k, v in said.items()} | {"x": "y"}}}


class Removing:
    """Removals at work."""

    def __init__(self) -> None:
        self.nodes, self.disks, self.clock = FakeNodes(), FakeDisks(), FakeClock()
        client: Any = self.nodes
        self.removals = Removals(client, "n1", self.disks, self.clock)

    async def __aenter__(self) -> Removing:
        self._task = asyncio.ensure_future(self.removals.run())
        await settle()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def see(self, **said: str) -> None:
        self.removals.seen(node(**said))
        await settle()


async def test_a_disk_is_removed_when_the_node_is_asked_and_the_answer_is_written() -> None:
    async with Removing() as work:
        await work.see(a=REMOVE, b=REMOVED)
        assert work.disks.removed == ["a"]
        assert work.nodes.said == {removal_annotation("a"): REMOVED}


async def test_a_disk_in_use_does_not_hold_up_others_and_is_tried_again() -> None:
    async with Removing() as work:
        work.disks.busy = {"a"}
        await work.see(a=REMOVE, b=REMOVE)
        assert work.disks.removed == ["b"]
        work.disks.busy = set()
        await work.clock.advance(1)
        assert "a" in work.disks.removed
        assert set(work.nodes.said) == {removal_annotation("a"), removal_annotation("b")}


async def test_a_wish_that_is_taken_back_is_forgotten() -> None:
    async with Removing() as work:
        work.disks.busy = {"a"}
        await work.see(a=REMOVE)
        await work.see()
        work.disks.busy = set()
        await work.clock.advance(60)
        assert work.disks.removed == []


async def test_an_answer_that_cannot_be_written_is_repeated() -> None:
    async with Removing() as work:
        work.nodes.down = True
        await work.see(a=REMOVE)
        work.nodes.down = False
        await work.clock.advance(1)
        assert work.nodes.said == {removal_annotation("a"): REMOVED}
