"""Real loop devices: an image that is formatted, mounted, moved and let go."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from client.command import Commands
from controllers.cloud.local.disks import LocalDisks
from controllers.cloud.local.loop import KernelLoops
from controllers.cloud.provider import DiskBusy

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for loop devices")


@pytest.fixture
async def disks(tmp_path: Path) -> AsyncIterator[LocalDisks]:
    disks = LocalDisks(tmp_path / "disks", KernelLoops(Commands()), lambda node: True)
    yield disks
    await disks.clean()
    assert devices(tmp_path) == []


def devices(root: Path) -> list[str]:
    listed = subprocess.run(("losetup", "-l", "-n", "-O", "NAME,BACK-FILE"), capture_output=True, text=True, check=True)
    return [line.split()[0] for line in listed.stdout.splitlines() if str(root) in line]


def sh(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout


async def test_data_moves_with_the_disk(disks: LocalDisks, tmp_path: Path) -> None:
    where = tmp_path / "mount"
    where.mkdir()
    await disks.create("pvc-1", 64 << 20)
    device = await disks.attach("pvc-1", "n1")
    assert devices(tmp_path) == [device]
    sh("mkfs.ext4", "-q", device)
    sh("mount", device, str(where))
    try:
        (where / "file").write_text("kept")
        with pytest.raises(DiskBusy):
            await disks.detach("pvc-1", "n1")
        assert devices(tmp_path) == [device]
    finally:
        sh("umount", str(where))
    await disks.detach("pvc-1", "n1")
    assert devices(tmp_path) == []
    device = await disks.attach("pvc-1", "n2")
    sh("mount", device, str(where))
    try:
        assert (where / "file").read_text() == "kept"
    finally:
        sh("umount", str(where))
    await disks.detach("pvc-1", "n2")
    await disks.delete("pvc-1")
    assert list((tmp_path / "disks").iterdir()) == []


async def test_another_process_finds_what_is_attached(disks: LocalDisks, tmp_path: Path) -> None:
    await disks.create("pvc-1", 16 << 20)
    device = await disks.attach("pvc-1", "n1")
    after = LocalDisks(tmp_path / "disks", KernelLoops(Commands()), lambda node: True)
    assert await after.attach("pvc-1", "n1") == device
    await after.detach("pvc-1", "n1")
    assert devices(tmp_path) == []


async def test_a_mount_in_another_namespace_counts(disks: LocalDisks, tmp_path: Path) -> None:
    await disks.create("pvc-1", 32 << 20)
    device = await disks.attach("pvc-1", "n1")
    sh("mkfs.ext4", "-q", device)
    where = tmp_path / "mount"
    where.mkdir()
    script = f"mount {device} {where} && echo mounted && read line"
    pipe = asyncio.subprocess.PIPE
    holder = await asyncio.create_subprocess_exec(
        "unshare", "--mount", "--propagation", "private", "sh", "-c", script, stdin=pipe, stdout=pipe
    )
    assert holder.stdout is not None
    assert await asyncio.wait_for(holder.stdout.readline(), 20) == b"mounted\n"
    with pytest.raises(DiskBusy):
        await disks.detach("pvc-1", "n1")
    await asyncio.wait_for(holder.communicate(b"\n"), 20)
    await disks.detach("pvc-1", "n1")


async def test_cleaning_leaves_nothing(disks: LocalDisks, tmp_path: Path) -> None:
    for name in ("a", "b"):
        await disks.create(name, 16 << 20)
        await disks.attach(name, "n1")
    await disks.clean()
    assert devices(tmp_path) == []
    assert list((tmp_path / "disks").iterdir()) == []
