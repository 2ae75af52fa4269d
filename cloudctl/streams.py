"""Exec, attach and port-forward streams: WebSocket messages whose first byte is a channel.

Source: the remote command protocol of Kubernetes, subprotocols `v5.channel.k8s.io` (which can close stdin) and
`v4.channel.k8s.io`. Channels: 0 stdin, 1 stdout, 2 stderr, 3 the closing Status, 4 the terminal's size, 255 close.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import stat
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from api.errors import ApiError, ServiceUnavailable
from client.rest import ApiClient

V5, V4 = Subprotocol("v5.channel.k8s.io"), Subprotocol("v4.channel.k8s.io")
STDIN, STDOUT, STDERR, STATUS, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
CHUNK = 64 * 1024
_OPEN_SECONDS = 30.0

Sink = Callable[[bytes], None]


def stdout(data: bytes) -> None:
    """Hand bytes to whoever reads our output, at once."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def stderr(data: bytes) -> None:
    """The same for error output."""
    sys.stderr.buffer.write(data)
    sys.stderr.buffer.flush()


async def dial(
    client: ApiClient, path: str, params: Sequence[tuple[str, str]], protocols: Sequence[Subprotocol]
) -> ClientConnection:
    """An open WebSocket to an API path. Raises ApiError."""
    address = client.server.replace("http", "ws", 1) + path + ("?" + urlencode(params) if params else "")
    try:
        return await connect(
            address,
            ssl=client.config.ssl_context() if address.startswith("wss") else None,
            server_hostname=client.config.server_name or None,
            subprotocols=list(protocols),
            additional_headers=client.authorization(),
            user_agent_header="cloudctl",
            max_size=None,
            compression=None,
            open_timeout=_OPEN_SECONDS,
            ping_interval=None,
            proxy=None,
        )
    except InvalidStatus as error:
        raise _refused(error) from error
    except (OSError, TimeoutError, InvalidHandshake) as error:
        raise ServiceUnavailable(f"the API server does not answer: {error}") from error


def _refused(error: InvalidStatus) -> ApiError:
    body = bytes(error.response.body or b"")
    try:
        status: Any = json.loads(body)
    except ValueError:
        status = None
    if not isinstance(status, dict):
        status = {"message": body.decode("utf-8", "replace").strip() or f"HTTP {error.response.status_code}"}
    return ApiError.from_status(status, error.response.status_code)


class Remote:
    """One running exec or attach."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, client: ApiClient, path: str, params: Sequence[tuple[str, str]]) -> Remote:
        """Start it. Raises ApiError."""
        return cls(await dial(client, path, params, (V5, V4)))

    async def run(
        self, stdin: AsyncIterator[bytes] | None, out: Sink, err: Sink, sizes: asyncio.Queue[tuple[int, int]]
    ) -> int:
        """Pass everything until the remote command ends; returns its exit code. Raises ApiError when it did not run."""
        tasks = [asyncio.create_task(self._send_sizes(sizes))]
        if stdin is not None:
            tasks.append(asyncio.create_task(self._send_stdin(stdin)))
        try:
            return await self._receive(out, err)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._connection.close()

    async def _receive(self, out: Sink, err: Sink) -> int:
        code: int | None = None
        with contextlib.suppress(ConnectionClosed):
            async for message in self._connection:
                data = message.encode() if isinstance(message, str) else message
                if not data:
                    continue
                if data[0] == STDOUT:
                    out(data[1:])
                elif data[0] == STDERR:
                    err(data[1:])
                elif data[0] == STATUS:
                    code = exit_code(data[1:])
        if code is None:
            raise ServiceUnavailable("the stream ended before the command's result was known")
        return code

    async def _send_stdin(self, stdin: AsyncIterator[bytes]) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for chunk in stdin:
                await self._connection.send(bytes([STDIN]) + chunk)
            if self._connection.subprotocol == V5:
                await self._connection.send(bytes([CLOSE, STDIN]))

    async def _send_sizes(self, sizes: asyncio.Queue[tuple[int, int]]) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                width, height = await sizes.get()
                await self._connection.send(bytes([RESIZE]) + json.dumps({"Width": width, "Height": height}).encode())


def exit_code(data: bytes) -> int:
    """The exit code that a closing Status tells. Raises ApiError when the command could not be run at all."""
    try:
        status = json.loads(data)
    except ValueError as error:
        raise ServiceUnavailable(data.decode("utf-8", "replace")) from error
    if status.get("status") == "Success":
        return 0
    for cause in (status.get("details") or {}).get("causes") or ():
        if cause.get("reason") == "ExitCode" and str(cause.get("message", "")).isdigit():
            return int(cause["message"])
    raise ApiError.from_status(status)


async def read_descriptor(descriptor: int) -> AsyncIterator[bytes]:
    """What arrives on a file descriptor until its end: by events where the kernel offers them, else by reading on."""
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        while chunk := os.read(descriptor, CHUNK):
            yield chunk
        return
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(descriptor, readable.set)
    except PermissionError:
        # /dev/null and its like are always readable and know no events.
        while chunk := os.read(descriptor, CHUNK):
            yield chunk
        return
    try:
        while True:
            await readable.wait()
            readable.clear()
            chunk = os.read(descriptor, CHUNK)
            if not chunk:
                return
            yield chunk
    finally:
        loop.remove_reader(descriptor)
