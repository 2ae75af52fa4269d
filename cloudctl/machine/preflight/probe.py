"""What the checks ask of the machine, and the machine itself. Looking changes nothing that stays."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import socket
import ssl
import struct
import tempfile
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Protocol

import orjson

from client.command import Commands

DOCKER_SOCKET = Path("/var/run/docker.sock")
_SBIN = ":/usr/local/sbin:/usr/sbin:/sbin"
_COMMAND_SECONDS = 1.9
_CONNECT_SECONDS = 1.5
_MOST_BYTES = 4 << 20

# etcd's own measure: fio --rw=write --ioengine=sync --fdatasync=1 --bs=2300 (etcd's "Hardware recommendations").
_SYNC_BYTES = 2300
_SYNC_WRITES = 200
_SYNC_SECONDS = 1.0

# adjtimex(2): where `maxerror` stands in struct timex on 64-bit machines, in microseconds. 16 s without a correction is
# what the kernel itself, and timedatectl, call not synchronised.
_TIMEX_BYTES, _MAXERROR_AT, _UNSYNCHRONISED_US = 512, 24, 16_000_000


def which(program: str) -> str | None:
    """Where a program is; the folders of the administrator's programs count too."""
    return shutil.which(program, path=os.environ.get("PATH", "") + _SBIN)


@dataclass(frozen=True, slots=True)
class Space:
    """A filesystem: bytes and inodes, in all and free. A filesystem without inode limits has 0 of them."""

    total: int
    free: int
    inodes: int = 0
    inodes_free: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTPS server's answer: its clock if it told, and ours when we asked and when it came, in seconds since 1970."""

    date: float | None
    sent: float
    received: float


class Probe(Protocol):
    """Reads of files, programs, connections. Nothing here waits longer than 2 s."""

    def read(self, path: str | Path) -> str:
        """A file's text, empty when it is not there or must not be read."""
        ...

    def exists(self, path: str | Path) -> bool: ...

    def writable(self, path: str | Path) -> bool:
        """Whether we may write to a file that is there."""
        ...

    def which(self, program: str) -> str | None:
        """Where a program is, None if nowhere."""
        ...

    def root(self) -> bool: ...

    def cores(self) -> int: ...

    def hostname(self) -> str: ...

    def clock_synchronised(self) -> bool:
        """Whether the kernel's clock was corrected from outside lately."""
        ...

    def space(self, path: str | Path) -> Space:
        """The filesystem of a path, or of its nearest parent that is there."""
        ...

    async def run(self, *argv: str, stdin: bytes | None = None) -> str:
        """A program's output. Raises CommandError."""
        ...

    async def engine(self) -> dict[str, Any]:
        """Docker's `GET /info`, asked once. Raises OSError: FileNotFoundError without a socket, TimeoutError when it is slow."""
        ...

    async def resolve(self, host: str) -> list[str]:
        """A host's addresses. Raises OSError."""
        ...

    async def connect(self, host: str, port: int) -> str:
        """Open and close a TCP connection; our own address of it. Raises OSError."""
        ...

    async def answer(self, host: str, port: int) -> Answer:
        """Ask an HTTPS server, whoever it is, for /version. Raises OSError, ssl.SSLError among them."""
        ...

    async def sync_times(self, folder: Path) -> list[float]:
        """Seconds of each of some small appends with fdatasync(2), where `folder` is or will be. Raises OSError."""
        ...


