"""Keeps one certificate fresh: a new one in the last third of its life, at once when it is missing or no longer what is wanted,
and once after another authority has begun to sign.

The wall clock decides, and it is read anew often enough (`_look_again`) that a clock set forward is noticed well before the
certificate's end. Source of the moment: Kubernetes' kubelet, between 70 and 90 % of the life, so that nodes do not ask together.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from api.errors import ApiError
from client.backoff import Backoff
from client.clock import Clock
from client.notify import notify
from kubelet.certificates import pair
from kubelet.certificates.bootstrap import REVIVE
from kubelet.certificates.pair import Pair
from kubelet.certificates.signing import NotSigned, Wanted

_EARLIEST, _LATEST = 0.7, 0.9
_LOOK_SECONDS, _LOOKS = 60.0, 20
_LEAST_SECONDS = 10.0
"""A fresh certificate is kept for this long at least, however short the CA makes its life."""


def _share() -> float:
    return random.uniform(_EARLIEST, _LATEST)  # noqa: S311 (spreads the requests, no secret)


class Rotation:
    """One certificate's file. `sign` gets a new one, `installed` is told once the file has it."""

    def __init__(
        self, path: Path, wanted: Wanted, sign: Callable[[Wanted], Awaitable[Pair]], installed: Callable[[], None],
        clock: Clock, wall: Callable[[], float] = time.time, share: Callable[[], float] = _share,
        bundle: Callable[[], bytes | None] = lambda: None,
    ) -> None:  # fmt: skip
        """`wall` gives seconds since 1970, `share` the part of a certificate's life after which it is replaced.

        `bundle` gives the authorities of now as PEM, first the one that signs; None when that is not known.
        """
        self._path, self._wanted, self._sign, self._installed = path, wanted, sign, installed
        self._clock, self._wall, self._share, self._bundle = clock, wall, share, bundle
        self._asked: bytes | None = None
        self._log = structlog.get_logger("certificates").bind(file=path.name)

    async def run(self) -> None:
        """Renew until cancelled."""
        held = await asyncio.to_thread(pair.read, self._path)
        due = self._due(held)
        while True:
            if not self._is_superseded(held) and (left := due - self._wall()) > 0:
                await self._clock.sleep(min(left, _look_again(held)))
                continue
            held = await self._renew(held)
            now = self._wall()
            due = max(self._due(held), now + max((held.end - now) / 2, _LEAST_SECONDS))

    def _is_superseded(self, held: Pair | None) -> bool:
        """Whether to ask because another authority signs now: once a bundle, whoever answers."""
        bundle = self._bundle()
        if held is None or bundle is None or bundle == self._asked:
            return False
        self._asked = bundle
        return not pair.is_issued_by(held, bundle)

    def _due(self, held: Pair | None) -> float:
        fits = held is not None and (held.common_name, held.names) == (self._wanted.common_name, self._wanted.names)
        return held.moment(self._share()) if held is not None and fits else 0.0

    async def _renew(self, held: Pair | None) -> Pair:
        """Try until there is a new certificate."""
        retry = Backoff(first=0.5, longest=20.0)
        while True:
            try:
                fresh = await self._sign(self._wanted)
                await asyncio.to_thread(pair.write, self._path, fresh.pem)
            except (ApiError, NotSigned, OSError) as error:
                why = error.message if isinstance(error, ApiError) else str(error)
                if held is not None and not self._wanted.names and held.end <= self._wall():
                    why = f"this node's certificate has expired, nobody lets it in any more: {REVIVE} ({why})"
                self._log.warning("no new certificate yet", error=why)
                notify(f"STATUS=no new certificate in {self._path}: {why}")
                await self._clock.sleep(retry.next())
                continue
            self._log.info("certificate renewed", ends=time.strftime("%FT%TZ", time.gmtime(fresh.end)))
            notify(f"STATUS=certificate in {self._path} renewed")
            self._installed()
            return fresh


def _look_again(held: Pair | None) -> float:
    """After how many seconds to read the clock again."""
    return min(_LOOK_SECONDS, (held.end - held.begin) / _LOOKS) if held else 0.0
