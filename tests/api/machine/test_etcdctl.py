"""etcd's membership and health through etcdctl, with a real etcd."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from cloudctl.machine.etcdctl import EtcdCtl, EtcdCtlError, EtcdUnavailable, LearnerNotReady
from tests.api.cluster import free_port
from tests.api.machine.etcd import Etcd, running


async def test_a_learner_is_added_promoted_when_in_sync_and_removed(tmp_path: Path) -> None:
    async with running(tmp_path / "one", "one") as one:
        two = Etcd(tmp_path / "two", "two")
        added = await one.ctl.add_learner("two", two.peer)
        assert set(added.initial_cluster.split(",")) == {f"one={one.peer}", f"two={two.peer}"}
        assert [(m.name, m.learner) for m in await one.ctl.members()] == [("", True), ("one", False)]
        with pytest.raises(LearnerNotReady, match="in sync with leader"):
            await one.ctl.promote(added.member.id)
        await two.start(added.initial_cluster, "existing")
        try:
            await _once_accepted(lambda: one.ctl.promote(added.member.id))
            await two.ready()
            assert [(m.name, m.learner) for m in await one.ctl.members()] == [("one", False), ("two", False)]
            both = EtcdCtl([one.url, two.url])
            assert len({status.leader for status in await both.status()}) == 1
            assert len({each.hash for each in await both.hashes()}) == 1
            await _once_accepted(lambda: one.ctl.remove(added.member.id))
            assert [m.name for m in await one.ctl.members()] == ["one"]
        finally:
            await two.stop()


async def _once_accepted(change: Callable[[], Awaitable[None]]) -> None:
    """Repeat a change of members until etcd thinks it safe; a refusal takes etcd some milliseconds."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(LearnerNotReady, EtcdUnavailable):
                return await change()


async def test_status_leaves_out_an_endpoint_that_is_down(tmp_path: Path) -> None:
    async with running(tmp_path / "one") as one:
        nobody = f"http://127.0.0.1:{free_port()}"
        both = EtcdCtl([nobody, one.url], timeout=1)
        [status] = await both.status()
        assert (status.endpoint, status.leader, status.learner) == (one.url, status.member, False)
        assert [health.healthy for health in await both.health()] == [False, True]
        with pytest.raises(EtcdUnavailable, match=f"{nobody}.*cloudlet-etcd"):
            await EtcdCtl([nobody], timeout=1).status()


async def test_what_etcd_refuses_is_one_line(tmp_path: Path) -> None:
    async with running(tmp_path / "one") as one:
        with pytest.raises(EtcdCtlError, match=r"^etcd: member not found$"):
            await one.ctl.remove(1)
        with pytest.raises(EtcdCtlError, match=r"^etcd: .*required revision is a future revision$"):
            await one.ctl.compact(1000)


async def test_variables_of_the_shell_do_not_disturb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path / "one") as one:
        monkeypatch.setenv("ETCDCTL_ENDPOINTS", "http://192.0.2.1:2379")
        assert [member.name for member in await one.ctl.members()] == ["default"]
