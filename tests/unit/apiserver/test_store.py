"""Guarded writes: what a lost try has taken is given back, losers of a race win in turn."""

import asyncio
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from api import errors
from api.resources import CONFIGMAPS
from api.types import Object
from apiserver import codec
from apiserver.cache import Cache
from apiserver.etcd import Written
from apiserver.handlers import write
from apiserver.params import WriteOptions
from apiserver.plugins import AdmissionRequest
from apiserver.request import Request
from apiserver.store import Store

KEY = "a/settings"


def config(**data: str) -> Object:
    meta = {"name": "settings", "namespace": "a", "uid": "u1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": meta, "data": data}


class FakeEtcd:
    """One key, written if the revision is the expected one; `races` other writers come first, `fault` breaks a write."""

    def __init__(self) -> None:
        self.pair = SimpleNamespace(value=codec.stored(config()), mod_revision=10)
        self.races = 0
        self.fault: Exception | None = None

    async def get(self, key: bytes) -> tuple[Any, int]:
        await asyncio.sleep(0)
        return self.pair, self.pair.mod_revision

    async def put(self, key: bytes, value: bytes, expected: int, lease: int = 0, *, patience: float = 1) -> Written:
        await asyncio.sleep(0)
        if self.fault:
            raise self.fault
        if self.races:
            self.races -= 1
            other = config(other=str(self.races))
            self.pair = SimpleNamespace(value=codec.stored(other), mod_revision=self.pair.mod_revision + 1)
        if self.pair.mod_revision != expected:
            return Written(False, self.pair.mod_revision, self.pair)
        self.pair = SimpleNamespace(value=value, mod_revision=expected + 1)
        return Written(True, expected + 1, None)


class Rig:
    """A store of ConfigMaps with one object, admission that takes one of something limited, and a request."""

    def __init__(self) -> None:
        self.etcd = FakeEtcd()
        self.cache = Cache(CONFIGMAPS)
        self.cache.load([(KEY, self.etcd.pair.value, 10)], 10)
        feed = SimpleNamespace(key=lambda cache, key: key.encode())
        self.store = Store(self.etcd, feed)  # type: ignore[arg-type]
        self.taken = 0
        self.admitted = 0
        plugins = SimpleNamespace(mutating=(self.take,), validating=())
        self.core: Any = SimpleNamespace(store=self.store, plugins=plugins, cache=lambda resource: self.cache)
        scope = {
            "type": "http", "method": "PUT", "path": "/api/v1/namespaces/a/configmaps/settings",
            "query_string": b"", "headers": [],
        }  # fmt: skip
        unused: Any = None
        self.request = Request.of(scope, unused, unused)

    async def take(self, asked: AdmissionRequest) -> None:
        self.admitted += 1
        self.taken += 1

        async def give_back() -> None:
            self.taken -= 1

        asked.undo.append(give_back)

    async def put(self, **data: str) -> Object:
        async def change(current: Object) -> Object:
            new = {**write.copied(current), "data": data}
            options = WriteOptions()
            return await write.prepared(self.core, self.request, CONFIGMAPS, new, current, options, "UpdateOptions")

        found: Object = orjson.loads((await write.modify(self.core, self.request, CONFIGMAPS, change)).data)
        return found


async def test_a_stored_update_keeps_what_admission_took() -> None:
    rig = Rig()
    assert (await rig.put(mine="1"))["data"] == {"mine": "1"}
    assert rig.taken == 1 and not rig.request.undo


@pytest.mark.parametrize("races", [1, 2, 5])
async def test_each_lost_race_gives_back_what_admission_took_and_is_admitted_again(races: int) -> None:
    rig = Rig()
    rig.etcd.races = races
    assert (await rig.put(mine="1"))["data"] == {"mine": "1"}
    assert rig.admitted > races
    assert rig.taken == 1


async def test_an_update_that_loses_every_race_keeps_nothing() -> None:
    rig = Rig()
    rig.etcd.races = 1000
    with pytest.raises(errors.Conflict):
        await rig.put(mine="1")
    assert rig.taken == 0


async def test_a_write_that_breaks_keeps_nothing() -> None:
    rig = Rig()
    rig.etcd.fault = errors.ServiceUnavailable("etcd is gone")
    with pytest.raises(errors.ServiceUnavailable):
        await rig.put(mine="1")
    assert rig.taken == 0


async def test_what_cannot_be_given_back_hides_neither_the_rest_nor_the_error() -> None:
    rig = Rig()
    rig.etcd.fault = errors.ServiceUnavailable("etcd is gone")

    async def take_more(asked: AdmissionRequest) -> None:
        async def give_back() -> None:
            raise errors.NotFound("the quota has gone")

        asked.undo.append(give_back)

    rig.core.plugins.mutating = (rig.take, take_more)
    with pytest.raises(errors.ServiceUnavailable):
        await rig.put(mine="1")
    assert rig.taken == 0


async def test_losers_of_a_race_share_one_queue_until_the_last_has_left() -> None:
    rig = Rig()
    inside = 0

    async def add(name: str) -> None:
        async def change(current: Object) -> Object:
            nonlocal inside
            if int(current["metadata"]["resourceVersion"]) > 10:  # a second try, which only one at a time may make
                inside += 1
                assert inside == 1
                await asyncio.sleep(0)
                inside -= 1
            return {**current, "data": {**(current.get("data") or {}), name: "x"}}

        await rig.store.modify(rig.cache, KEY, "settings", change)

    await asyncio.gather(*(add(f"n{number}") for number in range(30)))
    assert len(orjson.loads(rig.etcd.pair.value)["data"]) == 30
    assert not rig.store._losers
