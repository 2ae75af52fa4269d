"""Leader election on a Lease: of several equal processes one works, the others wait.

Promises: a process works only while it holds the Lease, judged by its own clock from the moment it began to renew, so that
clocks of different machines need not agree; a holder that cannot renew within `renew_deadline`, or that sees another's name
in the Lease, stops before others may take over after `lease_duration`; an orderly stop releases the Lease at once.

A process that was stopped (SIGSTOP, a suspended machine) finds on resuming that its time is over: the clock is CLOCK_BOOTTIME,
which went on. Its API client is fenced: no request that may change something is begun after the deadline, whichever task
resumes first; and a timer, not the renewal's answer, cancels the work. client-go has no such fence: its process exits when the
renewal loop notices. What remains open, here as there: a request that was on its way to the server when the process stopped;
what the work does elsewhere (Docker, nftables) before its cancellation reaches it, some turns of the event loop; and a
virtual machine that its hypervisor pauses with all its clocks, which works on until its next renewal reads the Lease, within
`retry_period`. Against these, writes carry the resourceVersion that they are based on.
Source: client-go `leaderelection`, coordination.k8s.io/v1 Lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable

import structlog

from api import resources, timestamp
from api.errors import AlreadyExists, ApiError, Conflict, NotFound, ServiceUnavailable
from api.types import Object
from client.clock import BootClock, Clock, Timer
from client.rest import ApiClient
from client.timing import Timing


class LostLeadership(Exception):
    """The Lease could not be renewed in time; the process must end, its supervisor starts it afresh."""


class LeaderElector:
    """Campaigns for one Lease; it owns the client's fence while it leads."""

    def __init__(
        self,
        client: ApiClient,
        name: str,
        identity: str,
        *,
        namespace: str = "kube-system",
        timing: Timing | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._client, self._name, self._namespace, self._identity = client, name, namespace, identity
        self._timing = timing or Timing()
        self._clock = clock or BootClock()
        self._seen: tuple[str, str] = ("", "")
        self._seen_for = self._timing.lease_duration
        self._seen_at = 0.0
        self._until = 0.0
        self._timer: Timer
        self._log = structlog.get_logger("leader").bind(lease=name, identity=identity)

    async def run(
        self, on_started: Callable[[], Awaitable[None]], on_waiting: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Wait for the Lease, then run `on_started` while it is held. Raises LostLeadership.

        `on_waiting` runs once if the first attempt fails: whatever an earlier life of this candidate left, it leads no more.
        """
        await self._acquire(on_waiting)
        self._log.info("became leader")
        self._client.fence = self._fence
        work = asyncio.ensure_future(on_started())
        renewal = asyncio.ensure_future(self._renew())
        self._expire(work)
        try:
            await asyncio.wait((work, renewal), return_when=asyncio.FIRST_COMPLETED)
            if self._left() <= 0:
                self._log.error("lost the lease")
                raise LostLeadership(f"could not renew the Lease {self._name} in time")
            if renewal.done():
                renewal.result()
            await work
        finally:
            for task in (work, renewal):
                task.cancel()
            await asyncio.gather(work, renewal, return_exceptions=True)
            self._timer.cancel()
            self._client.fence = None
            with contextlib.suppress(ApiError, TimeoutError):
                async with asyncio.timeout(2):
                    await self._release()

    def assured(self) -> float:
        """Seconds for which nobody else can take the Lease; 0 once the work may not go on."""
        others = math.floor(self._timing.lease_duration) - self._timing.renew_deadline
        return self._left() + others if self._left() > 0 else 0.0

    def _left(self) -> float:
        """Seconds that the work may still go on without a renewal."""
        return self._until - self._clock.now()

    def _fence(self) -> None:
        if self._left() <= 0:
            raise ServiceUnavailable(f"the Lease {self._name} could not be renewed in time, nothing more is written")

    def _expire(self, work: asyncio.Future[None]) -> None:
        """Cancel the work if it may not go on, else look again when that will be so."""
        left = self._left()
        if left <= 0:
            work.cancel()
        else:
            self._timer = self._clock.call_later(left, self._expire, work)

    async def _acquire(self, on_waiting: Callable[[], Awaitable[None]] | None) -> None:
        """Try once a period, and when the holder's time is over."""
        while True:
            began = self._clock.now()
            if await self._try():
                self._until = began + self._timing.renew_deadline
                return
            if on_waiting:
                await on_waiting()
                on_waiting = None
            over = self._seen_at + self._seen_for - self._clock.now()
            await self._clock.sleep(min(self._timing.retry_period, over) if over > 0 else self._timing.retry_period)

    async def _renew(self) -> None:
        """Renew until that fails for too long or another has the Lease."""
        began = self._clock.now()
        while self._left() > 0:
            # An attempt that took long is followed by the next at once.
            await self._clock.sleep(max(0.0, began + self._timing.retry_period - self._clock.now()))
            began = self._clock.now()
            if await self._try_within(self._left()):
                self._until = began + self._timing.renew_deadline
            elif self._seen[0] not in ("", self._identity):
                self._log.error("another has the lease", holder=self._seen[0])
                self._until = began

    async def _try_within(self, seconds: float) -> bool:
        """One attempt that is given up in time, even when the server says nothing at all."""
        if seconds <= 0:
            return False
        attempt = asyncio.ensure_future(self._try())
        timer = self._clock.call_later(seconds, attempt.cancel)
        try:
            await asyncio.wait((attempt,))
            return not attempt.cancelled() and attempt.result()
        finally:
            timer.cancel()
            attempt.cancel()

    async def _try(self) -> bool:
        """One attempt to take or renew the Lease; False when another holds it or the API does not answer."""
        try:
            lease = await self._lease()
        except ApiError as error:
            self._log.warning("lease not readable", error=error.message)
            return False
        if lease is not None and not self._may_take(lease):
            return False
        try:
            await self._write(lease)
        except (Conflict, AlreadyExists):
            return False
        except ApiError as error:
            self._log.warning("lease not written", error=error.message)
            return False
        self._seen = (self._identity, "")
        return True

    async def _lease(self) -> Object | None:
        try:
            return await self._client.get(resources.LEASES, self._name, self._namespace)
        except NotFound:
            return None

    async def _write(self, lease: Object | None) -> None:
        if lease is None:
            fresh: Object = {"metadata": {"name": self._name, "namespace": self._namespace}}
            await self._client.create(resources.LEASES, fresh | {"spec": self._spec({})})
        else:
            await self._client.update(resources.LEASES, lease | {"spec": self._spec(lease.get("spec") or {})})

    def _may_take(self, lease: Object) -> bool:
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        record = (holder, str(spec.get("renewTime")))
        if record != self._seen:
            self._seen, self._seen_at = record, self._clock.now()
            self._seen_for = float(spec.get("leaseDurationSeconds") or self._timing.lease_duration)
        if holder in ("", self._identity):
            return True
        return self._clock.now() - self._seen_at >= self._seen_for

    def _spec(self, old: Object) -> Object:
        mine = old.get("holderIdentity") == self._identity
        now = timestamp.now_micro()
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(self._timing.lease_duration),
            "acquireTime": old.get("acquireTime", now) if mine else now,
            "renewTime": now,
            "leaseTransitions": old.get("leaseTransitions", 0) + (0 if mine or not old else 1),
        }

    async def _release(self) -> None:
        lease = await self._client.get(resources.LEASES, self._name, self._namespace)
        spec = lease.get("spec") or {}
        if spec.get("holderIdentity") == self._identity:
            # Without a holder, not with an empty one: the API refuses that.
            freed = {k: v for k, v in spec.items() if k != "holderIdentity"}
            released = freed | {"leaseDurationSeconds": 1, "renewTime": timestamp.now_micro()}
            await self._client.update(resources.LEASES, lease | {"spec": released})
