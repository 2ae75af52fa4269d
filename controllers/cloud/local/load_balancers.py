"""Load balancers of this machine: an address of the pool on an interface, and an HAProxy that listens there.

Each has a directory `<state>/load-balancers/<uid>` with its address, configuration and pid. What is there when this process
starts to work is adopted; an address that the API says a Service has is never given to another.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import structlog

from client.command import CommandError, Commands
from controllers.cloud.local.addresses import Addresses
from controllers.cloud.local.haproxy import Balancing, HAProxy
from controllers.cloud.local.haproxy_config import render
from controllers.cloud.local.pool import Pool
from controllers.cloud.provider import Balancer, CloudError, Ingress

_SAFE_UID = re.compile(r"[0-9A-Za-z-]{1,64}")


class LocalLoadBalancers:
    """See the module."""

    def __init__(
        self,
        directory: Path,
        pool: str,
        addresses: Addresses,
        commands: Commands,
        haproxy: Callable[[Commands, Callable[[Path], None]], Balancing] = HAProxy,
    ) -> None:
        self._root, self._pool, self._addresses = directory, Pool(pool), addresses
        self._haproxy = haproxy(commands, self._ended)
        self._on_lost: Callable[[str], None] = lambda uid: None
        self._log = structlog.get_logger("load-balancers")

    async def restore(self, held: dict[str, str], on_lost: Callable[[str], None]) -> None:
        """Take the addresses that Services hold, then those of balancers whose Service has gone meanwhile."""
        self._on_lost = on_lost
        for uid, ip in held.items():
            self._adopt(uid, ip)
        for uid in self.known():
            if uid not in held and (ip := self._recorded(uid)):
                self._adopt(uid, ip)

    def _adopt(self, uid: str, ip: str) -> None:
        try:
            if ip in self._pool:
                self._pool.take(uid, ip)
        except CloudError as error:
            self._log.warning("address not adopted", uid=uid, ip=ip, error=str(error))

    async def ensure(self, balancer: Balancer) -> list[Ingress]:
        """Make it run as asked for. Raises CloudError, Unsupported."""
        directory = self._directory(balancer.uid)
        # A Service that cannot be served must not hold an address.
        render(balancer, "0.0.0.0")  # noqa: S104
        before = self._pool.held_by(balancer.uid)
        ip = self._pool.take(balancer.uid, balancer.requested_ip)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            (directory / "address").write_text(ip)
            await self._addresses.add(ip)
            await self._haproxy.run(directory, render(balancer, ip))
        except OSError as error:
            raise CloudError(f"cannot write {directory}: {error.strerror}") from error
        except CommandError as error:
            raise CloudError(f"cannot add the address {ip}: {error.stderr}") from error
        if before and before != ip:
            await self._addresses.remove(before)
        return [Ingress(ip)]

    async def delete(self, uid: str) -> None:
        """Stop the process, free the address, forget the directory."""
        directory = self._directory(uid)
        await self._haproxy.stop(directory)
        if ip := self._pool.held_by(uid) or self._recorded(uid):
            await self._addresses.remove(ip)
        shutil.rmtree(directory, ignore_errors=True)
        self._pool.release(uid)

    def known(self) -> list[str]:
        """The uids of all that have a directory."""
        return sorted(d.name for d in self._root.iterdir()) if self._root.is_dir() else []

    async def clean(self) -> None:
        """Remove every one, the addresses first, so that another machine can have them."""
        for uid in self.known():
            if ip := self._recorded(uid):
                await self._addresses.remove(ip)
        await asyncio.gather(*(self.delete(uid) for uid in self.known()))

    def _recorded(self, uid: str) -> str:
        recorded = self._directory(uid) / "address"
        return recorded.read_text().strip() if recorded.exists() else ""

    def _directory(self, uid: str) -> Path:
        if not _SAFE_UID.fullmatch(uid):
            raise CloudError(f"{uid!r} is no uid")
        return self._root / uid

    def _ended(self, directory: Path) -> None:
        self._on_lost(directory.name)
