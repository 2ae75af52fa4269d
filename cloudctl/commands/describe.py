"""`describe`: an object for people to read, with what belongs to it and what happened to it."""

from __future__ import annotations

from typing import Annotated

import typer

from api import resources
from api.errors import NotFound
from api.meta import is_controlled_by
from api.types import Object, Resource
from cloudctl import lists
from cloudctl.app import Verb, family
from cloudctl.describe.registry import ANYTHING, TABLE, Entry
from cloudctl.describe.text import Page, since
from cloudctl.describe.workloads import Related
from cloudctl.selection import Selection, select
from cloudctl.session import Session, execute

cli = family()

_MOST_EVENTS = 500


@cli.command("describe", cls=Verb)
def command(
    ctx: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(metavar="TYPE[/NAME] [NAME-PREFIX...]")] = None,
    filename: Annotated[list[str] | None, typer.Option("--filename", "-f")] = None,
    selector: Annotated[str, typer.Option("--selector", "-l")] = "",
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces/--one-namespace", "-A")] = False,
    show_events: Annotated[bool, typer.Option("--show-events/--hide-events")] = True,
) -> None:
    """Show details of a specific resource or group of resources."""

    async def main(session: Session) -> int:
        found = await _objects(session, words or [], filename or [], selector, all_namespaces)
        if not found:
            session.warn(f"No resources found in {session.namespace} namespace.")
        texts = [await describe(session, resource, obj, events=show_events) for resource, obj in found]
        session.say("\n\n\n".join(texts))
        return 0

    execute(ctx, main)


async def _objects(
    session: Session, words: list[str], files: list[str], selector: str, everywhere: bool
) -> list[tuple[Resource, Object]]:
    """The objects named; as with kubectl a name that is none may be the beginning of several."""
    named = any("/" in word for word in words) or len(words) > 1
    if files or (not named and words):
        return await select(session, Selection(words, files, selector, "", not files and not selector, everywhere))
    found: list[tuple[Resource, Object]] = []
    for target in await session.resolver.targets(words):
        space = session.namespace if target.resource.namespaced else None
        for name in target.names:
            found += await _named(session, target.resource, name, space)
    return found


async def _named(session: Session, resource: Resource, name: str, space: str | None) -> list[tuple[Resource, Object]]:
    try:
        return [(resource, await session.client.get(resource, name, space))]
    except NotFound:
        listed = await lists.whole(session.client, resource, space, lists.Query())
        similar = [(resource, item) for item in listed["items"] if item["metadata"]["name"].startswith(name)]
        if not similar:
            raise
        return similar


async def describe(session: Session, resource: Resource, obj: Object, *, events: bool) -> str:
    """The page of one object."""
    entry = TABLE.get(resource, ANYTHING)
    page = Page()
    obj = {"apiVersion": resource.group_version, "kind": resource.kind, **obj}
    entry.describe(page, obj, await _related(session, entry, obj))
    if events:
        await _events(session, page, resource, obj)
    return page.text()


async def _related(session: Session, entry: Entry, obj: Object) -> Related:
    found: Related = {}
    meta = obj["metadata"]
    for resource in entry.related:
        query, space = lists.Query(), meta.get("namespace")
        if entry.how == "on the node":
            query, space = lists.Query(field_selector=f"spec.nodeName={meta['name']}"), None
        elif entry.how == "of the service":
            query = lists.Query(f"kubernetes.io/service-name={meta['name']}")
        items = (await lists.whole(session.client, resource, space, query))["items"]
        found[resource.plural] = [i for i in items if is_controlled_by(i, obj)] if entry.how == "owned" else items
    return found


async def _events(session: Session, page: Page, resource: Resource, obj: Object) -> None:
    meta = obj["metadata"]
    fields = f"involvedObject.name={meta['name']},involvedObject.kind={resource.kind}"
    if resource.namespaced:
        fields += f",involvedObject.uid={meta['uid']}"
    listed = await session.client.list(
        resources.EVENTS, meta.get("namespace"), field_selector=fields, limit=_MOST_EVENTS
    )
    found = sorted(listed.get("items") or (), key=_moment)
    rows = [
        [e.get("type", ""), e.get("reason", ""), _age(e), _source(e), " ".join(str(e.get("message", "")).split())]
        for e in found
    ]
    page.table("Events", ["Type", "Reason", "Age", "From", "Message"], rows)


def _moment(event: Object) -> str:
    series = event.get("series") or {}
    return str(
        series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
        or event["metadata"].get("creationTimestamp", "")
    )  # fmt: skip


def _age(event: Object) -> str:
    count = (event.get("series") or {}).get("count") or event.get("count") or 1
    first = event.get("firstTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")
    latest = since(_moment(event))
    return f"{latest} (x{count} over {since(first)})" if count > 1 else latest


def _source(event: Object) -> str:
    return str(event.get("reportingComponent") or (event.get("source") or {}).get("component") or "")
