"""Programs that answer what a test has laid down."""

from client.command import CommandError, Commands


class Recorded(Commands):
    """Answers every program with what a test has laid down: output, or an error."""

    def __init__(self, *answers: str | CommandError) -> None:
        super().__init__()
        self._answers = list(answers)
        self.lines: list[tuple[str, ...]] = []

    async def run(self, *argv: str, stdin: bytes | None = None, timeout: float = 30.0) -> str:
        self.lines.append(argv)
        answer = self._answers.pop(0)
        if isinstance(answer, CommandError):
            raise answer
        return answer
