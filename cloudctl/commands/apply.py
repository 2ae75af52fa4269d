"""`apply`: make the server's objects what the manifests say, and leave alone what they do not mention."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from typing import Annotated

import orjson
import typer

from api.errors import ApiError, Conflict, Invalid, NotFound
from api.types import Object, Resource
from cloudctl import manifests, printers, wait, writes
from cloudctl.app import Verb, family
from cloudctl.faults import Fault, FileFault, sentence
from cloudctl.manifests import Manifest
from cloudctl.schema import Schemas
from cloudctl.session import Session, execute
from cloudctl.threeway import Merge

cli = family()

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_ATTEMPTS = 5
_DELETE_SECONDS = 120.0


@dataclass
class Request:
    """What the flags of `apply` ask for."""

    files: list[str] = field(default_factory=list)
    recursive: bool = False
    server_side: bool = False
    force_conflicts: bool = False
    force: bool = False
    output: str = ""
    overwrite: bool = True
    how: writes.Options = field(default_factory=writes.Options)
    selector: str = ""


@cli.command("apply", cls=Verb)
def command(
    ctx: typer.Context,
    filename: Annotated[
        list[str] | None, typer.Option("--filename", "-f", help="Files, folders, or - for stdin")
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive/--no-recursive", "-R")] = False,
    server_side: Annotated[bool, typer.Option("--server-side/--client-side", help="Let the server merge")] = False,
    force_conflicts: Annotated[bool, typer.Option("--force-conflicts/--no-force-conflicts")] = False,
    force: Annotated[
        bool, typer.Option("--force/--no-force", help="Delete and create where a field may not change")
    ] = False,
    dry_run: Annotated[str, typer.Option("--dry-run", help="none, client or server")] = "none",
    validate: Annotated[str, typer.Option("--validate", help="strict, warn or ignore")] = "strict",
    field_manager: Annotated[str, typer.Option("--field-manager")] = "",
    output: Annotated[str, typer.Option("--output", "-o", help=printers.FORMATS)] = "",
) -> None:
    """Apply a configuration to a resource by file name or stdin; it is created if it is not there."""
    if not filename:
        raise Fault("must specify -f FILE, for example `cloudctl apply -f app.yaml`")
    manager = field_manager or ("kubectl" if server_side else "kubectl-client-side-apply")
    how = writes.options(dry_run, validate, manager, force=force_conflicts)
    request = Request(filename, recursive, server_side, force_conflicts, force, output, True, how)
    execute(ctx, lambda session: apply(session, request))


async def apply(session: Session, request: Request) -> int:
    """Apply every manifest; goes on after a failure and returns 1 if there was one."""
    failed = 0
    applier = Applier(session, request)
    for manifest in manifests.read(request.files, recursive=request.recursive):
        try:
            result, done = await applier.one(manifest)
        except FileFault as fault:
            session.warn(sentence(fault.error, f'error when {fault.verb} "{fault.source}": '))
            failed = 1
            continue
        except Fault as fault:
            session.warn(f"error: {manifest.source}: {fault}")
            failed = 1
            continue
        _report(session, request, await session.resolver.of(result), result, done)
    return failed


def _report(session: Session, request: Request, resource: Resource, result: Object, done: str) -> None:
    name = printers.qualified(resource, result["metadata"].get("name", ""))
    if not request.output:
        session.say(f"{name} {done}{request.how.note}")
    elif request.output == "name":
        session.say(name)
    else:
        typer.echo(printers.printer(request.output)(printers.plain(result)), nl=False)


class Applier:
    """Applies objects one after the other."""

    def __init__(self, session: Session, request: Request) -> None:
        self._session, self._request = session, request
        self._schemas = Schemas(session.client)

    async def one(self, manifest: Manifest) -> tuple[Object, str]:
        """The object as it now is, and what happened to it. Raises FileFault, Fault."""
        resource = await self._session.resolver.of(manifest.obj)
        name = (manifest.obj.get("metadata") or {}).get("name")
        if not name:
            raise Fault("resource name may not be empty")
        space = namespace_of(self._session, resource, manifest.obj)
        if self._request.server_side:
            return await self._server_side(manifest, resource, name, space)
        try:
            live = await self._session.client.get(resource, name, space)
        except NotFound:
            return await self._create(manifest, resource, space), "created"
        except ApiError as error:
            raise FileFault("retrieving current configuration of", manifest.source, error) from error
        return await self._update(manifest, resource, space, live)

    async def _server_side(
        self, manifest: Manifest, resource: Resource, name: str, space: str | None
    ) -> tuple[Object, str]:
        try:
            result = await writes.patch(
                self._session, resource, name, space, manifest.obj, self._request.how, kind="apply"
            )
        except Conflict as error:
            hint = "; use --force-conflicts to take the fields over"
            raise FileFault("applying", manifest.source, Conflict(error.message + hint, error.details)) from error
        except ApiError as error:
            raise FileFault("applying", manifest.source, error) from error
        return result, "serverside-applied"

    async def _create(self, manifest: Manifest, resource: Resource, space: str | None) -> Object:
        wanted = annotated(manifest.obj)
        if self._request.how.dry_run == "client":
            return wanted
        try:
            return await writes.create(self._session, resource, wanted, space, self._request.how)
        except ApiError as error:
            raise FileFault("creating", manifest.source, error) from error

    async def _update(
        self, manifest: Manifest, resource: Resource, space: str | None, live: Object
    ) -> tuple[Object, str]:
        name = live["metadata"]["name"]
        last = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
        if last is None:
            self._session.warn(
                f"Warning: resource {resource.plural}/{name} is missing the {LAST_APPLIED} annotation which is required "
                "by apply. It was not created by apply; the annotation is added now."
            )
        document = await self._schemas.of(resource) if resource.model else None
        merge, schema = Merge(document), document.root if document else None
        wanted = annotated(manifest.obj)
        change = merge.patch(orjson.loads(last) if last else {}, wanted, live, schema)
        if not change or self._request.how.dry_run == "client":
            return live, "configured" if change else "unchanged"
        try:
            result = await writes.patch(
                self._session,
                resource,
                name,
                space,
                change,
                self._request.how,
                kind="strategic" if document else "merge",
            )
        except Invalid as error:
            if not self._request.force:
                raise FileFault("applying patch from", manifest.source, error) from error
            await self._recreate(resource, name, space)
            return await self._create(manifest, resource, space), "configured"
        except ApiError as error:
            raise FileFault("applying patch from", manifest.source, error) from error
        same = result["metadata"].get("resourceVersion") == live["metadata"].get("resourceVersion")
        return result, "unchanged" if same else "configured"

    async def _recreate(self, resource: Resource, name: str, space: str | None) -> None:
        await self._session.client.delete(resource, name, space)
        scope = wait.Scope.one(resource, name, space)
        await wait.until(self._session.client, scope, lambda found: None if found else True, _DELETE_SECONDS)


def annotated(obj: Object) -> Object:
    """A copy that carries itself in the annotation, byte for byte as kubectl writes it."""
    plain = copy.deepcopy(obj)
    meta = plain.setdefault("metadata", {})
    annotations = dict(meta.get("annotations") or {})
    annotations.pop(LAST_APPLIED, None)
    meta["annotations"] = annotations
    text = json.dumps(plain, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    wanted = copy.deepcopy(plain)
    wanted["metadata"]["annotations"][LAST_APPLIED] = text + "\n"
    return wanted


def namespace_of(session: Session, resource: Resource, obj: Object) -> str | None:
    """The namespace an object of a manifest belongs to. Raises Fault when `-n` says another than the manifest."""
    if not resource.namespaced:
        return None
    own = (obj.get("metadata") or {}).get("namespace")
    if own and session.namespace_given and own != session.namespace:
        raise Fault(
            f'the namespace from the provided object "{own}" does not match the namespace "{session.namespace}"; '
            f"you must pass '--namespace={own}' to perform this operation"
        )
    return own or session.namespace
