"""`patch` and `replace`: change fields of an object, or all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from api.errors import ApiError, NotFound
from cloudctl import manifests, report, wait, writes
from cloudctl.app import Verb, family
from cloudctl.commands.apply import namespace_of
from cloudctl.faults import Fault, FileFault
from cloudctl.session import Session, execute

cli = family()

_DELETE_SECONDS = 120.0


@cli.command("patch", cls=Verb)
def patch_command(
    ctx: typer.Context,
    words: Annotated[list[str], typer.Argument(metavar="TYPE/NAME | TYPE NAME")],
    patch: Annotated[str, typer.Option("--patch", "-p", help="The patch, JSON or YAML")] = "",
    patch_file: Annotated[str, typer.Option("--patch-file")] = "",
    kind: Annotated[str, typer.Option("--type", help="strategic, merge or json")] = "strategic",
    subresource: Annotated[str, typer.Option("--subresource")] = "",
    dry_run: Annotated[str, typer.Option("--dry-run")] = "none",
    output: Annotated[str, typer.Option("--output", "-o")] = "",
) -> None:
    """Update fields of a resource with a strategic merge patch, a JSON merge patch, or a JSON patch."""
    if bool(patch) == bool(patch_file):
        raise Fault("must specify --patch or --patch-file containing the contents of the patch")
    if kind not in ("strategic", "merge", "json"):
        raise Fault(f'--type must be one of [json merge strategic], not "{kind}"')
    change = _parse(patch or _read(patch_file))

    async def main(session: Session) -> None:
        resource, name = await session.resolver.one(words)
        space = session.namespace if resource.namespaced else None
        how = writes.options(dry_run, "ignore", "kubectl-patch")
        before = await session.client.get(resource, name, space)
        after = before
        if dry_run != "client":
            after = await writes.patch(session, resource, name, space, change, how, kind=kind, subresource=subresource)
        same = before["metadata"].get("resourceVersion") == after["metadata"].get("resourceVersion")
        what = "patched (no change)" if same and dry_run == "none" else "patched"
        report.changed(session, resource, after, what, output=output, note=how.note)

    execute(ctx, main)


def _parse(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Fault(f"unable to parse {text!r}: {' '.join(str(error).split())}") from error


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError as error:
        raise Fault(f"unable to read patch file: {path}: {error.strerror}") from error


@cli.command("replace", cls=Verb)
def replace_command(
    ctx: typer.Context,
    filename: Annotated[list[str], typer.Option("--filename", "-f")],
    recursive: Annotated[bool, typer.Option("--recursive/--no-recursive", "-R")] = False,
    force: Annotated[bool, typer.Option("--force/--no-force", help="Delete first, then create")] = False,
    dry_run: Annotated[str, typer.Option("--dry-run")] = "none",
    output: Annotated[str, typer.Option("--output", "-o")] = "",
) -> None:
    """Replace a resource by file name or stdin."""

    async def main(session: Session) -> None:
        how = writes.options(dry_run, "strict", "kubectl-replace")
        for manifest in manifests.read(filename, recursive=recursive):
            resource = await session.resolver.of(manifest.obj)
            space = namespace_of(session, resource, manifest.obj)
            try:
                if force:
                    await _remove(session, manifest, resource, space)
                    result = await writes.create(session, resource, manifest.obj, space, how)
                else:
                    result = await writes.replace(session, resource, manifest.obj, space, how)
            except ApiError as error:
                raise FileFault("replacing", manifest.source, error) from error
            report.changed(session, resource, result, "replaced", output=output, note=how.note)

    execute(ctx, main)


async def _remove(session: Session, manifest: manifests.Manifest, resource: Any, space: str | None) -> None:
    name = manifest.obj["metadata"]["name"]
    try:
        await session.client.delete(resource, name, space, grace_period_seconds=0)
    except NotFound:
        return
    scope = wait.Scope.one(resource, name, space)
    await wait.until(session.client, scope, lambda found: None if found else True, _DELETE_SECONDS)
