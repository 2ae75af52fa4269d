"""What the leader holds on the LAN: only while nobody else can lead, and nothing afterwards."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from client.clock import FakeClock, settle
from client.daemon import Daemon
from client.leader import LeaderElector
from controllers.cloud.local.addresses import RENEW_SECONDS, LanAddresses
from controllers.cloud.local.arp import frame
from controllers.cloud.manager import candidate, elect
from controllers.cloud.provider import CloudError, CloudProvider
from tests.unit.cloud.fakeapi import Rig
from tests.unit.cloud.fakes import FakeCommands

IP = "192.0.2.200"


class FakeAnnouncer:
    """Remembers; `fault` is an error to raise."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.fault: OSError | None = None

    def announce(self, interface: str, ip: str) -> None:
        if self.fault:
            raise self.fault
        self.told.append(f"{ip} {interface}")


class Lan:
    """Addresses on an interface, with a Lease that lasts until `until`."""

    def __init__(self, until: float = math.inf) -> None:
        self.clock, self.commands, self.announcer = FakeClock(), FakeCommands(), FakeAnnouncer()
        self.until = until
        self.addresses = LanAddresses(
            self.commands, "eth0", lambda: self.until - self.clock.now(), self.announcer, self.clock
        )

    async def pass_time(self, seconds: float) -> None:
        """With the addresses held. An announcement is made in another thread, so step by step."""
        work = asyncio.ensure_future(self.addresses.hold())
        try:
            for _ in range(int(seconds / RENEW_SECONDS)):
                await self.clock.advance(RENEW_SECONDS)
                await asyncio.to_thread(int)
                await settle()
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


async def test_an_address_lasts_no_longer_than_the_lease() -> None:
    lan = Lan(until=15)
    await lan.addresses.add(IP)
    assert lan.commands.ran == [f"ip addr replace {IP}/32 dev eth0 valid_lft 14 preferred_lft 14"]
    await lan.pass_time(RENEW_SECONDS)
    assert lan.commands.stdin == [f"addr replace {IP}/32 dev eth0 valid_lft 13 preferred_lft 13"]


async def test_without_rivals_it_lasts_for_ever() -> None:
    lan = Lan()
    await lan.addresses.add(IP)
    assert lan.commands.ran == [f"ip addr replace {IP}/32 dev eth0 valid_lft forever preferred_lft forever"]


async def test_when_the_lease_is_about_to_end_nothing_is_added_or_renewed() -> None:
    lan = Lan(until=2.5)
    await lan.addresses.add(IP)
    await lan.pass_time(2 * RENEW_SECONDS)
    assert lan.commands.stdin == []
    with pytest.raises(CloudError, match="left to the next leader"):
        await lan.addresses.add("192.0.2.201")


async def test_a_removed_address_is_not_renewed() -> None:
    lan = Lan()
    await lan.addresses.add(IP)
    await lan.addresses.remove(IP)
    await lan.pass_time(RENEW_SECONDS)
    assert lan.commands.ran[-1] == f"ip addr del {IP}/32 dev eth0"
    assert lan.commands.stdin == []


async def test_it_is_announced_when_it_comes_and_every_half_minute() -> None:
    lan = Lan()
    await lan.addresses.add(IP)
    await lan.addresses.add(IP)
    assert lan.announcer.told == [f"{IP} eth0"]
    await lan.pass_time(2 * RENEW_SECONDS)
    assert len(lan.announcer.told) == 3
    await lan.pass_time(60)
    assert len(lan.announcer.told) == 5


async def test_an_announcement_that_fails_does_not_keep_the_address_away() -> None:
    lan = Lan()
    lan.announcer.fault = OSError(1, "not permitted")
    await lan.addresses.add(IP)
    await lan.pass_time(RENEW_SECONDS)
    assert lan.commands.stdin


def test_an_announcement_says_to_everybody_who_has_the_address() -> None:
    mac, ip = bytes.fromhex("020304050607"), socket.inet_aton(IP)
    request, reply = frame(mac, IP, 1), frame(mac, IP, 2)
    for sent in (request, reply):
        assert (sent[:6], sent[6:12], sent[12:14]) == (b"\xff" * 6, mac, b"\x08\x06")
        assert sent[14:20] == bytes.fromhex("000108000604")
        assert (sent[22:28], sent[28:32], sent[38:42]) == (mac, ip, ip)
        assert len(sent) == 42
    assert (request[20:22], reply[20:22]) == (b"\0\1", b"\0\2")


def test_a_candidate_is_the_same_after_a_restart_and_no_two_machines_are_one(tmp_path: Path) -> None:
    assert candidate(tmp_path / "a") == candidate(tmp_path / "a") != candidate(tmp_path / "b")


class FakeElector:
    """Leads if `leads`, until told to `end`."""

    def __init__(self, *, leads: bool) -> None:
        self.leads, self.end = leads, asyncio.Event()

    async def run(self, work: Callable[[], Awaitable[None]], on_waiting: Callable[[], Awaitable[None]]) -> None:
        if not self.leads:
            await on_waiting()
            return
        task = asyncio.ensure_future(work())
        await self.end.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class FakeTenure:
    def __init__(self) -> None:
        self.holds, self.stood_down = False, 0

    async def hold(self) -> None:
        self.holds = True
        try:
            await asyncio.Event().wait()
        finally:
            self.holds = False

    async def stand_down(self) -> None:
        assert not self.holds, "what is renewed cannot be taken down"
        self.stood_down += 1


class FakeDaemon:
    def ready(self) -> None:
        """Nobody asks."""


def running(elector: FakeElector, tenure: FakeTenure) -> asyncio.Future[None]:
    rig = Rig()
    rig.context.recorder.run = lambda: asyncio.Event().wait()  # type: ignore[method-assign,assignment,return-value]
    provider = CloudProvider("fake", tenure=tenure)
    given: Any = (cast(LeaderElector, elector), cast(Daemon, FakeDaemon()), rig.context, provider)
    return asyncio.ensure_future(elect(*given))


async def test_who_starts_without_the_lease_takes_down_what_he_left() -> None:
    tenure = FakeTenure()
    await running(FakeElector(leads=False), tenure)
    assert tenure.stood_down == 1


async def test_the_leader_holds_and_whoever_stops_leading_takes_down() -> None:
    elector, tenure = FakeElector(leads=True), FakeTenure()
    work = running(elector, tenure)
    await settle()
    assert (tenure.holds, tenure.stood_down) == (True, 0)
    elector.end.set()
    await work
    assert (tenure.holds, tenure.stood_down) == (False, 1)
