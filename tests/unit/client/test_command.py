"""Programs run from argument lists: their output, their failure, their deadline."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from client.command import CommandError, Commands


async def test_output_and_input() -> None:
    assert await Commands().run("cat", stdin=b"hello") == "hello"
    assert await Commands(("env", "A=b")).run("sh", "-c", "echo $A") == "b\n"


async def test_failure_says_what_the_program_said() -> None:
    with pytest.raises(CommandError, match="no luck") as caught:
        await Commands().run("sh", "-c", "echo no luck >&2; exit 3")
    assert (caught.value.code, caught.value.stderr) == (3, "no luck")


async def test_a_program_that_is_not_there() -> None:
    with pytest.raises(CommandError) as caught:
        await Commands().run("/nonexistent")
    assert caught.value.code is None
    assert not await Commands().succeeds("/nonexistent")


async def test_a_late_program_is_killed() -> None:
    async with asyncio.timeout(10):
        with pytest.raises(CommandError, match="did not end"):
            await Commands().run("sleep", "60", timeout=0.1)


async def test_cancelling_kills_the_program() -> None:
    task = asyncio.ensure_future(Commands().run("sleep", "60"))
    await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_launching_does_not_wait_for_what_stays_behind(tmp_path: Path) -> None:
    async with asyncio.timeout(10):
        await Commands().launch("sh", "-c", "echo started; sleep 30 & echo $!", output=tmp_path / "log")
    started, pid = (tmp_path / "log").read_text().split()
    assert started == "started"
    await Commands().run("kill", pid)


async def test_a_launch_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no luck"):
        await Commands().launch("sh", "-c", "echo no luck; exit 1", output=tmp_path / "log")
