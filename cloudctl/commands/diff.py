"""`diff`: what `apply` would change, as the server sees it."""

from __future__ import annotations

import difflib
import sys
from typing import Annotated

import typer

from api.errors import NotFound
from api.types import Object
from cloudctl import manifests, printers, writes
from cloudctl.app import Verb, family
from cloudctl.commands.apply import Applier, Request, namespace_of
from cloudctl.manifests import Manifest
from cloudctl.session import Session, execute

cli = family()

_COLOURS = {"+": "32", "-": "31", "@": "36"}


@cli.command("diff", cls=Verb)
def command(
    ctx: typer.Context,
    filename: Annotated[list[str], typer.Option("--filename", "-f")],
    recursive: Annotated[bool, typer.Option("--recursive/--no-recursive", "-R")] = False,
    server_side: Annotated[bool, typer.Option("--server-side/--client-side")] = False,
) -> None:
    """Diff the live version against the would-be applied version; the exit code is 1 when there are differences."""

    async def main(session: Session) -> int:
        manager = "kubectl" if server_side else "kubectl-client-side-apply"
        request = Request(server_side=server_side, how=writes.options("server", "strict", manager, force=True))
        applier, differs = Applier(session, request), 0
        for manifest in manifests.read(filename, recursive=recursive):
            differs |= await _one(session, applier, manifest)
        return differs

    execute(ctx, main)


async def _one(session: Session, applier: Applier, manifest: Manifest) -> int:
    resource = await session.resolver.of(manifest.obj)
    name = manifest.obj["metadata"]["name"]
    live: Object | None = None
    try:
        live = await session.client.get(resource, name, namespace_of(session, resource, manifest.obj))
    except NotFound:
        live = None
    merged, _ = await applier.one(manifest)
    before = _lines(live) if live else []
    title = f"{resource.group_version}.{resource.kind}/{name}"
    lines = list(difflib.unified_diff(before, _lines(merged), f"LIVE/{title}", f"MERGED/{title}"))
    for line in lines:
        sys.stdout.write(_painted(line))
    return 1 if lines else 0


def _lines(obj: Object) -> list[str]:
    return printers.to_yaml(printers.plain(obj)).splitlines(keepends=True)


def _painted(line: str) -> str:
    code = _COLOURS.get(line[:1])
    return f"\x1b[{code}m{line.rstrip(chr(10))}\x1b[0m\n" if code and sys.stdout.isatty() else line
