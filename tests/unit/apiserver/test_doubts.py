"""Writes that etcd did not answer: done once, never told wrongly."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from api import errors
from api.resources import CONFIGMAPS
from apiserver import codec, doubts
from apiserver.cache import Cache
from apiserver.etcd import Doubt, Written

KEY = "a/settings"


def stored(uid: str, **data: str) -> bytes:
    meta = {"name": "settings", "namespace": "a", "uid": uid}
    return codec.stored({"kind": "ConfigMap", "apiVersion": "v1", "metadata": meta, "data": data})


class Rig:
    """One key in an etcd that answers a write as the test says, and the watch cache behind it."""

    def __init__(self) -> None:
        self.cache = Cache(CONFIGMAPS)
        self.cache.load([], 10)
        self.now = 10
        self.answers: list[Callable[[bytes | None], Written]] = []
        self.fenced: list[int] = []
        self.broken = False

    def happens(self, value: bytes | None) -> int:
        """A change that the watch tells."""
        self.now += 1
        if value is None:
            self.cache.remove(KEY, self.now)
        else:
            self.cache.put(KEY, value, self.now)
        return self.now

    def silent(self, value: bytes | None) -> Written:
        raise Doubt("killed", since=10, fence=7)

    def stores_and_dies(self, value: bytes | None) -> Written:
        self.happens(value)
        raise Doubt("killed", since=self.now - 1, fence=7)

    def stores(self, value: bytes | None) -> Written:
        return Written(True, self.happens(value))

    def refuses(self, value: bytes | None) -> Written:
        entry = self.cache.entries.get(KEY)
        return Written(False, self.now, entry)

    async def put(self, key: bytes, value: bytes, expected: int, lease: int, *, patience: float) -> Written:
        return self.answers.pop(0)(value)

    async def delete(self, key: bytes, expected: int, *, patience: float) -> Written:
        return self.answers.pop(0)(None)

    async def revision(self) -> int:
        if self.broken:
            raise errors.ServiceUnavailable("etcd is gone")
        return self.now

    async def fence(self, before: int) -> int:
        self.fenced.append(before)
        return self.now

    async def reach(self, revision: int) -> None:
        assert revision <= self.now

    async def write(self, value: bytes | None, expected: int) -> Written:
        feed: Any = SimpleNamespace(key=lambda cache, key: key.encode(), reach=self.reach)
        etcd: Any = self
        return await doubts.write(etcd, feed, self.cache, KEY, value, expected)


def rig(*names: str) -> Rig:
    made = Rig()
    made.answers = [getattr(made, name) for name in names]
    return made


def existing(*names: str) -> tuple[Rig, int]:
    made = rig(*names)
    return made, made.happens(stored("u1", old="1"))


async def test_a_create_that_is_not_there_is_fenced_off_and_sent_again() -> None:
    made = rig("silent", "stores")
    assert await made.write(stored("u1"), 0) == Written(True, 11)
    assert made.fenced == [7]


async def test_a_create_that_is_there_has_taken_place() -> None:
    made = rig("stores_and_dies")
    assert await made.write(stored("u1"), 0) == Written(True, 11)


async def test_a_create_that_is_there_has_taken_place_even_if_somebody_has_deleted_it_since() -> None:
    made = rig("stores_and_dies")
    inner = made.answers[0]

    def then_deleted(value: bytes | None) -> Written:
        try:
            return inner(value)
        finally:
            made.happens(None)

    made.answers[0] = then_deleted
    assert await made.write(stored("u1"), 0) == Written(True, 11)


async def test_a_create_of_a_name_that_somebody_else_has_taken_has_lost() -> None:
    made = rig("silent", "refuses")
    made.happens(stored("u2"))
    assert not (await made.write(stored("u1"), 0)).ok


async def test_an_update_that_is_not_there_is_sent_again() -> None:
    made, revision = existing("silent", "stores")
    assert await made.write(stored("u1", new="1"), revision) == Written(True, 12)


@pytest.mark.parametrize("value", [stored("u1", new="1"), None])
async def test_a_change_that_may_be_ours_or_somebody_else_s_stays_in_doubt(value: bytes | None) -> None:
    made, revision = existing("stores_and_dies")
    with pytest.raises(Doubt):
        await made.write(value, revision)


async def test_an_update_that_lost_to_another_has_lost() -> None:
    made, revision = existing("silent", "refuses")
    made.happens(stored("u1", other="1"))
    assert not (await made.write(stored("u1", new="1"), revision)).ok


async def test_a_first_sending_that_takes_place_after_all_is_not_taken_for_another_s() -> None:
    made, revision = existing("silent")

    def late(value: bytes | None) -> Written:
        made.happens(value)  # the first sending, let go on
        return made.refuses(value)

    made.answers.append(late)
    with pytest.raises(Doubt):
        await made.write(stored("u1", new="1"), revision)


async def test_a_watch_that_does_not_reach_back_leaves_the_doubt() -> None:
    made, revision = existing("silent")
    made.cache.load([], 50)
    with pytest.raises(Doubt):
        await made.write(stored("u1", new="1"), revision)


async def test_an_etcd_that_cannot_be_read_leaves_the_doubt() -> None:
    made, revision = existing("silent")
    made.broken = True
    with pytest.raises(Doubt):
        await made.write(stored("u1", new="1"), revision)


async def test_a_write_is_sent_so_many_times_and_no_more() -> None:
    made = rig(*["silent"] * len(doubts.PATIENCE))
    with pytest.raises(Doubt):
        await made.write(stored("u1"), 0)
    assert not made.answers
