"""A machine that writes down what it was told, and answers as it was taught."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from client.command import CommandError
from tests.lab.machines import Role

Answer = Callable[[tuple[str, ...]], str | None]


class FakeMachine:
    """`answer` gives the output of a command, or None for one that fails."""

    def __init__(self, name: str = "cp-1", answer: Answer = lambda argv: "", role: Role = "control-plane") -> None:
        self.name, self.address, self.role = name, "10.0.0.11", role
        self.said: list[str] = []
        self.written: dict[str, str] = {}
        self.lines: list[str] = []
        self._answer = answer

    async def run(self, *argv: str, stdin: bytes | None = None, timeout: float = 30.0) -> str:
        self.said.append(" ".join(argv))
        if stdin is not None:
            self.written[argv[-1]] = stdin.decode()
        answer = self._answer(argv)
        if answer is None:
            raise CommandError(argv, 1, "it failed")
        return answer

    async def follow(self, *argv: str) -> AsyncIterator[str]:
        self.said.append(" ".join(argv))
        for line in self.lines:
            yield line

    async def reboot(self) -> None:
        self.said.append("reboot")

    async def kill(self) -> None:
        self.said.append("kill")

    async def start(self) -> None:
        self.said.append("start")
