"""`edit`: an object in the user's editor, and what was changed sent back as a patch."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated

import typer
import yaml

from api.errors import ApiError
from api.types import Object, Resource
from cloudctl import manifests, printers, report, writes
from cloudctl.app import Verb, family
from cloudctl.faults import Fault, sentence
from cloudctl.schema import Schemas
from cloudctl.session import Session, execute
from cloudctl.threeway import Merge

cli = family()

_HEAD = """# Please edit the object below. Lines beginning with a '#' will be ignored,
# and an empty file will abort the edit. If an error occurs while saving this file will be
# reopened with the relevant failures.
#
"""


@cli.command("edit", cls=Verb)
def command(
    ctx: typer.Context,
    words: Annotated[list[str], typer.Argument(metavar="TYPE/NAME | TYPE NAME")],
    editor: Annotated[str, typer.Option("--editor", help="Else $KUBE_EDITOR, $EDITOR, vi")] = "",
    subresource: Annotated[str, typer.Option("--subresource")] = "",
) -> None:
    """Edit a resource from the default editor."""

    async def main(session: Session) -> int:
        code = 0
        for target in await session.resolver.targets(words):
            for name in target.names:
                code = await _edit(session, target.resource, name, _program(editor), subresource) or code
        return code

    execute(ctx, main)


def _program(chosen: str) -> list[str]:
    text = chosen or os.environ.get("KUBE_EDITOR") or os.environ.get("EDITOR") or "vi"
    return shlex.split(text)


async def _edit(session: Session, resource: Resource, name: str, editor: list[str], subresource: str) -> int:
    space = session.namespace if resource.namespaced else None
    live = printers.plain(await session.client.get(resource, name, space))
    original = printers.to_yaml(live)
    text, complaint = original, ""
    while True:
        edited = _in_editor(editor, _HEAD + complaint + text)
        if not edited.strip() or edited == text:
            if complaint:
                session.warn("Edit cancelled, no valid changes were saved.")
                return 1
            session.say("Edit cancelled, no changes made.")
            return 0
        try:
            wanted = _parse(edited)
            change = await _change(session, resource, live, wanted)
            if not change:
                session.say("Edit cancelled, no changes made.")
                return 0
            how = writes.options(manager="kubectl-edit")
            result = await writes.patch(session, resource, name, space, change, how, subresource=subresource)
        except (Fault, ApiError) as error:
            said = sentence(error) if isinstance(error, ApiError) else str(error)
            session.warn(said)
            text, complaint = edited, f"# {said}\n#\n"
            continue
        report.changed(session, resource, result, "edited")
        return 0


def _in_editor(editor: list[str], text: str) -> str:
    """Open the text, return it without comment lines. Raises Fault when the editor fails."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", prefix="cloudctl-edit-", delete=False) as file:
        file.write(text)
    path = Path(file.name)
    try:
        if subprocess.run([*editor, file.name], check=False).returncode:
            raise Fault(f"the editor {editor[0]} failed")
        edited = path.read_text()
    except OSError as error:
        raise Fault(f"unable to launch the editor {editor[0]!r}: {error.strerror}") from error
    finally:
        path.unlink(missing_ok=True)
    return "".join(line for line in edited.splitlines(keepends=True) if not line.startswith("#"))


def _parse(text: str) -> Object:
    try:
        return manifests.parse(text)
    except yaml.YAMLError as error:
        raise Fault(f"the edited file is no YAML: {' '.join(str(error).split())}") from error


async def _change(session: Session, resource: Resource, live: Object, wanted: Object) -> Object:
    for field in ("apiVersion", "kind"):
        if wanted.get(field) != live.get(field):
            raise Fault(f"{field} may not be changed")
    if wanted.get("metadata", {}).get("name") != live["metadata"]["name"]:
        raise Fault("metadata.name may not be changed")
    document = await Schemas(session.client).of(resource) if resource.model else None
    return Merge(document).patch(live, wanted, live, document.root if document else None)
