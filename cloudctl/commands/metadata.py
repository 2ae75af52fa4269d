"""`label` and `annotate`: set and remove labels and annotations."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated

import typer

from api.types import Object, Resource
from cloudctl import report, writes
from cloudctl.app import Verb, family
from cloudctl.faults import Fault
from cloudctl.selection import Selection, select
from cloudctl.session import Session, execute

cli = family()

_SET = re.compile(r"^[^=]+=.*$", re.DOTALL)

Words = Annotated[list[str] | None, typer.Argument(metavar="TYPE NAME KEY=VALUE ... KEY- ...")]
Files = Annotated[list[str] | None, typer.Option("--filename", "-f")]
Selector = Annotated[str, typer.Option("--selector", "-l")]
FieldSelector = Annotated[str, typer.Option("--field-selector")]
All = Annotated[bool, typer.Option("--all/--not-all")]
AllNamespaces = Annotated[bool, typer.Option("--all-namespaces/--one-namespace", "-A")]
Overwrite = Annotated[bool, typer.Option("--overwrite/--no-overwrite", help="Values may change")]
Show = Annotated[bool, typer.Option("--list/--no-list", help="Print them afterwards")]
DryRun = Annotated[str, typer.Option("--dry-run")]
Output = Annotated[str, typer.Option("--output", "-o")]


@dataclass
class Change:
    """What is to become of one map of the metadata."""

    which: str
    done: str
    set: dict[str, str] = field(default_factory=dict)
    remove: list[str] = field(default_factory=list)
    overwrite: bool = False
    show: bool = False
    dry_run: str = "none"
    output: str = ""


def split(words: list[str]) -> tuple[list[str], dict[str, str], list[str]]:
    """The words that name objects, the pairs to set and the keys to remove. Raises Fault."""
    objects: list[str] = []
    wanted: dict[str, str] = {}
    removed: list[str] = []
    for word in words:
        if _SET.match(word) and "/" not in word.partition("=")[0].partition("/")[0]:
            key, _, value = word.partition("=")
            wanted[key] = value
        elif word.endswith("-") and objects:
            removed.append(word[:-1])
        elif wanted or removed:
            raise Fault(f"all resources must be specified before the changes: {word}")
        else:
            objects.append(word)
    both = set(wanted) & set(removed)
    if both:
        raise Fault(f"can not both modify and remove {', '.join(sorted(both))} in the same command")
    return objects, wanted, removed


def _command(verb: str, which: str, done: str) -> None:
    @cli.command(verb, cls=Verb, help=f"Update the {which} on a resource.")
    def command(
        ctx: typer.Context,
        words: Words = None,
        filename: Files = None,
        selector: Selector = "",
        field_selector: FieldSelector = "",
        everything: All = False,
        all_namespaces: AllNamespaces = False,
        overwrite: Overwrite = False,
        show: Show = False,
        dry_run: DryRun = "none",
        output: Output = "",
    ) -> None:
        objects, wanted, removed = split(words or [])
        change = Change(which, done, wanted, removed, overwrite, show, dry_run, output)
        chosen = Selection(objects, filename or [], selector, field_selector, everything, all_namespaces)
        execute(ctx, lambda session: _run(session, chosen, change))


_command("label", "labels", "labeled")
_command("annotate", "annotations", "annotated")


async def _run(session: Session, chosen: Selection, change: Change) -> None:
    if not change.set and not change.remove and not change.show:
        raise Fault(f"at least one {change.which[:-1]} update is required")
    for resource, obj in await select(session, chosen):
        await _one(session, resource, obj, change)


async def _one(session: Session, resource: Resource, obj: Object, change: Change) -> None:
    meta = obj["metadata"]
    present = meta.get(change.which) or {}
    clash = {k: v for k, v in change.set.items() if k in present and present[k] != v}
    if clash and not change.overwrite:
        key = next(iter(clash))
        raise Fault(f"'{key}' already has a value ({present[key]}), and --overwrite is false")
    patch: dict[str, str | None] = {k: v for k, v in change.set.items() if present.get(k) != v}
    patch |= {key: None for key in change.remove if key in present}
    how = writes.options(change.dry_run, "ignore", f"kubectl-{change.which[:-1]}")
    done = change.done if change.set else f"un{change.done}" if change.which == "labels" else change.done
    if patch and change.dry_run != "client":
        body = {"metadata": {change.which: patch}}
        obj = await writes.patch(session, resource, meta["name"], meta.get("namespace"), body, how, kind="merge")
    for key in change.remove:
        if key not in present:
            session.say(f'{change.which[:-1]} "{key}" not found.')
    if change.set or change.remove:
        what = done if patch else f"not {done}"
        report.changed(session, resource, obj, what, output=change.output, note=how.note)
    if change.show:
        for key, value in sorted((obj["metadata"].get(change.which) or {}).items()):
            session.say(f"{key}={value}")
