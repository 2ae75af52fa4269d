"""The image of sandbox containers, made on the machine: nothing but a static busybox, whose shell waits and reaps orphans.

As process 1 of a shared process namespace it must wait for children that are not its own; `wait` of busybox's shell does.
"""

from __future__ import annotations

import asyncio
import io
import tarfile
from pathlib import Path

from kubelet.runtime import Runtime, RuntimeFault

_BUSYBOX = ("/bin/busybox", "/usr/bin/busybox")
COMMAND = ("/busybox", "sh", "-c", "trap 'exit 0' TERM INT; while :; do /busybox sleep 2147483647 & wait $!; done")


def archive(program: bytes) -> bytes:
    """A tar archive with the one file /busybox: by that name alone it takes the applet from its first argument."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("busybox")
        entry.size, entry.mode = len(program), 0o755
        tar.addfile(entry, io.BytesIO(program))
    return buffer.getvalue()


def _busybox() -> bytes:
    for path in _BUSYBOX:
        if Path(path).is_file():
            return Path(path).read_bytes()
    raise RuntimeFault("there is no busybox to make the sandbox image of: install the package busybox-static")


class PauseImage:
    """The image, made at most once however many sandboxes ask for it at the same time."""

    def __init__(self, runtime: Runtime, reference: str) -> None:
        self._runtime, self._reference = runtime, reference
        self._lock = asyncio.Lock()

    async def ensure(self) -> None:
        """Make the image if it is missing. Raises RuntimeFault."""
        async with self._lock:
            if await self._runtime.image(self._reference) is None:
                await self._runtime.load(self._reference, archive(_busybox()), [f"ENTRYPOINT {_json(COMMAND)}"])


def _json(words: tuple[str, ...]) -> str:
    return "[" + ", ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words) + "]"
