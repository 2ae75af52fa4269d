"""What cluster-info says reaches the machine's files: servers, and a CA that is being replaced."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.types import Object
from client import kubeconfig
from client.clock import FakeClock
from client.cluster_info import ClusterInfo, parse
from kubelet.atomic import replace
from kubelet.cluster_files import ClusterFiles, merged, succeeds
from tests.unit.client.test_cluster_info import config_map
from tests.unit.kubelet.authority import authority

OLD, NEW, OTHER = (authority(name)[0] for name in ("old", "new", "other"))
A, B, C = "https://a:1", "https://b:1", "https://c:1"


def write(path: Path, servers: list[str], ca: bytes = OLD) -> Path:
    kubeconfig.write(path, "lab", servers, ca, user="u", token="t")
    return path


def following(config: dict[str, Any], *servers: str) -> dict[str, Any]:
    return merged(config, OLD, ClusterInfo(servers, OLD))


@pytest.mark.parametrize(
    ("now", "told", "then"),
    [
        ([A], (A, B, C), [A, B, C]),
        ([B], (A, B, C), [B, A, C]),
        ([B, A], (A, C), [A, C]),
        ([A, B, C], (B,), [B]),
        ([A, B], (A, B), [A, B]),
    ],
)
def test_the_first_server_stays_first_as_long_as_it_is_one(
    tmp_path: Path, now: list[str], told: tuple[str, ...], then: list[str]
) -> None:
    path = write(tmp_path / "k", now)
    kubeconfig.save(path, following(kubeconfig.read(path), *told))
    found = kubeconfig.load(path)
    assert (found.servers, found.ca, found.token) == (then, OLD, "t")
    assert following(kubeconfig.read(path), *told) == kubeconfig.read(path)


@pytest.mark.parametrize(
    ("now", "told", "then"), [([A], (A, B), [A, B]), ([B, A], (A, B, C), [B, A, C]), ([A, B], (B,), [B])]
)
def test_a_virtual_ip_stays_in_front_of_the_servers(
    tmp_path: Path, now: list[str], told: tuple[str, ...], then: list[str]
) -> None:
    path = tmp_path / "k"
    kubeconfig.write(path, "lab", now, OLD, user="u", token="t", front="https://vip:1")
    found = following(kubeconfig.read(path), *told)
    assert found["clusters"][0]["cluster"]["server"] == "https://vip:1"
    kubeconfig.save(path, found)
    assert kubeconfig.load(path).servers == then
    assert following(found, *told) == found


def test_what_others_put_into_a_kubeconfig_stays(tmp_path: Path) -> None:
    config = kubeconfig.read(write(tmp_path / "k", [A, B]))
    config["preferences"] = {"colors": True}
    config["clusters"].append({"name": "other", "cluster": {"server": C}})
    config["clusters"][0]["cluster"]["extensions"].append({"name": "theirs", "extension": {}})
    found = following(config, A)
    assert found["preferences"] == {"colors": True} and found["clusters"][1] == config["clusters"][1]
    assert found["clusters"][0]["cluster"]["extensions"] == [{"name": "theirs", "extension": {}}]


def test_a_ca_is_replaced_by_way_of_both() -> None:
    assert succeeds(OLD + NEW, OLD) and succeeds(NEW, OLD + NEW)
    assert not succeeds(OLD, OLD)
    for stranger in (NEW, OTHER, b"nonsense"):
        with pytest.raises(ValueError, match=r"in common|no certificates"):
            succeeds(stranger, OLD)


class Api:
    """One ConfigMap, and whoever watches it."""

    def __init__(self, present: Object | None) -> None:
        self.present = present
        self.events: asyncio.Queue[Object] = asyncio.Queue()
        self.watched = asyncio.Event()

    async def list(self, *_: Any, **__: Any) -> Object:
        return {"metadata": {"resourceVersion": "1"}, "items": [self.present] if self.present else []}

    async def watch(self, *_: Any, **__: Any) -> AsyncIterator[Object]:
        self.watched.set()
        while True:
            event = await self.events.get()
            event["object"]["metadata"]["resourceVersion"] = "2"
            yield event
            self.events.task_done()

    async def tell(self, obj: Object, kind: str = "MODIFIED") -> None:
        """Let the watcher see it, and wait until it has."""
        await self.events.put({"type": kind, "object": obj})
        async with asyncio.timeout(10):
            await self.events.join()


@contextlib.asynccontextmanager
async def running(api: Api, kubeconfigs: list[Path], ca_file: Path | None = None) -> AsyncIterator[FakeClock]:
    client: Any = api
    clock = FakeClock()
    task = asyncio.create_task(ClusterFiles(client, clock, kubeconfigs, ca_file).run())
    try:
        async with asyncio.timeout(10):
            await api.watched.wait()
        yield clock
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_every_file_follows_and_is_left_alone_when_nothing_differs(tmp_path: Path) -> None:
    own, admin, ca_file = write(tmp_path / "own", [A]), write(tmp_path / "admin", [B]), tmp_path / "ca.crt"
    ca_file.write_bytes(OLD)
    ca_file.chmod(0o644)
    api = Api(config_map(OLD, (A, B)))
    async with running(api, [own, admin, tmp_path / "absent"], ca_file):
        assert (kubeconfig.load(own).servers, kubeconfig.load(admin).servers) == ([A, B], [B, A])
        before = [path.stat().st_ino for path in (own, admin, ca_file)]
        await api.tell(config_map(OLD, (A, B), other="note"))
        assert [path.stat().st_ino for path in (own, admin, ca_file)] == before
        await api.tell(config_map(OLD + NEW, (A, B, C)))
        for path in (own, admin):
            assert kubeconfig.load(path).ca == ca_file.read_bytes() == OLD + NEW
        assert ca_file.stat().st_mode & 0o777 == 0o644 and own.stat().st_mode & 0o777 == 0o600
        assert names(tmp_path) == ["admin", "ca.crt", "own"]


async def test_a_file_that_comes_later_follows_too(tmp_path: Path) -> None:
    late = tmp_path / "late"
    async with running(Api(config_map(OLD, (A, B))), [late]) as clock:
        write(late, [B])
        await clock.advance(0)
        await clock.advance(1.5)
        assert kubeconfig.load(late).servers == [B, A]


@pytest.mark.parametrize("told", [config_map(OTHER, (C,)), config_map(b"", (C,)), {"metadata": {}, "data": {}}])
async def test_what_would_cut_the_machine_off_changes_nothing(tmp_path: Path, told: Object) -> None:
    own, ca_file = write(tmp_path / "own", [A]), tmp_path / "ca.crt"
    ca_file.write_bytes(OLD)
    api = Api(config_map(OLD, (A,)))
    async with running(api, [own], ca_file):
        await api.tell(told)
        await api.tell(config_map(OLD, (A,)), "DELETED")
        assert (kubeconfig.load(own).servers, ca_file.read_bytes()) == ([A], OLD)


async def test_a_broken_file_holds_up_no_other(tmp_path: Path) -> None:
    broken, own = tmp_path / "broken", write(tmp_path / "own", [A])
    broken.write_text("a: [")
    async with running(Api(config_map(OLD, (A, B))), [broken, own]) as clock:
        assert kubeconfig.load(own).servers == [A, B]
        write(broken, [A])
        await clock.advance(70)
        assert kubeconfig.load(broken).servers == [A, B]


def test_a_replaced_file_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("one")
    real.chmod(0o640)
    link.symlink_to(real)
    replace(link, b"two")
    assert (real.read_text(), real.stat().st_mode & 0o777, link.is_symlink()) == ("two", 0o640, True)
    replace(tmp_path / "new", b"x")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600


def test_the_servers_of_cluster_info_come_as_they_stand_there() -> None:
    assert parse(config_map(OLD, (B, A))).servers == (B, A)