class Machine:
    """This machine."""

    def __init__(self, docker: Path = DOCKER_SOCKET) -> None:
        self._docker = docker
        self._commands = Commands()
        self._engine: asyncio.Task[dict[str, Any]] | None = None

    def read(self, path: str | Path) -> str:
        try:
            return Path(path).read_text(errors="replace")
        except OSError:
            return ""

    def exists(self, path: str | Path) -> bool:
        return os.path.lexists(path)

    def writable(self, path: str | Path) -> bool:
        return os.access(path, os.W_OK)

    def which(self, program: str) -> str | None:
        return which(program)

    def root(self) -> bool:
        return os.geteuid() == 0

    def cores(self) -> int:
        return len(os.sched_getaffinity(0))

    def hostname(self) -> str:
        return socket.gethostname()

    def clock_synchronised(self) -> bool:
        timex = ctypes.create_string_buffer(_TIMEX_BYTES)
        if ctypes.CDLL(None).adjtimex(timex) < 0:
            return False
        return bool(struct.unpack_from("q", timex, _MAXERROR_AT)[0] < _UNSYNCHRONISED_US)

    def space(self, path: str | Path) -> Space:
        found = os.statvfs(_there(Path(path)))
        return Space(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize, found.f_files, found.f_favail)

    async def run(self, *argv: str, stdin: bytes | None = None) -> str:
        program = self.which(argv[0]) or argv[0]
        return await self._commands.run(program, *argv[1:], stdin=stdin, timeout=_COMMAND_SECONDS)

    async def engine(self) -> dict[str, Any]:
        if self._engine is None:
            self._engine = asyncio.create_task(self._info())
        # One check that gives up must not take the answer from the others.
        return await asyncio.shield(self._engine)

    async def _info(self) -> dict[str, Any]:
        async with asyncio.timeout(_COMMAND_SECONDS):
            reader, writer = await asyncio.open_unix_connection(self._docker)
            body = (await _get(reader, writer, "docker", "/info"))[1]
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise ConnectionError(f"what answers on {self._docker} is no Docker Engine") from None
        if not isinstance(found, dict):
            raise ConnectionError(f"what answers on {self._docker} is no Docker Engine")
        return found

    async def resolve(self, host: str) -> list[str]:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_CONNECT_SECONDS):
            found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    async def connect(self, host: str, port: int) -> str:
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
        try:
            return str(writer.get_extra_info("sockname")[0])
        finally:
            await _close(writer)

    async def answer(self, host: str, port: int) -> Answer:
        # Nobody is trusted for it: nothing secret is sent, and the clock it tells is only compared with ours.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        async with asyncio.timeout(_CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
            sent = time.time()
            headers, _ = await _get(reader, writer, host, "/version")
        received = time.time()
        try:
            date = parsedate_to_datetime(headers.get("date", "")).timestamp()
        except ValueError:
            return Answer(None, sent, received)
        return Answer(date, sent, received)

    async def sync_times(self, folder: Path) -> list[float]:
        return await asyncio.to_thread(_sync_times, _there(folder))


def _there(path: Path) -> Path:
    """The path, or the nearest parent that is there."""
    return next(place for place in (path, *path.parents) if place.exists())


def _sync_times(folder: Path) -> list[float]:
    times: list[float] = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        # As etcd's log is: the room is taken beforehand, so that a write does not change the file's size on disk.
        os.posix_fallocate(file.fileno(), 0, _SYNC_BYTES * _SYNC_WRITES)
        end = time.monotonic() + _SYNC_SECONDS
        while len(times) < _SYNC_WRITES and time.monotonic() < end:
            began = time.monotonic()
            file.write(bytes(_SYNC_BYTES))
            os.fdatasync(file.fileno())
            times.append(time.monotonic() - began)
    return times


async def _get(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, path: str
) -> tuple[dict[str, str], bytes]:
    """Headers, in small letters, and body of a GET. Closes the connection. Raises OSError for what is no HTTP."""
    try:
        # HTTP/1.0: the body ends with the connection.
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        whole = await reader.read(_MOST_BYTES)
        while piece := await reader.read(_MOST_BYTES):
            whole += piece
            if len(whole) > _MOST_BYTES:
                raise ConnectionError("the answer is too long")
    finally:
        await _close(writer)
    head, _, body = whole.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    if not first.startswith("HTTP/"):
        raise ConnectionError("what answers does not speak HTTP")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return headers, body


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
