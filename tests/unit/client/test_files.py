"""Watched files: content counts, replacements are seen, what cannot be loaded changes nothing."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from client.clock import FakeClock, Timer
from client.files import RECHECK, SETTLE, FileWatch, read_pair
from tests.api.pki import Authority


class Reader:
    """Loads one file, keeps what it read, and says when it has."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values: list[str] = []
        self.loaded = asyncio.Event()

    def load(self) -> None:
        self.loaded.set()
        text = self.path.read_text()
        if text == "bad":
            raise ValueError("half written")
        self.values.append(text)

    async def again(self) -> None:
        """Wait for the next call."""
        self.loaded.clear()
        async with asyncio.timeout(10):
            await self.loaded.wait()


@pytest.fixture
async def watch() -> AsyncIterator[FileWatch]:
    made = FileWatch()
    yield made
    made.close()


class AskedClock(FakeClock):
    """Says when the look after a sign has been set up."""

    def __init__(self) -> None:
        super().__init__()
        self._asked = asyncio.Event()

    def call_later(self, seconds: float, callback: Callable[..., Any], *args: Any) -> Timer:
        if seconds == SETTLE:
            self._asked.set()
        return super().call_later(seconds, callback, *args)

    async def asked(self) -> None:
        async with asyncio.timeout(10):
            await self._asked.wait()


def write(path: Path, text: str) -> None:
    path.write_text(text)


def replace(path: Path, text: str) -> None:
    young = path.with_name(f".{path.name}.new")
    young.write_text(text)
    young.replace(path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a"
    path.write_text("1")
    return path


async def test_a_file_is_loaded_at_once_and_after_each_kind_of_change(watch: FileWatch, file: Path) -> None:
    reader = Reader(file)
    watch.add([file], reader.load)
    assert reader.values == ["1"]
    replace(file, "2")
    await reader.again()
    write(file, "3")
    await reader.again()
    assert reader.values == ["1", "2", "3"]


async def test_a_link_that_is_switched_and_its_target_that_is_written_are_changes(
    watch: FileWatch, tmp_path: Path
) -> None:
    link = tmp_path / "links" / "current"
    link.parent.mkdir()
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    link.symlink_to(tmp_path / "one")
    reader = Reader(link)
    watch.add([link], reader.load)
    young = link.with_name("young")
    young.symlink_to(tmp_path / "two")
    young.replace(link)
    await reader.again()
    (tmp_path / "two").write_text("three")
    await reader.again()
    assert reader.values == ["one", "two", "three"]


async def test_what_cannot_be_loaded_is_logged_and_tried_again_at_the_next_change(
    watch: FileWatch, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reader = Reader(file)
    watch.add([file], reader.load)
    with caplog.at_level(logging.WARNING):
        replace(file, "bad")
        await reader.again()
    assert reader.values == ["1"] and "half written" in caplog.text
    replace(file, "2")
    await reader.again()
    assert reader.values == ["1", "2"]


async def test_the_same_content_and_other_files_of_the_folder_change_nothing(file: Path) -> None:
    clock = AskedClock()
    watch = FileWatch(clock)
    reader, marker = Reader(file), Reader(file.with_name("marker"))
    marker.path.write_text("1")
    watch.add([file], reader.load)
    watch.add([marker.path], marker.load)
    replace(file, "1")
    replace(marker.path, "2")
    await clock.asked()
    await clock.advance(SETTLE)
    assert reader.values == ["1"] and marker.values == ["1", "2"]
    watch.close()


async def test_a_pair_written_in_two_steps_is_loaded_once(file: Path) -> None:
    clock = AskedClock()
    watch = FileWatch(clock)
    reader, other = Reader(file), file.with_name("b")
    watch.add([file, other, None], reader.load)
    replace(file, "2")
    await clock.asked()
    replace(other, "2")
    await clock.advance(SETTLE)
    assert reader.values == ["1", "2"]
    watch.close()


async def test_a_folder_that_is_replaced_is_found_by_the_look_of_every_minute(tmp_path: Path) -> None:
    clock = FakeClock()
    watch = FileWatch(clock)
    folder = tmp_path / "pki"
    folder.mkdir()
    (folder / "a").write_text("1")
    reader = Reader(folder / "a")
    watch.add([reader.path], reader.load)
    folder.rename(tmp_path / "old")
    folder.mkdir()
    (folder / "a").write_text("2")
    await clock.advance(RECHECK)
    assert reader.values == ["1", "2"]
    watch.close()


async def test_the_first_load_s_error_is_the_caller_s(watch: FileWatch, file: Path) -> None:
    write(file, "bad")
    with pytest.raises(ValueError, match="half written"):
        watch.add([file], Reader(file).load)


def test_a_pair_is_read_from_two_files_or_from_one(tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path).issue("a", "somebody")
    chain, private = read_pair(certificate, key)
    both = tmp_path / "both.pem"
    both.write_bytes(chain + private)
    assert read_pair(both, both) == (chain + private, chain + private)


def test_a_key_of_another_certificate_and_half_a_file_are_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("a", "somebody")
    other, _ = authority.issue("b", "somebody else")
    with pytest.raises(ValueError, match="do not belong together"):
        read_pair(other, key)
    certificate.write_bytes(certificate.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"\S"):
        read_pair(certificate, key)
