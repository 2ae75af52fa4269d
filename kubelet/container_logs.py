"""Container logs as `kubectl logs` asks for them. The parameters are those of the pod's log subresource."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from api import timestamp
from api.errors import BadRequest
from kubelet import podspec
from kubelet.pod_worker import PodWorker
from kubelet.runtime import ContainerState, Runtime
from kubelet.store import ContainerStore

_TRUE = ("true", "1", "True")


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What part of a log is wanted; `since` is seconds since 1970 as text, empty for all."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail: int | None = None
    since: str = ""
    limit: int | None = None
    stream: str = "All"


def _number(query: Mapping[str, str], name: str, least: int) -> int | None:
    text = query.get(name)
    if not text:
        return None
    try:
        value = int(text)
    except ValueError as error:
        raise BadRequest(f"{name}: Invalid value: {text!r}: must be a number") from error
    if value < least:
        raise BadRequest(f"{name}: Invalid value: {value}: must be at least {least}")
    return value


def options(query: Mapping[str, str], now: float) -> LogOptions:
    """From the query string. Raises BadRequest."""
    since, seconds = "", _number(query, "sinceSeconds", 1)
    if text := query.get("sinceTime"):
        try:
            since = f"{timestamp.parse(text).timestamp():.9f}"
        except ValueError as error:
            raise BadRequest(f"sinceTime: Invalid value: {text!r}: {error}") from error
    elif seconds is not None:
        since = f"{now - seconds:.9f}"
    return LogOptions(
        follow=query.get("follow") in _TRUE,
        previous=query.get("previous") in _TRUE,
        timestamps=query.get("timestamps") in _TRUE,
        tail=_number(query, "tailLines", 0),
        since=since,
        limit=_number(query, "limitBytes", 1),
        stream=query.get("stream") or "All",
    )


def choose(worker: PodWorker, store: ContainerStore, container: str, *, previous: bool) -> ContainerState:
    """The attempt whose log is meant. Raises BadRequest where there is none (yet)."""
    pod = worker.pod["metadata"]["name"]
    if podspec.find_container(worker.pod, container) is None:
        raise BadRequest(f"container {container} is not valid for pod {pod}")
    states = sorted(
        (s for s in store.pod(worker.uid) if s.container == container and s.phase != "created" and not s.is_sandbox),
        key=lambda s: s.attempt,
        reverse=True,
    )
    if previous:
        if len(states) < 2:
            raise BadRequest(f'previous terminated container "{container}" in pod "{pod}" not found')
        return states[1]
    if not states:
        reason = _waiting_reason(worker, container)
        raise BadRequest(f'container "{container}" in pod "{pod}" is waiting to start: {reason}')
    return states[0]


def _waiting_reason(worker: PodWorker, container: str) -> str:
    status = worker.status or {}
    for group in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for entry in status.get(group) or ():
            if entry["name"] == container:
                waiting = entry["state"].get("waiting") or {}
                return str(waiting.get("message") or waiting.get("reason") or "ContainerCreating")
    return "ContainerCreating"


async def read(runtime: Runtime, state: ContainerState, wanted: LogOptions, *, tty: bool) -> AsyncIterator[bytes]:
    """The bytes of a log; ends with the container if it is followed."""
    left = wanted.limit
    channels = {"Stdout": (1,), "Stderr": (2,)}.get(wanted.stream, (1, 2))
    lines = runtime.logs(
        state.id, follow=wanted.follow and state.phase == "running", tail=wanted.tail, since=wanted.since,
        timestamps=wanted.timestamps, tty=tty,
    )  # fmt: skip
    async with aclosing(lines):
        async for channel, data in lines:
            if channel not in channels:
                continue
            if left is not None and len(data) >= left:
                yield data[:left]
                return
            if left is not None:
                left -= len(data)
            yield data


def wall() -> float:
    """Seconds since 1970."""
    return time.time()
