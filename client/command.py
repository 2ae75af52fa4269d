"""Programs that a daemon starts and waits for: argument lists only, always with a deadline."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path


class CommandError(Exception):
    """A program ended with a code other than 0, did not end in time, or is not there.

    `code` is its exit code, None when it has none; `stderr` what it complained of, `stdout` what it said besides.
    """

    def __init__(self, argv: Sequence[str], code: int | None, stderr: str, stdout: str = "") -> None:
        self.argv, self.code, self.stderr, self.stdout = tuple(argv), code, stderr.strip(), stdout
        super().__init__(f"{' '.join(argv[:6])}: {self.stderr or f'exit code {code}'}")


class Commands:
    """Runs programs. `prefix` is put before every argument list: `("ip", "netns", "exec", NAME)` in tests."""

    def __init__(self, prefix: Sequence[str] = ()) -> None:
        self.prefix = tuple(prefix)

    async def run(self, *argv: str, stdin: bytes | None = None, timeout: float = 30.0) -> str:
        """Its standard output. `timeout` is in seconds. Raises CommandError; a program that is late is killed."""
        line = self.prefix + argv
        try:
            process = await asyncio.create_subprocess_exec(
                *line,
                stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise CommandError(line, None, str(error)) from error
        try:
            # Not wait_for: before Python 3.12 it can swallow a cancellation, and the daemon would not stop.
            async with asyncio.timeout(timeout):
                out, err = await process.communicate(stdin)
        except TimeoutError as error:
            raise CommandError(line, None, f"did not end within {timeout:g} s") from error
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode:
            raise CommandError(line, process.returncode, err.decode(errors="replace"), out.decode(errors="replace"))
        return out.decode(errors="replace")

    async def launch(self, *argv: str, output: Path, timeout: float = 30.0) -> None:
        """Run a program that leaves another behind (a daemon), with both of its outputs in a file.

        With pipes the wait would last as long as the daemon, which has inherited them. Raises CommandError with the output.
        """
        line = self.prefix + argv
        try:
            with output.open("wb") as file:
                process = await asyncio.create_subprocess_exec(
                    *line, stdin=asyncio.subprocess.DEVNULL, stdout=file, stderr=file
                )
            async with asyncio.timeout(timeout):
                code = await process.wait()
        except TimeoutError as error:  # an OSError too, so it comes first
            process.kill()
            raise CommandError(line, None, f"did not end within {timeout:g} s") from error
        except OSError as error:
            raise CommandError(line, None, str(error)) from error
        if code:
            raise CommandError(line, code, await asyncio.to_thread(output.read_text, errors="replace"))

    async def succeeds(self, *argv: str, timeout: float = 30.0) -> bool:
        """Whether it ends with code 0: for questions such as `iptables -C`."""
        try:
            await self.run(*argv, timeout=timeout)
        except CommandError:
            return False
        return True
