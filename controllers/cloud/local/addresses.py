"""The addresses of load balancers on this machine: on a bridge of its own, or on an interface to the LAN.

On the LAN another machine takes them over when it becomes the leader, and nobody may be there twice. So an address lasts as
long as the leadership is assured and is renewed with it: the kernel takes it from a process that hangs or was killed.
Sources: ip-address(8), `valid_lft`; RFC 5227 section 2.3 for the announcements.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Protocol

import structlog

from client.clock import Clock
from client.command import CommandError, Commands
from controllers.cloud.local.arp import Announcer
from controllers.cloud.provider import CloudError

OWN_BRIDGE = "cloudlet0"
RENEW_SECONDS = 1.0
_MARGIN_SECONDS = 1.0
_ANNOUNCED_FIRST, _ANNOUNCED_EVERY = 3, 30


class Addresses(Protocol):
    """What load balancers need of an interface; each call may be repeated."""

    async def add(self, ip: str) -> None:
        """Raises CommandError, CloudError."""

    async def remove(self, ip: str) -> None:
        """One that is not there is fine."""


class BridgeAddresses:
    """On a bridge without ports, which is made if need be: for this machine and its containers."""

    def __init__(self, commands: Commands, interface: str = OWN_BRIDGE) -> None:
        self._commands, self._interface = commands, interface

    async def add(self, ip: str) -> None:
        if not await self._commands.succeeds("ip", "link", "show", "dev", self._interface):
            await self._commands.run("ip", "link", "add", self._interface, "type", "bridge")
            await self._commands.run("ip", "link", "set", self._interface, "up")
        await self._commands.run("ip", "addr", "replace", f"{ip}/32", "dev", self._interface)

    async def remove(self, ip: str) -> None:
        await self._commands.succeeds("ip", "addr", "del", f"{ip}/32", "dev", self._interface)


class LanAddresses:
    """On a real interface, for as many seconds as `assured` says; announced when they come and every half minute."""

    def __init__(
        self, commands: Commands, interface: str, assured: Callable[[], float], announcer: Announcer, clock: Clock
    ) -> None:
        self._commands, self._interface, self._assured = commands, interface, assured
        self._announcer, self._clock = announcer, clock
        self._renewed: dict[str, int] = {}
        self._log = structlog.get_logger("addresses")

    async def add(self, ip: str) -> None:
        lifetime = self._lifetime()
        if not lifetime:
            raise CloudError(f"the Lease is about to run out: {ip} is left to the next leader")
        await self._commands.run("ip", "addr", "replace", *self._words(ip, lifetime))
        if ip not in self._renewed:
            self._renewed[ip] = 0
            await self._announce(ip)

    async def remove(self, ip: str) -> None:
        self._renewed.pop(ip, None)
        await self._commands.succeeds("ip", "addr", "del", f"{ip}/32", "dev", self._interface)

    async def hold(self) -> None:
        """Renew and announce until cancelled."""
        while True:
            await self._clock.sleep(RENEW_SECONDS)
            await self._renew()

    async def _renew(self) -> None:
        lifetime = self._lifetime()
        if not lifetime or not self._renewed:
            return
        lines = [" ".join(("addr replace", *self._words(ip, lifetime))) for ip in self._renewed]
        try:
            await self._commands.run("ip", "-force", "-batch", "-", stdin="\n".join(lines).encode())
        except CommandError as error:
            self._log.warning("addresses not renewed", interface=self._interface, error=error.stderr)
        for ip in list(self._renewed):
            if ip in self._renewed:
                self._renewed[ip] += 1
                if self._renewed[ip] < _ANNOUNCED_FIRST or self._renewed[ip] % _ANNOUNCED_EVERY == 0:
                    await self._announce(ip)

    def _lifetime(self) -> str:
        """As `ip` wants it; empty when there is none left."""
        seconds = self._assured() - _MARGIN_SECONDS
        if math.isinf(seconds):
            return "forever"
        return str(int(seconds)) if seconds >= 1 else ""

    def _words(self, ip: str, lifetime: str) -> tuple[str, ...]:
        return (f"{ip}/32", "dev", self._interface, "valid_lft", lifetime, "preferred_lft", lifetime)

    async def _announce(self, ip: str) -> None:
        try:
            await asyncio.to_thread(self._announcer.announce, self._interface, ip)
        except OSError as error:
            self._log.warning("address not announced", interface=self._interface, ip=ip, error=error.strerror)
