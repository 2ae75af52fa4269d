"""A container's termination message: the file it may write, or, if the policy says so, the end of its log.

Source: Kubernetes' "Determine the Reason for Pod Failure": 4096 bytes of the file; 2048 bytes or 80 lines of the log.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

from api.types import Object
from kubelet.runtime import ContainerState, Runtime, RuntimeFault

_FILE_LIMIT = 4096
_LOG_LIMIT = 2048
_LOG_LINES = 80
_LOG_SECONDS = 5.0


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_FILE_LIMIT)
    except OSError:
        return b""


async def _log_end(runtime: Runtime, state: ContainerState, tty: bool) -> bytes:
    text = b""
    try:
        lines = runtime.logs(state.id, follow=False, tail=_LOG_LINES, since="", timestamps=False, tty=tty)
        async with asyncio.timeout(_LOG_SECONDS), aclosing(lines):
            async for _, piece in lines:
                text = (text + piece)[-_LOG_LIMIT:]
    except (RuntimeFault, TimeoutError):
        return b""
    return text


async def read(runtime: Runtime, state: ContainerState, container: Object, path: Path) -> str:
    """The message, empty if the container left none."""
    data = _read(path)
    fallback = container.get("terminationMessagePolicy") == "FallbackToLogsOnError"
    if not data and fallback and state.exit_code != 0:
        data = await _log_end(runtime, state, bool(container.get("tty")))
    return data.decode(errors="replace")
