"""`cordon`, `uncordon` and `taint`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

import typer

from api import resources
from api.types import Object
from cloudctl import report, writes
from cloudctl.app import Verb, family
from cloudctl.faults import Fault
from cloudctl.selection import Selection, select
from cloudctl.session import Session, execute

cli = family()

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_TAINT = re.compile(r"^(?P<key>[^=:]+?)(=(?P<value>[^:]*))?(:(?P<effect>\w+))?(?P<minus>-)?$")

Names = Annotated[list[str] | None, typer.Argument(metavar="NODE ...")]
Selector = Annotated[str, typer.Option("--selector", "-l")]
DryRun = Annotated[str, typer.Option("--dry-run")]


async def set_unschedulable(session: Session, node: Object, wanted: bool, how: writes.Options) -> None:
    """Cordon or uncordon one node, and say so."""
    done = "cordoned" if wanted else "uncordoned"
    if bool(node.get("spec", {}).get("unschedulable")) == wanted:
        report.changed(session, resources.NODES, node, f"already {done}", note=how.note)
        return
    body = {"spec": {"unschedulable": True if wanted else None}}
    if how.dry_run != "client":
        await writes.patch(session, resources.NODES, node["metadata"]["name"], None, body, how)
    report.changed(session, resources.NODES, node, done, note=how.note)


def _command(verb: str, wanted: bool, text: str) -> None:
    @cli.command(verb, cls=Verb, help=text)
    def command(ctx: typer.Context, names: Names = None, selector: Selector = "", dry_run: DryRun = "none") -> None:
        async def main(session: Session) -> None:
            how = writes.options(dry_run, "ignore", f"kubectl-{verb}")
            for _, node in await select(session, Selection(["nodes", *(names or ())], selector=selector)):
                await set_unschedulable(session, node, wanted, how)

        execute(ctx, main)


_command("cordon", True, "Mark node as unschedulable.")
_command("uncordon", False, "Mark node as schedulable.")


@dataclass(frozen=True)
class Taint:
    """One taint to add, or to remove (`effect` may then be empty for all of its key)."""

    key: str
    value: str
    effect: str
    remove: bool

    @classmethod
    def parse(cls, word: str) -> Taint:
        """`key=value:Effect`, `key:Effect`, or these with a closing minus. Raises Fault."""
        match = _TAINT.match(word)
        if match is None:
            raise Fault(f"invalid taint spec: {word}")
        found = cls(match["key"], match["value"] or "", match["effect"] or "", bool(match["minus"]))
        if found.effect not in EFFECTS and (found.effect or not found.remove):
            raise Fault(f"invalid taint effect: {found.effect or word}, must be one of {', '.join(EFFECTS)}")
        return found


def tainted(present: list[Object], changes: list[Taint], *, overwrite: bool) -> list[Object]:
    """The node's taints after the changes. Raises Fault for one that is there with another value, or is not there."""
    found = list(present)
    for change in changes:
        same = [t for t in found if t["key"] == change.key and change.effect in ("", t["effect"])]
        if change.remove:
            if not same:
                raise Fault(f'taint "{change.key}{":" + change.effect if change.effect else ""}" not found')
        elif same and same[0].get("value", "") != change.value and not overwrite:
            raise Fault(f"node already has {change.key} taint(s) with same effect(s) and --overwrite is false")
        found = [t for t in found if t not in same]
        if not change.remove:
            taint = {"key": change.key, "effect": change.effect}
            found.append({**taint, "value": change.value} if change.value else taint)
    return found


@cli.command("taint", cls=Verb)
def taint_command(
    ctx: typer.Context,
    words: Annotated[list[str], typer.Argument(metavar="nodes NAME... KEY=VALUE:EFFECT... KEY:EFFECT-...")],
    selector: Selector = "",
    everything: Annotated[bool, typer.Option("--all/--not-all")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite/--no-overwrite")] = False,
    dry_run: DryRun = "none",
) -> None:
    """Update the taints on one or more nodes."""
    names = [word for word in words if not re.search(r"[=:]|-$", word)]
    changes = [Taint.parse(word) for word in words if word not in names]
    if not changes:
        raise Fault("at least one taint update is required")

    async def main(session: Session) -> None:
        how = writes.options(dry_run, "ignore", "kubectl-taint")
        for resource, node in await select(session, Selection(names, selector=selector, everything=everything)):
            if resource != resources.NODES:
                raise Fault("only nodes can be tainted")
            name = node["metadata"]["name"]
            taints = tainted(node.get("spec", {}).get("taints") or [], changes, overwrite=overwrite)
            body = {"metadata": {"resourceVersion": node["metadata"]["resourceVersion"]}, "spec": {"taints": taints}}
            if dry_run != "client":
                await writes.patch(session, resource, name, None, body, how, kind="merge")
            done = "untainted" if all(change.remove for change in changes) else "tainted"
            report.changed(session, resource, node, done, note=how.note)

    execute(ctx, main)
