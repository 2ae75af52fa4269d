"""Docker connections that stay open: exec and attach, which take over the connection, spoken directly on the socket.

The `docker` package reads these through blocking sockets, a thread each, and may lose the first bytes that arrive with
the response's head; here they are asyncio streams. Source: Docker Engine API 1.41, "Attach to a container", stream format.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import orjson

from kubelet.runtime import EngineDown, NotThere, RuntimeFault

_HEAD_SECONDS = 30.0
_HEADER = 8


def check(status: int, body: bytes, what: str) -> None:
    """Raise the runtime's error for an HTTP status of 400 and above."""
    if status < 400:
        return
    try:
        message = str(orjson.loads(body)["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        message = body.decode(errors="replace").strip() or f"status {status}"
    raise (NotThere if status == 404 else RuntimeFault)(f"{what}: {message}")


class DockerStream:
    """One hijacked connection: the container's output channels one way, its standard input the other."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        tty: bool,
        resize: Callable[[int, int], Awaitable[None]],
        exit_code: Callable[[], Awaitable[int]],
    ) -> None:
        self._reader, self._writer, self._tty = reader, writer, tty
        self._resize, self._exit_code = resize, exit_code

    async def read(self) -> tuple[int, bytes] | None:
        """The next piece of output and its channel (1 or 2); None at the end."""
        try:
            if self._tty:
                data = await self._reader.read(65536)
                return (1, data) if data else None
            header = await self._reader.readexactly(_HEADER)
            return header[0] or 1, await self._reader.readexactly(int.from_bytes(header[4:], "big"))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def write(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            self._writer.write(data)
            await self._writer.drain()

    async def close_stdin(self) -> None:
        """End of input; output goes on."""
        with contextlib.suppress(OSError):
            self._writer.write_eof()

    async def resize(self, width: int, height: int) -> None:
        await self._resize(width, height)

    async def exit_code(self) -> int:
        """The process's exit code; asked after `read` gave None."""
        return await self._exit_code()

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


async def hijack(socket_path: str, path: str, body: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """POST and take the connection over. Raises EngineDown, NotThere, RuntimeFault."""
    data = orjson.dumps(body)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nConnection: Upgrade\r\n"
        f"Upgrade: tcp\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    try:
        async with asyncio.timeout(_HEAD_SECONDS):
            reader, writer = await asyncio.open_unix_connection(socket_path, limit=1 << 20)
            writer.write(head.encode() + data)
            await writer.drain()
            answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status = int(answer.split(" ", 2)[1])
            if status >= 400:
                text = await reader.read(4096)
                writer.close()
                check(status, _unchunk(text, answer), path)
    except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
        raise EngineDown(f"Docker does not answer at {socket_path}: {error!r}") from error
    return reader, writer


def _unchunk(text: bytes, head: str) -> bytes:
    """The body of a short error answer, whether or not it came chunked."""
    if "chunked" not in head.lower():
        return text
    return text.partition(b"\r\n")[2].rpartition(b"\r\n0")[0] or text
