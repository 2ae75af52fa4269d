"""`exec` and `attach`: a command in a container, or the terminal of the one that runs."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from api import resources
from cloudctl import terminal
from cloudctl.app import Verb, family
from cloudctl.faults import Fault
from cloudctl.podchoice import choose, container
from cloudctl.session import Session, execute
from cloudctl.streams import Remote, read_descriptor, stderr, stdout

cli = family()


@dataclass(frozen=True)
class Attachment:
    """What to connect to, and how. `command` is empty for attach."""

    pod: str
    container: str
    command: tuple[str, ...] = ()
    stdin: bool = False
    tty: bool = False


@cli.command("exec", cls=Verb)
def exec_command(
    ctx: typer.Context,
    words: Annotated[list[str], typer.Argument(metavar="POD | TYPE/NAME -- COMMAND [args...]")],
    name: Annotated[str, typer.Option("--container", "-c")] = "",
    stdin: Annotated[bool, typer.Option("--stdin/--no-stdin", "-i", help="Pass stdin to the container")] = False,
    tty: Annotated[bool, typer.Option("--tty/--no-tty", "-t", help="Stdin is a terminal")] = False,
    quiet: Annotated[bool, typer.Option("--quiet/--not-quiet", "-q")] = False,
) -> None:
    """Execute a command in a container; the exit code is the command's."""
    target, *command = words
    if not command:
        raise Fault("you must specify at least one command for the container")

    async def main(session: Session) -> int:
        pod = await choose(session, target)
        chosen = container(session, pod, name, quiet=quiet)
        return await attach(session, Attachment(pod["metadata"]["name"], chosen, tuple(command), stdin, tty))

    execute(ctx, main)


@cli.command("attach", cls=Verb)
def attach_command(
    ctx: typer.Context,
    word: Annotated[str, typer.Argument(metavar="POD | TYPE/NAME")],
    name: Annotated[str, typer.Option("--container", "-c")] = "",
    stdin: Annotated[bool, typer.Option("--stdin/--no-stdin", "-i")] = False,
    tty: Annotated[bool, typer.Option("--tty/--no-tty", "-t")] = False,
) -> None:
    """Attach to a process that runs inside a container."""

    async def main(session: Session) -> int:
        pod = await choose(session, word)
        chosen = container(session, pod, name)
        return await attach(session, Attachment(pod["metadata"]["name"], chosen, (), stdin, tty))

    execute(ctx, main)


async def attach(session: Session, what: Attachment) -> int:
    """Connect stdin, stdout and stderr to the container; returns the exit code."""
    tty = what.tty and what.stdin and sys.stdin.isatty()
    if what.tty and not tty:
        session.warn("Unable to use a TTY - input is not a terminal or the right kind of file")
    params = [("container", what.container), ("stdout", "true")]
    params += [("command", word) for word in what.command]
    if what.stdin:
        params.append(("stdin", "true"))
    params.append(("tty", "true") if tty else ("stderr", "true"))
    verb = "exec" if what.command else "attach"
    remote = await Remote.open(session.client, resources.PODS.path(session.namespace, what.pod, verb), params)
    stdin = read_descriptor(sys.stdin.fileno()) if what.stdin else None
    with contextlib.ExitStack() as stack:
        sizes: asyncio.Queue[tuple[int, int]] = asyncio.Queue()
        if tty:
            sizes = stack.enter_context(terminal.sizes())
            stack.enter_context(terminal.raw())
        return await remote.run(stdin, stdout, stderr, sizes)
