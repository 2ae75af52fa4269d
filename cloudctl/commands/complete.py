"""`__complete`: what the shell asks for while the user types; kinds and names come from the cluster."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from api import resources
from api.errors import ApiError
from client.rest import ApiClient
from cloudctl.app import ENTRIES, Verb, family
from cloudctl.faults import Fault
from cloudctl.globals import FLAGS, Globals, take
from cloudctl.resolve import Resolver
from cloudctl.session import load

cli = family()

_SECONDS = 2.0
_FORMATS = ("json", "yaml", "wide", "name", "jsonpath=", "custom-columns=")
_KIND_VERBS = {
    "get", "describe", "delete", "edit", "patch", "label", "annotate", "wait", "scale", "expose", "explain",
}  # fmt: skip
_POD_VERBS = {"logs", "exec", "attach", "port-forward", "cp"}
_NODE_VERBS = {"cordon", "uncordon", "drain"}
_ROLLOUTS = ("status", "history", "undo", "restart", "pause", "resume")


@cli.command(
    "__complete", cls=Verb, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
def command(ctx: typer.Context, words: Annotated[list[str] | None, typer.Argument()] = None) -> None:
    """Print the possible values of the last word, one per line."""
    try:
        found = asyncio.run(_bounded(words or [""]))
    except (ApiError, Fault, TimeoutError):
        return  # a shell that completes must not be bothered with errors
    for word in found:
        typer.echo(word)


async def _bounded(words: list[str]) -> list[str]:
    async with asyncio.timeout(_SECONDS):
        return await candidates(words)


async def candidates(words: list[str]) -> list[str]:
    """The values that fit the last of these words."""
    *before, last = words
    flags, rest = take(before) if before and before[-1] not in FLAGS else (Globals(), before)
    if before and before[-1] in ("-o", "--output"):
        return [name for name in _FORMATS if name.startswith(last)]
    if before and before[-1] in ("-n", "--namespace"):
        return await _names(Globals(), resources.NAMESPACES.plural, last)
    given = [word for word in rest if not word.startswith("-")]
    if not given:
        return [verb for verb in ENTRIES if verb.startswith(last) and not verb.startswith("__")]
    verb, *arguments = given
    if verb in _POD_VERBS and not arguments:
        return await _names(flags, "pods", last)
    if verb in _NODE_VERBS:
        return await _names(flags, "nodes", last)
    if verb == "rollout":
        if not arguments:
            return [word for word in _ROLLOUTS if word.startswith(last)]
        arguments = arguments[1:]
    elif verb not in _KIND_VERBS:
        return []
    if "/" in last:
        kind, _, start = last.partition("/")
        return [f"{kind}/{name}" for name in await _names(flags, kind, start)]
    if arguments:
        return await _names(flags, arguments[0], last)
    return sorted({row.plural for row in resources.ALL if "list" in row.verbs and row.plural.startswith(last)})


async def _names(flags: Globals, kind: str, start: str) -> list[str]:
    config = load(flags)
    async with ApiClient(config, "cloudctl-complete") as client:
        resource = await Resolver(client).resource(kind)
        space = (flags.namespace or config.namespace) if resource.namespaced else None
        listed = await client.list(resource, space, metadata_only=True)
    names = [item["metadata"]["name"] for item in listed.get("items") or ()]
    return [name for name in names if name.startswith(start)]
