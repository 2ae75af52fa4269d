"""From Docker's JSON and byte streams to the plain data of `runtime.py`. Pure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from kubelet.runtime import ContainerState, Image, Phase, Usage

_NEVER = "0001-01-01T00:00:00Z"
_HEADER = 8


def _time(text: str | None) -> str:
    return "" if not text or text.startswith(_NEVER[:10]) else text


def _phase(state: Mapping[str, Any]) -> Phase:
    if state.get("Running"):
        return "running"
    # A start that failed leaves the state "created" with an error: for the kubelet that container has ended.
    if state.get("Status") == "created" and not state.get("Error"):
        return "created"
    return "exited"


def container_state(raw: Mapping[str, Any]) -> ContainerState:
    """From `GET /containers/ID/json`."""
    state, config = raw["State"], raw["Config"]
    phase = _phase(state)
    return ContainerState(
        id=raw["Id"],
        name=raw["Name"].lstrip("/"),
        phase=phase,
        labels=config.get("Labels") or {},
        image=config.get("Image", ""),
        image_id=raw.get("Image", ""),
        pid=int(state.get("Pid") or 0),
        created_at=_time(raw.get("Created")),
        started_at=_time(state.get("StartedAt")),
        finished_at=_time(state.get("FinishedAt")) if phase == "exited" else "",
        exit_code=int(state.get("ExitCode") or 0) if phase == "exited" else 0,
        oom_killed=bool(state.get("OOMKilled")),
        error=state.get("Error") or "",
        stop_signal=config.get("StopSignal") or "",
    )


def _sized(raw: Mapping[str, Any], config: Mapping[str, Any]) -> Image:
    return Image(
        id=raw["Id"],
        tags=tuple(t for t in raw.get("RepoTags") or () if "<none>" not in t),
        digests=tuple(d for d in raw.get("RepoDigests") or () if "<none>" not in d),
        size=int(raw.get("Size") or 0),
        user=config.get("User") or "",
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        env=tuple(config.get("Env") or ()),
        stop_signal=config.get("StopSignal") or "",
    )


def image(raw: Mapping[str, Any]) -> Image:
    """From `GET /images/NAME/json`."""
    return _sized(raw, raw.get("Config") or {})


def listed_image(raw: Mapping[str, Any]) -> Image:
    """From a row of `GET /images/json`, which has no configuration."""
    return _sized(raw, {})


def usage(raw: Mapping[str, Any]) -> Usage:
    """From `GET /containers/ID/stats`."""
    memory = raw.get("memory_stats") or {}
    details = memory.get("stats") or {}
    used = int(memory.get("usage") or 0)
    inactive = int(details.get("total_inactive_file") or details.get("inactive_file") or 0)
    cpu = ((raw.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage") or 0
    return Usage(int(cpu), max(0, used - inactive), used, int((raw.get("pids_stats") or {}).get("current") or 0))


async def demultiplex(pieces: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    """Split Docker's stream format (8 bytes of header: channel, three zeros, length) into (channel, data)."""
    buffer = bytearray()
    async for piece in pieces:
        buffer += piece
        while len(buffer) >= _HEADER:
            length = int.from_bytes(buffer[4:_HEADER], "big")
            if len(buffer) < _HEADER + length:
                break
            yield buffer[0] or 1, bytes(buffer[_HEADER : _HEADER + length])
            del buffer[: _HEADER + length]
