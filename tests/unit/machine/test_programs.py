"""The folder of a release: complete or made anew, and never changed under daemons that run from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.command import CommandError, Commands
from cloudctl.machine.upgrade import programs
from cloudctl.machine.upgrade.release import Release
from tests.unit.machine.test_release import wheel


class Pip(Commands):
    """Writes down what it is asked to install; `fails` is how often it does not."""

    def __init__(self, fails: int = 0) -> None:
        super().__init__()
        self.lines: list[tuple[str, ...]] = []
        self._fails = fails

    async def run(self, *argv: str, stdin: bytes | None = None, timeout: float = 30.0) -> str:
        self.lines.append(argv)
        if self._fails:
            self._fails -= 1
            raise CommandError(argv, 1, "no space left on device")
        return ""


@pytest.fixture
def present(tmp_path: Path) -> Path:
    folder = tmp_path / "opt" / "cloudlet"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to("/usr/bin/python3")
    return folder


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return Release.read(wheel(tmp_path / "cloudlet.whl", "cloudlet", "0.2.0"))


async def test_a_release_is_installed_beside_the_present_one_and_once(present: Path, release: Release) -> None:
    pip = Pip()
    folder = await programs.install(present, release, pip)
    assert folder.parent == present.parent and folder.name.startswith("cloudlet-0.2.0-")
    assert (folder / "bin" / "python").is_symlink()
    assert {line[0] for line in pip.lines} == {str(folder / "bin" / "python")}
    installed = len(pip.lines)
    assert await programs.install(present, release, pip) == folder
    assert await programs.install(folder, release, pip) == folder
    assert len(pip.lines) == installed


async def test_what_was_interrupted_is_made_anew(present: Path, release: Release) -> None:
    with pytest.raises(CommandError):
        await programs.install(present, release, Pip(fails=1))
    folder = programs.folder(present, release)
    assert not folder.exists()
    folder.mkdir()  # as a power failure leaves it
    (folder / "half").touch()
    assert not (await programs.install(present, release, Pip()) / "half").exists()


def test_another_wheel_of_the_same_version_has_another_folder(tmp_path: Path, present: Path, release: Release) -> None:
    path = wheel(tmp_path / "again.whl", "cloudlet", "0.2.0")
    path.write_bytes(path.read_bytes() + b" ")
    assert programs.folder(present, Release.read(path)) != programs.folder(present, release)


async def test_only_the_present_and_the_last_release_stay(tmp_path: Path, present: Path) -> None:
    folders = [present]
    for version in ("0.2.0", "0.3.0", "0.4.0"):
        path = wheel(tmp_path / f"{version}.whl", "cloudlet", version)
        folders.append(await programs.install(folders[-1], Release.read(path), Pip()))
    programs.forget_others(folders[3], folders[2])
    assert [folder.exists() for folder in folders] == [True, False, True, True]
