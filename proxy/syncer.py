"""Keeps the kernel's table equal to `Table`: the first change at once, further ones together at most every 100 ms.

Promises: each round is one atomic transaction; a round that fails is followed by a rebuild of everything and, if that fails
too, by a fresh table, with growing pauses; chains and sets that fell out of use are deleted a second later, since older
kernels still count them as used until then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import structlog
from prometheus_client import Counter, Histogram

from client.backoff import Backoff
from client.clock import Clock
from client.command import CommandError
from proxy.nft import Nft
from proxy.ruleset import TABLE, Change, deletions
from proxy.table import Table

MIN_INTERVAL, STALE_SECONDS = 0.1, 1.0
SYNCS = Counter("cloudlet_proxy_syncs_total", "Transactions given to nftables.", ["result"])
SYNC_SECONDS = Histogram("cloudlet_proxy_sync_seconds", "How long a transaction took.")

Step = Callable[[], Coroutine[Any, Any, None]]


class Syncer:
    """`prepare` brings the table up to date and runs before every round; `finish` runs after each that was applied."""

    def __init__(self, table: Table, nft: Nft, clock: Clock, prepare: Step, finish: Step) -> None:
        self._table, self._nft, self._clock = table, nft, clock
        self._prepare, self._finish = prepare, finish
        self._wanted = asyncio.Event()
        self._full = True
        self._stale: dict[str, tuple[str, float]] = {}
        self._backoff = Backoff(first=0.2, longest=10)
        self._log = structlog.get_logger("syncer")
        self.applied = asyncio.Event()

    def request(self, *, full: bool = False) -> None:
        """Ask for a round; `full` when the kernel may not hold what we gave it."""
        self._full = self._full or full
        self._wanted.set()

    async def run(self) -> None:
        """Apply rounds as they are asked for, until cancelled. The first one builds everything."""
        self._wanted.set()
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self._prepare()
            if await self._round():
                self.applied.set()
                await self._finish()
                await self._clock.sleep(MIN_INTERVAL)
            else:
                self._wanted.set()
                await self._clock.sleep(self._backoff.next())

    async def _round(self) -> bool:
        attempts = self._attempts()
        for name, attempt in attempts:
            began = self._clock.now()
            try:
                change = await attempt()
                if change.commands:
                    await self._nft.apply(change.text)
                    SYNCS.labels("ok").inc()
                    SYNC_SECONDS.observe(self._clock.now() - began)
                    self._log.debug("applied", kind=name, commands=len(change.commands))
            except CommandError as error:
                self._full = True
                SYNCS.labels("error").inc()
                self._log.warning("nftables refused a change", kind=name, error=str(error)[:500])
                continue
            self._note_stale(change)
            self._full = False
            self._backoff.reset()
            return True
        return False

    def _attempts(self) -> Iterable[tuple[str, Callable[[], Coroutine[Any, Any, Change]]]]:
        if not self._full:
            yield "change", self._change
        yield "rebuild", self._rebuild
        yield "afresh", self._afresh

    async def _change(self) -> Change:
        change = self._table.take()
        # What is wanted again is no longer stale: it is still there, empty, and adding it once more does no harm.
        self._stale = {name: entry for name, entry in self._stale.items() if not self._table.holds(name)}
        due = [name for name, (_, when) in self._stale.items() if when <= self._clock.now()]
        chains = [n for n in due if self._stale[n][0] == "chain"]
        sets = [n for n in due if self._stale[n][0] == "set"]
        for name in due:
            del self._stale[name]
        change.commands += deletions(chains, sets).commands
        return change

    async def _rebuild(self) -> Change:
        self._stale.clear()
        return self._table.take_all(await self._nft.present())

    async def _afresh(self) -> Change:
        self._stale.clear()
        return self._table.take_afresh()

    def _note_stale(self, change: Change) -> None:
        when = self._clock.now() + STALE_SECONDS
        self._stale |= dict.fromkeys(change.stale_chains, ("chain", when))
        self._stale |= dict.fromkeys(change.stale_sets, ("set", when))
        if change.stale_chains or change.stale_sets:
            self._clock.call_later(STALE_SECONDS + 0.01, self.request)


async def remove_table(nft: Nft) -> None:
    """Take our table out of the kernel, whether or not it is there."""
    await nft.apply(f"add table {TABLE}\ndelete table {TABLE}\n")
