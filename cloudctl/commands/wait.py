"""`wait`: until objects have a condition, a value, exist, or are gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated

import typer

from api.errors import NotFound
from api.meta import get_condition
from api.types import Object, Resource
from cloudctl import jsonpath, printers, wait
from cloudctl.app import Verb, family
from cloudctl.durations import seconds
from cloudctl.faults import Fault
from cloudctl.selection import Selection, select
from cloudctl.session import Session, execute

cli = family()

Judge = Callable[[Object], bool]


@cli.command("wait", cls=Verb)
def command(
    ctx: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(metavar="TYPE/NAME ...")] = None,
    goal: Annotated[
        str, typer.Option("--for", help="condition=NAME[=VALUE], delete, create, jsonpath='{PATH}'[=VALUE]")
    ] = "",
    filename: Annotated[list[str] | None, typer.Option("--filename", "-f")] = None,
    selector: Annotated[str, typer.Option("--selector", "-l")] = "",
    field_selector: Annotated[str, typer.Option("--field-selector")] = "",
    everything: Annotated[bool, typer.Option("--all/--not-all")] = False,
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces/--one-namespace", "-A")] = False,
    timeout: Annotated[str, typer.Option("--timeout", help="0 checks once, a negative one waits a week")] = "30s",
) -> None:
    """Wait for a specific condition on one or many resources."""
    chosen = Selection(words or [], filename or [], selector, field_selector, everything, all_namespaces)
    limit = seconds(timeout)
    execute(ctx, lambda session: _run(session, chosen, goal, 7 * 86400 if limit < 0 else max(limit, 0.01)))


async def _run(session: Session, chosen: Selection, goal: str, timeout: float) -> int:
    if goal == "create":
        return await _created(session, chosen, timeout)
    judge = None if goal == "delete" else condition(goal)
    try:
        found = await select(session, chosen)
    except NotFound:
        if goal == "delete":
            return 0
        raise
    if not found:
        if goal == "delete":
            return 0
        raise Fault("no matching resources found")
    results = await asyncio.gather(*(_one(session, resource, obj, judge, timeout) for resource, obj in found))
    for (resource, obj), met in zip(found, results, strict=True):
        if not met:
            name = f"{resource.plural}/{obj['metadata']['name']}"
            session.warn(f"error: timed out waiting for the condition on {name}")
    return 0 if all(results) else 1


async def _created(session: Session, chosen: Selection, timeout: float) -> int:
    for target in await session.resolver.targets(chosen.words):
        space = session.namespace if target.resource.namespaced else None
        for name in target.names:
            scope = wait.Scope.one(target.resource, name, space)
            try:
                await wait.until(session.client, scope, lambda found: True if found else None, timeout)
            except TimeoutError as error:
                raise Fault(f"timed out waiting for {target.resource.plural}/{name} to be created") from error
            session.say(f"{printers.qualified(target.resource, name)} condition met")
    return 0


async def _one(session: Session, resource: Resource, obj: Object, judge: Judge | None, timeout: float) -> bool:
    meta = obj["metadata"]

    def verdict(found: dict[str, Object]) -> bool | None:
        same = [o for o in found.values() if o["metadata"].get("uid") == meta.get("uid") or judge]
        if judge is None:
            return None if same else True
        return True if any(judge(o) for o in same) else None

    scope = wait.Scope.one(resource, meta["name"], meta.get("namespace"))
    try:
        await wait.until(session.client, scope, verdict, timeout)
    except TimeoutError:
        return False
    session.say(f"{printers.qualified(resource, meta['name'])} condition met")
    return True


def condition(goal: str) -> Judge:
    """The question that `--for` asks of an object. Raises Fault."""
    kind, equals, rest = goal.partition("=")
    if kind == "condition" and equals:
        name, _, value = rest.partition("=")
        return lambda obj: _has(obj, name, value or "True")
    if kind == "jsonpath" and equals:
        path, closing, value = rest.rpartition("}")
        expression = (path + closing) if closing else rest
        wanted = value.removeprefix("=") if closing and value.startswith("=") else None
        if closing == "" and "=" in rest:
            expression, _, wanted = rest.partition("=")
        return lambda obj: _leads_to(obj, expression.strip("'\""), wanted)
    raise Fault(f'unrecognized condition: "{goal}"; use condition=NAME, delete, create or jsonpath=PATH[=VALUE]')


def _has(obj: Object, name: str, value: str) -> bool:
    for spelling in (name, name[:1].upper() + name[1:]):
        found = get_condition(obj, spelling)
        if found:
            generation = obj["metadata"].get("generation", 0)
            return str(found.get("status", "")).lower() == value.lower() and (
                (found.get("observedGeneration") or obj.get("status", {}).get("observedGeneration") or generation)
                >= generation
            )
    return False


def _leads_to(obj: Object, expression: str, wanted: str | None) -> bool:
    try:
        found = jsonpath.find(expression, obj)
    except jsonpath.PathError as error:
        raise Fault(str(error)) from error
    if wanted is None:
        return bool(found)
    return bool(found) and all(jsonpath.show(value) == wanted.strip("'\"") for value in found)
