"""`version`: of this client and of the server."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import orjson
import typer

from api.errors import ApiError
from cloudctl import printers
from cloudctl.app import Verb, family
from cloudctl.faults import sentence
from cloudctl.session import Session, execute

cli = family()


def client_version() -> str:
    """The version of this distribution."""
    try:
        return f"v{version('cloudlet')}"
    except PackageNotFoundError:
        return "v0.0.0"


@cli.command("version", cls=Verb)
def command(
    ctx: typer.Context,
    client: Annotated[bool, typer.Option("--client/--both", help="Only of this client")] = False,
    output: Annotated[str, typer.Option("--output", "-o", help="json or yaml")] = "",
) -> None:
    """Print the client and server version information."""
    if client:
        _print({"clientVersion": {"gitVersion": client_version()}}, output)
        return

    async def main(session: Session) -> int:
        found = {"clientVersion": {"gitVersion": client_version()}}
        try:
            found["serverVersion"] = orjson.loads((await session.client.raw("GET", "/version")).content)
        except ApiError as error:
            _print(found, output)
            session.warn(sentence(error))
            return 1
        _print(found, output)
        return 0

    execute(ctx, main)


def _print(found: dict[str, dict[str, str]], output: str) -> None:
    if output:
        typer.echo(printers.printer(output)(found), nl=False)
        return
    typer.echo(f"Client Version: {found['clientVersion']['gitVersion']}")
    if "serverVersion" in found:
        typer.echo(f"Server Version: {found['serverVersion'].get('gitVersion', '')}")
