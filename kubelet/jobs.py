"""The work under way for one pod: one job per key at most, and for a job that failed, why and when it may be tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from kubelet.backoff import Backoff
from kubelet.network import NetworkFault
from kubelet.runtime import EngineDown, RuntimeFault
from kubelet.starter import StartFault
from kubelet.sync import Hold
from kubelet.volumes.payload import VolumeFault

SANDBOX, VOLUMES, RELEASE, PRUNE = "+sandbox", "+volumes", "+release", "+prune"
"""Keys that are no container names."""


def stop_key(name: str) -> str:
    """Under which the failure to stop a container is held: it must not hold up its start, nor the other way round."""
    return f"-{name}"


_ENGINE_SECONDS = 2.0


class Jobs:
    """Runs jobs and keeps their failures as holds. `done` is called after each; `wall` gives seconds since 1970."""

    def __init__(self, done: Callable[[], None], wall: Callable[[], float], pod: str) -> None:
        self.holds: dict[str, Hold] = {}
        self._done, self._wall = done, wall
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._kinds: dict[str, str] = {}
        self._tries = Backoff(2.0, 60.0)
        self._log = structlog.get_logger("pod").bind(pod=pod)

    def __bool__(self) -> bool:
        return bool(self._tasks)

    def __contains__(self, key: str) -> bool:
        return key in self._tasks

    def keys(self) -> frozenset[str]:
        """What is being worked on."""
        return frozenset(self._tasks)

    def kind(self, key: str) -> str:
        """What sort of work it is, empty for none."""
        return self._kinds.get(key, "")

    def start(self, key: str, kind: str, work: Coroutine[Any, Any, None], hold_as: str = "") -> None:
        """Begin a job; the caller has seen that there is none for the key. Its failure is held as `hold_as`, or its key."""
        task = asyncio.create_task(self._guard(hold_as or key, work), name=f"{kind} {key}")
        self._tasks[key], self._kinds[key] = task, kind
        task.add_done_callback(lambda _: self._end(key))

    def _end(self, key: str) -> None:
        self._tasks.pop(key, None)
        self._kinds.pop(key, None)
        self._done()

    def is_held(self, key: str) -> bool:
        """Whether a job failed too lately to be tried again."""
        hold = self.holds.get(key)
        return hold is not None and hold.until > self._wall()

    def clear(self, key: str) -> None:
        """A job has succeeded."""
        self.holds.pop(key, None)
        self._tries.forget(key)

    def retry_all(self) -> None:
        """Something changed that failed jobs may have waited for; pulls keep their own pace."""
        self.holds = {key: hold for key, hold in self.holds.items() if "ImagePull" in hold.reason}

    def hold(self, key: str, reason: str, message: str, until: float = 0.0) -> None:
        """Note a failure; without `until` the delay doubles each time."""
        now = self._wall()
        if not until:
            self._tries.record(key, now)
            until = now + self._tries.delay(key)
        self.holds[key] = Hold(reason, message, until)

    async def _guard(self, key: str, work: Awaitable[None]) -> None:
        """A job's outer loop: what it raises is held against its key, and the pod goes on."""
        try:
            await work
        except StartFault as fault:
            self.hold(key, fault.reason, str(fault), fault.until)
        except EngineDown as error:
            self.hold(key, "RuntimeNotReady", str(error), self._wall() + _ENGINE_SECONDS)
        except (RuntimeFault, NetworkFault) as error:
            self.hold(key, "FailedSync", str(error))
        except VolumeFault as error:
            self.hold(key, "ContainerCreating", str(error))
        except Exception as error:
            self._log.exception("a job of this pod failed", job=key)
            self.hold(key, "KubeletError", repr(error))

    def cancel(self) -> None:
        """Give everything up."""
        for task in self._tasks.values():
            task.cancel()
