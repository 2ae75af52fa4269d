"""Which release may follow which."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from api.version import CLOUDLET, GIT_VERSION
from cloudctl.cluster.state import ClusterError
from cloudctl.machine.upgrade.release import Member, Release, Version, order, refusal


def members(*versions: str) -> list[Member]:
    """Control planes c1, c2, … in upper-case letters' stead: `c0.1.0`, workers `w0.1.0`."""
    found = []
    for index, text in enumerate(versions):
        found.append(Member(f"{text[0]}{index}", text[0] == "c", Version.parse(text[1:])))
    return found


def test_a_nodes_version_names_ours_beside_kubernetes() -> None:
    assert str(Version.parse(GIT_VERSION)) == CLOUDLET


@pytest.mark.parametrize(
    ("versions", "name", "target", "why"),
    [
        (("c0.1.0",), "c0", "0.2.0", None),
        (("c0.1.0",), "c0", "0.1.1", None),
        (("c0.1.0",), "c0", "0.1.0", None),
        (("c0.1.0",), "c0", "0.3.0", "more than one minor version"),
        (("c0.9.0",), "c0", "1.0.0", "more than one minor version"),
        (("c0.2.0",), "c0", "0.1.0", "already"),
        (("c0.1.0", "w0.1.0"), "w1", "0.2.0", "control planes come first"),
        (("c0.2.0", "c0.1.0", "w0.1.0"), "w2", "0.2.0", "control planes come first"),
        (("c0.2.0", "c0.2.0", "w0.1.0"), "w2", "0.2.0", None),
        (("c0.2.0", "c0.1.0"), "c0", "0.3.0", "stay within one minor version"),
        (("c0.4.0", "w0.1.0"), "c0", "0.5.0", "3 minor versions older"),
        (("c0.3.0", "w0.1.0"), "c0", "0.4.0", None),
    ],
)
def test_the_skew_policy(versions: tuple[str, ...], name: str, target: str, why: str | None) -> None:
    found = refusal(members(*versions), name, Version.parse(target))
    assert (found is None) if why is None else (found is not None and why in found)


def test_control_planes_are_first_in_the_order() -> None:
    todo = order(members("w0.1.0", "c0.2.0", "c0.1.0", "w0.1.0"), Version.parse("0.2.0"))
    assert [member.name for member in todo] == ["c2", "w0", "w3"]


def wheel(path: Path, name: str, version: str) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(
            f"{name}-{version}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
    return path


def test_a_wheel_tells_its_version(tmp_path: Path) -> None:
    assert Release.read(wheel(tmp_path / "a.whl", "cloudlet", "0.2.0")).version == Version(0, 2, 0)


def test_a_file_that_is_no_wheel_of_cloudlet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.whl").write_bytes(b"PK\x03\x04")
    for path, complaint in (
        (tmp_path / "absent.whl", "is no wheel"),
        (tmp_path / "broken.whl", "is no wheel"),
        (wheel(tmp_path / "other.whl", "httpx", "0.28.1"), "not of cloudlet"),
    ):
        with pytest.raises(ClusterError, match=complaint):
            Release.read(path)
