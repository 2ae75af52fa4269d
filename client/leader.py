"""Leader election on a Lease: of several equal processes one works, the others wait.

Promises: a process works only while it holds the Lease, judged by its own monotonic clock from the moment it began to renew,
so that clocks of different machines need not agree; a holder that cannot renew within `renew_deadline` stops before others
may take over after `lease_duration`; an orderly stop releases the Lease at once.
Source: client-go `leaderelection`, coordination.k8s.io/v1 Lease.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from api import resources, timestamp
from api.errors import AlreadyExists, ApiError, Conflict, NotFound
from api.types import Object
from client.clock import Clock, RealClock
from client.rest import ApiClient


class LostLeadership(Exception):
    """The Lease could not be renewed in time; the process must end, its supervisor starts it afresh."""


class LeaderElector:
    """Campaigns for one Lease; times are seconds."""

    def __init__(
        self,
        client: ApiClient,
        name: str,
        identity: str,
        *,
        namespace: str = "kube-system",
        lease_duration: float = 15.0,
        renew_deadline: float = 10.0,
        retry_period: float = 2.0,
        clock: Clock | None = None,
    ) -> None:
        self._client, self._name, self._namespace, self._identity = client, name, namespace, identity
        self._duration, self._deadline, self._retry = lease_duration, renew_deadline, retry_period
        self._clock = clock or RealClock()
        self._seen: tuple[str, str] = ("", "")
        self._seen_at = 0.0
        self._log = structlog.get_logger("leader").bind(lease=name, identity=identity)

    async def run(self, on_started: Callable[[], Awaitable[None]]) -> None:
        """Wait for the Lease, then run `on_started` while it is held. Raises LostLeadership."""
        began = self._clock.now()
        while not await self._try():
            await self._clock.sleep(self._retry)
            began = self._clock.now()
        self._log.info("became leader")
        work = asyncio.ensure_future(on_started())
        renewal = asyncio.ensure_future(self._renew(began))
        try:
            await asyncio.wait((work, renewal), return_when=asyncio.FIRST_COMPLETED)
            if renewal.done():
                renewal.result()
            await work
        finally:
            for task in (work, renewal):
                task.cancel()
            await asyncio.gather(work, renewal, return_exceptions=True)
            with contextlib.suppress(ApiError, TimeoutError):
                async with asyncio.timeout(2):
                    await self._release()

    async def _renew(self, renewed: float) -> None:
        """Renew until that fails for too long; `renewed` is when the last attempt that succeeded began."""
        while True:
            await self._clock.sleep(self._retry)
            began = self._clock.now()
            if await self._try_within(renewed + self._deadline - began):
                renewed = began
            if self._clock.now() - renewed >= self._deadline:
                self._log.error("lost the lease")
                raise LostLeadership(f"could not renew the Lease {self._name} for {self._deadline:g} s")

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
            lease = await self._client.get(resources.LEASES, self._name, self._namespace)
        except NotFound:
            lease = None
        except ApiError as error:
            self._log.warning("lease not readable", error=error.message)
            return False
        try:
            if lease is None:
                fresh: Object = {"metadata": {"name": self._name, "namespace": self._namespace}}
                await self._client.create(resources.LEASES, fresh | {"spec": self._spec({})})
                return True
            if not self._may_take(lease):
                return False
            await self._client.update(resources.LEASES, lease | {"spec": self._spec(lease.get("spec") or {})})
        except (Conflict, AlreadyExists):
            return False
        except ApiError as error:
            self._log.warning("lease not written", error=error.message)
            return False
        return True

    def _may_take(self, lease: Object) -> bool:
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        record = (holder, str(spec.get("renewTime")))
        if record != self._seen:
            self._seen, self._seen_at = record, self._clock.now()
        if holder in ("", self._identity):
            return True
        return self._clock.now() - self._seen_at > float(spec.get("leaseDurationSeconds") or self._duration)

    def _spec(self, old: Object) -> Object:
        mine = old.get("holderIdentity") == self._identity
        now = timestamp.now_micro()
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(self._duration),
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
