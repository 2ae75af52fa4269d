"""`explain`: documentation of a kind and its fields, from the server's OpenAPI."""

from __future__ import annotations

import textwrap
from typing import Annotated

import typer

from api.types import Resource
from cloudctl.app import Verb, family
from cloudctl.faults import Fault
from cloudctl.schema import Document, Schema, Schemas
from cloudctl.session import Session, execute

cli = family()

_WIDTH = 80


@cli.command("explain", cls=Verb)
def command(
    ctx: typer.Context,
    word: Annotated[str, typer.Argument(metavar="TYPE[.FIELD...]")],
    recursive: Annotated[bool, typer.Option("--recursive/--not-recursive", help="All fields of fields")] = False,
    version: Annotated[str, typer.Option("--api-version", help="e.g. apps/v1")] = "",
) -> None:
    """Get documentation for a resource."""

    async def main(session: Session) -> None:
        first, *fields = word.split(".")
        resource = await _resource(session, first, version)
        document = await Schemas(session.client).of(resource)
        if document is None:
            raise Fault(f"couldn't find documentation for {resource.group_version}, Kind={resource.kind}")
        session.say(explain(resource, document, fields, recursive=recursive))

    execute(ctx, main)


async def _resource(session: Session, word: str, version: str) -> Resource:
    if not version:
        return await session.resolver.resource(word)
    for candidate in await session.resolver.discovered():
        if candidate.group_version == version and word.lower() in (
            candidate.plural,
            candidate.singular,
            *candidate.short_names,
        ):
            return candidate
    raise Fault(f'the server doesn\'t have a resource type "{word}" in {version}')


def explain(resource: Resource, document: Document, fields: list[str], *, recursive: bool) -> str:
    """The page for a kind, or for one of its fields. Raises Fault for a field that is not there."""
    lines = ([f"GROUP:      {resource.group}"] if resource.group else []) + [f"KIND:       {resource.kind}"]
    lines += [f"VERSION:    {resource.version}", ""]
    schema: Schema = document.root
    for field in fields:
        found = document.field(_inner(document, schema), field)
        if found is None:
            raise Fault(f'field "{field}" does not exist')
        schema = found
    inner = _inner(document, schema)
    if fields:
        lines += [f"FIELD: {fields[-1]} <{_type(document, schema)}>", ""]
    lines += _enumeration(document, schema)
    lines.append("DESCRIPTION:")
    own = schema.get("description") or inner.get("description") or "<empty>"
    lines += _paragraphs(own, "    ")
    if inner is not schema and inner.get("description") and inner["description"] != own:
        lines += _paragraphs(inner["description"], "    ")
    properties = inner.get("properties") or {}
    if properties:
        lines += ["", "FIELDS:", *_fields(document, inner, recursive, "  ", ())]
    return "\n".join([*lines, ""])


def _inner(document: Document, schema: Schema) -> Schema:
    """The object schema that a field's path goes on in: past references, lists and maps."""
    resolved = document.resolve(schema)
    while True:
        if resolved.get("type") == "array":
            resolved = document.resolve(dict(resolved.get("items") or {}))
        elif not resolved.get("properties") and isinstance(resolved.get("additionalProperties"), dict):
            resolved = document.resolve(dict(resolved["additionalProperties"]))
        else:
            return resolved


def _fields(document: Document, schema: Schema, recursive: bool, indent: str, above: tuple[str, ...]) -> list[str]:
    lines: list[str] = []
    required = set(schema.get("required") or ())
    for name, field in sorted((schema.get("properties") or {}).items()):
        note = " -required-" if name in required else ""
        lines.append(f"{indent}{name}\t<{_type(document, field)}>{note}".expandtabs(4))
        inner = _inner(document, field)
        if recursive:
            reference = _type(document, field)
            if inner.get("properties") and reference not in above:
                lines += _fields(document, inner, True, indent + "  ", (*above, reference))
            continue
        lines += [f"{indent}  {line}".rstrip() for line in _enumeration(document, field)]
        text = field.get("description") or inner.get("description") or "<empty>"
        lines += [*_paragraphs(text, f"{indent}  "), ""]
    return lines


def _enumeration(document: Document, schema: Schema) -> list[str]:
    values = document.resolve(schema).get("enum")
    return [f"ENUM: {', '.join(map(str, values))}", ""] if values else []


def _type(document: Document, schema: Schema) -> str:
    reference = document.reference(schema)
    resolved = document.resolve(schema)
    kind = resolved.get("type", "")
    if kind == "array":
        return f"[]{_type(document, dict(resolved.get('items') or {}))}"
    if isinstance(resolved.get("additionalProperties"), dict) and not resolved.get("properties"):
        return f"map[string]{_type(document, dict(resolved['additionalProperties']))}"
    if reference:
        return reference
    return str({"object": "Object", "": "Object"}.get(kind, kind))


def _paragraphs(text: str, indent: str) -> list[str]:
    lines: list[str] = []
    for paragraph in text.split("\n\n"):
        lines += textwrap.wrap(" ".join(paragraph.split()), _WIDTH, initial_indent=indent, subsequent_indent=indent)
    return lines
