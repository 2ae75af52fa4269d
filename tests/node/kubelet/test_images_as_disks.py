"""Real image files and loop devices: a disk that is made, mounted, moved to another node of the machine, and removed."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from client.command import Commands
from kubelet.volumes import mounts
from kubelet.volumes.disks import ImageDisks, store_id
from kubelet.volumes.loop import KernelLoops
from kubelet.volumes.payload import VolumeFault
from tests.unit.kubelet.loops import keep_their_promises

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for loop devices")
SIZE = 32 << 20


class Node:
    """A kubelet's disks; all nodes of one machine share the folder."""

    def __init__(self, machine: Path, name: str) -> None:
        self.root = machine / name
        self.disks = ImageDisks(machine / "disks", self.root, Commands())

    def place(self, pod: str) -> Path:
        return self.root / "pods" / pod / "mount"

    async def mount(self, pod: str, disk: str = "pvc-1") -> Path:
        await self.disks.mount(disk, SIZE, "ext4", self.place(pod))
        return self.place(pod)

    def release(self, pod: str) -> None:
        mounts.unmount(str(self.place(pod)))


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Path]:
    store_id(tmp_path / "disks")
    yield tmp_path
    mounts.unmount_below(tmp_path)
    for device in devices(tmp_path):
        sh("losetup", "--detach", device)


def devices(root: Path) -> list[str]:
    listed = sh("losetup", "-l", "-n", "-O", "NAME,BACK-FILE").splitlines()
    return [line.split()[0] for line in listed if str(root) in line]


def sh(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout


async def test_the_kernels_loop_devices_keep_their_promises(tmp_path: Path) -> None:
    with (tmp_path / "image").open("wb") as image:
        image.truncate(1 << 20)
    await keep_their_promises(KernelLoops(Commands()), tmp_path / "image")


def test_nodes_of_devices_that_are_missing_are_made(tmp_path: Path) -> None:
    for _ in range(2):
        KernelLoops(Commands(), tmp_path).prepare()
    found = {entry.name: entry.stat() for entry in tmp_path.iterdir()}
    assert stat.S_ISCHR(found.pop("loop-control").st_mode)
    assert found
    for name, node in found.items():
        assert stat.S_ISBLK(node.st_mode)
        assert node.st_rdev == os.makedev(7, int(name.removeprefix("loop")))


async def test_data_moves_with_the_disk_once_the_first_node_has_let_go(machine: Path) -> None:
    one, two = Node(machine, "n1"), Node(machine, "n2")
    (await one.mount("a") / "file").write_text("kept")
    with pytest.raises(
        VolumeFault, match=r"disk pvc-1 is still in use on this machine: /dev/loop\d+, mounted at .*/n1/pods/a"
    ):
        await two.mount("b")
    with pytest.raises(VolumeFault, match="still in use"):
        await two.disks.remove("pvc-1")
    one.release("a")
    assert devices(machine) == [], "the last mount takes the device along"
    assert (await two.mount("b") / "file").read_text() == "kept"
    two.release("b")
    await one.disks.remove("pvc-1")
    assert [entry.name for entry in (machine / "disks").iterdir()] == ["id"]


async def test_two_pods_of_a_node_share_a_disk(machine: Path) -> None:
    node = Node(machine, "n1")
    first, second = await node.mount("a"), await node.mount("b")
    (first / "file").write_text("shared")
    assert (second / "file").read_text() == "shared"
    assert len(devices(machine)) == 1
    node.release("a")
    assert (second / "file").read_text() == "shared"
    await node.mount("b")
    node.release("b")
    assert devices(machine) == []


async def test_a_new_disk_has_the_size_asked_for_and_takes_no_space(machine: Path) -> None:
    node = Node(machine, "n1")
    await node.mount("a")
    found = (machine / "disks" / "pvc-1.img").stat()
    assert found.st_size == SIZE
    assert found.st_blocks * 512 < SIZE // 4
    node.release("a")


async def test_a_raw_disk_keeps_its_device_until_it_is_removed(machine: Path) -> None:
    one, two = Node(machine, "n1"), Node(machine, "n2")
    device = await one.disks.attach("raw", SIZE)
    assert await two.disks.attach("raw", SIZE) == device
    sh("dd", "if=/dev/zero", f"of={device}", "bs=4k", "count=1", "status=none")
    await one.disks.remove("raw")
    assert devices(machine) == []


async def test_a_mount_in_another_namespace_counts(machine: Path) -> None:
    one, two = Node(machine, "n1"), Node(machine, "n2")
    where = await one.mount("a")
    pipe = asyncio.subprocess.PIPE
    holder = await asyncio.create_subprocess_exec(
        "unshare", "--mount", "--propagation", "private", "sh", "-c", f"cd {where} && echo there && read line",
        stdin=pipe, stdout=pipe,
    )  # fmt: skip
    assert holder.stdout is not None
    async with asyncio.timeout(20):
        assert await holder.stdout.readline() == b"there\n"
    one.release("a")
    for attempt in (two.mount("b"), one.disks.remove("pvc-1")):
        with pytest.raises(VolumeFault, match="still in use"):
            await attempt
    async with asyncio.timeout(20):
        await holder.communicate(b"\n")
    await two.mount("b")
    two.release("b")
