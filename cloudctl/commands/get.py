"""`get`: one or many resources, once or as they change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import orjson
import typer

from api.errors import ApiError, Expired, Gone, NotFound, ServiceUnavailable
from api.types import Object, Resource
from cloudctl import jsonpath, lists, manifests, printers, tables
from cloudctl.app import Verb, family
from cloudctl.commands.lab import get_clusters
from cloudctl.durations import age
from cloudctl.faults import Fault, sentence
from cloudctl.resolve import Target
from cloudctl.session import Session, execute

cli = family()

_RETRY_SECONDS = 0.5


@dataclass
class Request:
    """What the flags of `get` ask for."""

    words: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    recursive: bool = False
    output: str = ""
    watch: bool = False
    watch_only: bool = False
    all_namespaces: bool = False
    selector: str = ""
    field_selector: str = ""
    sort_by: str = ""
    show_labels: bool = False
    label_columns: list[str] = field(default_factory=list)
    no_headers: bool = False
    ignore_not_found: bool = False
    show_kind: bool = False
    managed_fields: bool = False
    page: int = lists.PAGE
    subresource: str = ""


@cli.command("get", cls=Verb)
def command(
    ctx: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(metavar="TYPE[/NAME] [NAME...]")] = None,
    filename: Annotated[list[str] | None, typer.Option("--filename", "-f", help="Files that name the objects")] = None,
    recursive: Annotated[bool, typer.Option("--recursive/--no-recursive", "-R", help="Look into subfolders")] = False,
    output: Annotated[str, typer.Option("--output", "-o", help=printers.FORMATS)] = "",
    watch: Annotated[bool, typer.Option("--watch/--no-watch", "-w", help="After listing, follow the changes")] = False,
    watch_only: Annotated[bool, typer.Option("--watch-only/--no-watch-only", help="Follow changes, no list")] = False,
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces/--one-namespace", "-A")] = False,
    selector: Annotated[str, typer.Option("--selector", "-l", help="Label selector")] = "",
    field_selector: Annotated[str, typer.Option("--field-selector", help="Field selector")] = "",
    sort_by: Annotated[str, typer.Option("--sort-by", help="A JSONPath to sort by")] = "",
    show_labels: Annotated[bool, typer.Option("--show-labels/--no-labels")] = False,
    label_columns: Annotated[list[str] | None, typer.Option("--label-columns", "-L")] = None,
    no_headers: Annotated[bool, typer.Option("--no-headers/--headers")] = False,
    ignore_not_found: Annotated[bool, typer.Option("--ignore-not-found/--no-ignore-not-found")] = False,
    show_kind: Annotated[bool, typer.Option("--show-kind/--hide-kind")] = False,
    managed_fields: Annotated[bool, typer.Option("--show-managed-fields/--hide-managed-fields")] = False,
    chunk_size: Annotated[
        int, typer.Option("--chunk-size", help="Objects per request, 0 for all at once")
    ] = lists.PAGE,
    subresource: Annotated[str, typer.Option("--subresource", help="status, scale, …")] = "",
) -> None:
    """Display one or many resources; `get clusters` lists those of `create cluster`."""
    if words == ["clusters"]:
        get_clusters()
        return
    labels = [label for given in label_columns or () for label in given.split(",")]
    request = Request(
        words or [], filename or [], recursive, output, watch, watch_only, all_namespaces, selector, field_selector,
        sort_by, show_labels, labels, no_headers, ignore_not_found, show_kind, managed_fields, chunk_size, subresource,
    )  # fmt: skip
    execute(ctx, lambda session: get(session, request))


async def get(session: Session, request: Request) -> int:
    """Run `get`; returns the exit code."""
    if printers.is_text(request.output) and request.output != "name":
        printers.printer(request.output)
    targets, spaces = await _targets(session, request)
    if (request.selector or request.field_selector) and any(target.names for target in targets):
        raise Fault("name cannot be provided when a selector is specified")
    if request.watch or request.watch_only:
        if len(targets) != 1 or len(targets[0].names) > 1:
            raise Fault("you may only specify a single resource type when watching")
        return await _Watch(session, request, targets[0], spaces[0]).run()
    if printers.is_text(request.output):
        return await _print_objects(session, request, targets, spaces)
    return await _print_tables(session, request, targets, spaces)


async def _targets(session: Session, request: Request) -> tuple[list[Target], list[str | None]]:
    """What to get and in which namespace each."""
    if not request.files:
        targets = await session.resolver.targets(request.words)
        everywhere = request.all_namespaces
        return targets, [None if everywhere or not t.resource.namespaced else session.namespace for t in targets]
    targets, spaces = [], []
    for manifest in manifests.read(request.files, recursive=request.recursive):
        resource = await session.resolver.of(manifest.obj)
        targets.append(Target(resource, (manifest.obj["metadata"].get("name", ""),)))
        spaces.append((manifest.obj["metadata"].get("namespace") or session.namespace) if resource.namespaced else None)
    return targets, spaces


def _query(request: Request, accept: str = "application/json") -> lists.Query:
    extra = {"includeObject": "Object"} if "Table" in accept and request.sort_by else {}
    return lists.Query(request.selector, request.field_selector, accept, request.page, extra)


async def _fetch(
    session: Session, request: Request, target: Target, space: str | None, accept: str
) -> tuple[list[Object], list[ApiError]]:
    """Lists or objects (in the accepted form) and what could not be found."""
    if not target.names:
        return [await lists.whole(session.client, target.resource, space, _query(request, accept))], []
    if target.resource.namespaced and space is None:
        raise Fault("a resource cannot be retrieved by name across all namespaces")
    found: list[Object] = []
    errors: list[ApiError] = []
    for name in target.names:
        path = target.resource.path(space, name, request.subresource or None)
        try:
            params = _query(request, accept).extra
            response = await session.client.raw("GET", path, params=params, headers={"Accept": accept})
            found.append(orjson.loads(response.content))
        except NotFound as error:
            if not request.ignore_not_found:
                errors.append(error)
    return found, errors


async def _print_objects(session: Session, request: Request, targets: list[Target], spaces: list[str | None]) -> int:
    items: list[Object] = []
    named = all(target.names for target in targets)
    errors: list[ApiError] = []
    for target, space in zip(targets, spaces, strict=True):
        found, missing = await _fetch(session, request, target, space, "application/json")
        errors += missing
        for answer in found:
            if target.names:
                items.append(answer)
            else:
                kind, version = target.resource.kind, target.resource.group_version
                items += [{"apiVersion": version, "kind": kind, **item} for item in answer.get("items") or ()]
    items = [printers.plain(item, managed_fields=request.managed_fields) for item in items]
    if request.sort_by:
        items = _sorted(items, request.sort_by)
    if request.output == "name":
        for item in items:
            session.say(printers.qualified(await session.resolver.of(item), item["metadata"]["name"]))
    elif items or not errors:
        single = named and len(items) == 1 and sum(len(t.names) for t in targets) == 1
        if items or not (named and request.ignore_not_found):
            whole = {"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}}
            text = printers.printer(request.output)(items[0] if single else whole)
            session.say(text.removesuffix("\n")) if not request.output.startswith("jsonpath") else _write(text)
    return _complain(session, errors)


def _write(text: str) -> None:
    typer.echo(text, nl=False)


def _sorted(items: list[Object], path: str) -> list[Object]:
    def rank(item: Object) -> tuple[int, Any]:
        try:
            found = jsonpath.find(path, item)
        except jsonpath.PathError as error:
            raise Fault(str(error)) from error
        if not found:
            return (0, "")
        return (1, found[0]) if isinstance(found[0], int | float) else (2, str(found[0]))

    return sorted(items, key=rank)


async def _print_tables(session: Session, request: Request, targets: list[Target], spaces: list[str | None]) -> int:
    errors: list[ApiError] = []
    texts: list[str] = []
    several = len(targets) > 1
    for target, space in zip(targets, spaces, strict=True):
        found, missing = await _fetch(session, request, target, space, tables.ACCEPT)
        errors += missing
        rows: list[Object] = []
        first: Object | None = None
        for answer in found:
            table = _as_table(target.resource, answer)
            first = first or table
            rows += table.get("rows") or ()
        if first is None or not rows:
            continue
        if request.sort_by:
            by_object = {id(row["object"]): row for row in rows}
            rows = [by_object[id(obj)] for obj in _sorted([row["object"] for row in rows], request.sort_by)]
        texts.append(tables.TablePrinter(_layout(request, target.resource, several)).show({**first, "rows": rows}))
    if texts:
        session.say("\n\n".join(texts))
    elif not errors and not request.ignore_not_found:
        some = spaces[0] is not None
        session.warn(f"No resources found in {spaces[0]} namespace." if some else "No resources found")
    return _complain(session, errors)


def _layout(request: Request, resource: Resource, several: bool) -> tables.Layout:
    prefix = printers.qualified(resource, "") if several or request.show_kind else ""
    return tables.Layout(
        wide=request.output == "wide",
        with_namespace=request.all_namespaces and resource.namespaced,
        show_labels=request.show_labels,
        label_columns=request.label_columns,
        no_headers=request.no_headers,
        prefix=prefix,
        colour=tables.colour_wanted(),
    )


def _as_table(resource: Resource, answer: Object) -> Object:
    if answer.get("kind") == "Table":
        return answer
    return tables.of_objects(resource, answer.get("items", [answer]), age)


def _complain(session: Session, errors: list[ApiError]) -> int:
    for error in errors:
        session.warn(sentence(error))
    return 1 if errors else 0


class _Watch:
    """`get -w`: list once, then print each change; a watch that ends is taken up again where it ended."""

    def __init__(self, session: Session, request: Request, target: Target, space: str | None) -> None:
        self._session, self._request, self._target = session, request, target
        self._table = not printers.is_text(request.output)
        by_name = f"metadata.name={target.names[0]}" if target.names else request.field_selector
        accept = tables.ACCEPT if self._table else "application/json"
        self._query = lists.Query(request.selector, by_name, accept, request.page)
        self._path = target.resource.path(space)
        self._space = space
        self._printer = tables.TablePrinter(_layout(request, target.resource, False))

    async def run(self) -> int:
        """Follow until interrupted."""
        version = await self._list()
        while True:
            try:
                async for event in self._events(version):
                    version = _version(event["object"]) or version
                    if event["type"] != "BOOKMARK":
                        self._show(event["object"])
            except (Expired, Gone):
                version = await self._list()
            except ServiceUnavailable:
                await asyncio.sleep(_RETRY_SECONDS)

    def _events(self, version: str) -> AsyncIterator[Object]:
        return lists.watch(self._session.client, self._path, self._query, version)

    async def _list(self) -> str:
        answer = await lists.whole(self._session.client, self._target.resource, self._space, self._query)
        part = "rows" if answer.get("kind") == "Table" else "items"
        if self._target.names and not answer[part]:
            await self._session.client.get(self._target.resource, self._target.names[0], self._space)
        if answer[part] and not self._request.watch_only:
            self._show(answer)
        return str(answer["metadata"].get("resourceVersion", ""))

    def _show(self, obj: Object) -> None:
        if self._table:
            self._session.say(self._printer.show(_as_table(self._target.resource, obj)))
            return
        items = obj["items"] if "items" in obj and str(obj.get("kind", "")).endswith("List") else [obj]
        for item in items:
            whole = {"apiVersion": self._target.resource.group_version, "kind": self._target.resource.kind, **item}
            if self._request.output == "name":
                self._session.say(printers.qualified(self._target.resource, item["metadata"]["name"]))
                continue
            shown = printers.plain(whole, managed_fields=self._request.managed_fields)
            text = printers.printer(self._request.output)(shown)
            self._session.say(
                f"---\n{text}".removesuffix("\n") if self._request.output == "yaml" else text.rstrip("\n")
            )


def _version(obj: Object) -> str:
    if obj.get("kind") == "Table":
        for row in obj.get("rows") or ():
            version = ((row.get("object") or {}).get("metadata") or {}).get("resourceVersion")
            if version:
                return str(version)
    return str((obj.get("metadata") or {}).get("resourceVersion", ""))
