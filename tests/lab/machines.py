"""The machines of a lab: the same few verbs for a VM that is a container and for one that is reached by SSH.

The control channel (`docker exec`, or SSH from this machine) is never among what a fault takes away.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from collections.abc import AsyncIterator, Sequence
from typing import Literal, Protocol

from client.command import CommandError, Commands

Role = Literal["control-plane", "worker"]
_OFF_SECONDS = 60.0


class Machine(Protocol):
    """A VM with systemd. Every verb but `run` returns when the power has been switched, not when systemd is up."""

    name: str
    address: str
    role: Role

    async def run(self, *argv: str, stdin: bytes | None = None, timeout: float = 30.0) -> str:
        """A program's standard output; `timeout` in seconds. Raises CommandError."""
        ...

    def follow(self, *argv: str) -> AsyncIterator[str]:
        """The lines that a program prints, until it or the machine ends; it is stopped when the iterator is closed."""
        ...

    async def reboot(self) -> None:
        """In order: services are stopped first."""
        ...

    async def kill(self) -> None:
        """Power off at once, nothing is told."""
        ...

    async def start(self) -> None:
        """Power on after `kill`."""
        ...


async def _lines(argv: Sequence[str]) -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=1 << 20,
    )
    assert process.stdout
    try:
        async for line in process.stdout:
            yield line.decode(errors="replace").rstrip("\n")
    except (
        BaseException
    ):  # given up; one that has ended by itself must not be signalled, that would take its exit code away
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        raise
    finally:
        await process.wait()


class DockerMachine:
    """A node that is a container of this machine's Docker.

    `kill` ends its processes at once, as a power failure does; what they wrote stays in the host's page cache, so that a loss
    of unsynced writes is not among what it shows.
    """

    def __init__(self, name: str, address: str, role: Role, container: str, commands: Commands | None = None) -> None:
        self.name, self.address, self.role = name, address, role
        self._container, self._commands = container, commands or Commands()

    async def run(self, *argv: str, stdin: bytes | None = None, timeout: float = 30.0) -> str:
        options = () if stdin is None else ("-i",)
        return await self._commands.run(
            "docker", "exec", *options, self._container, *argv, stdin=stdin, timeout=timeout
        )

    def follow(self, *argv: str) -> AsyncIterator[str]:
        return _lines((*self._commands.prefix, "docker", "exec", self._container, *argv))

    async def reboot(self) -> None:
        # The signal by which systemd, as process 1 of a container, shuts down (systemd(1), SIGRTMIN+3: halt).
        await self._commands.run("docker", "kill", "--signal", "SIGRTMIN+3", self._container)
        await self._commands.run("docker", "wait", self._container, timeout=_OFF_SECONDS)
        await self.start()

    async def kill(self) -> None:
        await self._commands.run("docker", "kill", "--signal", "KILL", self._container)
        await self._commands.run("docker", "wait", self._container, timeout=_OFF_SECONDS)

    async def start(self) -> None:
        await self._commands.run("docker", "start", self._container, timeout=60.0)


class SshMachine:
    """A VM that is reached by SSH with a key. `kill` resets it as the reset button does, so it comes back by itself."""

    def __init__(
        self,
        name: str,
        address: str,
        role: Role,
        *,
        user: str,
        key: str,
        port: int = 22,
        commands: Commands | None = None,
    ) -> None:
        self.name, self.address, self.role = name, address, role
        self._user, self._commands = user, commands or Commands()
        self._ssh = (
            "ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "StrictHostKeyChecking=accept-new",
            "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=2", "-i", key, "-p", str(port), f"{user}@{address}",
        )  # fmt: skip

    def _remote(self, argv: Sequence[str]) -> str:
        # ssh hands one line to the remote shell; quoted, it is the same argument list there.
        return shlex.join(argv if self._user == "root" else ("sudo", "-n", *argv))

    async def run(self, *argv: str, stdin: bytes | None = None, timeout: float = 30.0) -> str:
        return await self._commands.run(*self._ssh, "--", self._remote(argv), stdin=stdin, timeout=timeout)

    def follow(self, *argv: str) -> AsyncIterator[str]:
        return _lines((*self._commands.prefix, *self._ssh, "--", self._remote(argv)))

    async def reboot(self) -> None:
        with contextlib.suppress(CommandError):
            await self.run("systemctl", "reboot")
        await self._gone()

    async def kill(self) -> None:
        with contextlib.suppress(CommandError):
            # `b` of sysrq (Documentation/admin-guide/sysrq.rst): reset at once, without sync and without a word.
            await self.run("tee", "/proc/sysrq-trigger", stdin=b"b", timeout=5.0)
        await self._gone()

    async def start(self) -> None:
        """It starts by itself."""

    async def _gone(self) -> None:
        """Return when it does not answer any more. Raises TimeoutError."""
        async with asyncio.timeout(_OFF_SECONDS):
            with contextlib.suppress(CommandError):
                # A command that lasts until the connection breaks, which is the event that is waited for.
                await self.run("sleep", str(int(_OFF_SECONDS)), timeout=2 * _OFF_SECONDS)
                raise TimeoutError(f"{self.name} was told to go down and did not within {_OFF_SECONDS:g} s")
