"""`rollout`: status, history, undo, restart, pause and resume of Deployments, DaemonSets and StatefulSets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from api import resources, timestamp
from api.meta import is_controlled_by
from api.types import Object, Resource
from cloudctl import printers, report, revisions, wait, writes
from cloudctl.app import Verb, family
from cloudctl.durations import seconds
from cloudctl.faults import Fault
from cloudctl.rolloutstate import judge
from cloudctl.selection import Selection, select
from cloudctl.session import Session, execute
from cloudctl.table import render

cli = family("Manage the rollout of one or many resources.")

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
_KINDS = (resources.DEPLOYMENTS, resources.DAEMONSETS, resources.STATEFULSETS)

Words = Annotated[list[str], typer.Argument(metavar="TYPE NAME | TYPE/NAME")]
Selector = Annotated[str, typer.Option("--selector", "-l")]


async def _selected(session: Session, words: list[str], selector: str = "") -> list[tuple[Resource, Object]]:
    found = await select(session, Selection(words, selector=selector))
    for resource, _ in found:
        if resource not in _KINDS:
            raise Fault(f'no rollout for "{resource.qualified}": deployments, daemonsets and statefulsets have one')
    return found


@cli.command("status", cls=Verb)
def status(
    ctx: typer.Context,
    words: Words,
    watch: Annotated[bool, typer.Option("--watch/--no-watch", "-w", help="Until the rollout is done")] = True,
    timeout: Annotated[str, typer.Option("--timeout")] = "0s",
    selector: Selector = "",
) -> None:
    """Show the status of the rollout."""
    limit = seconds(timeout)

    async def main(session: Session) -> int:
        for resource, obj in await _selected(session, words, selector):
            await _follow(session, resource, obj, watch, limit if limit > 0 else None)
        return 0

    execute(ctx, main)


async def _follow(session: Session, resource: Resource, obj: Object, watch: bool, timeout: float | None) -> None:
    said: list[str] = []

    def verdict(found: dict[str, Object]) -> bool | None:
        if not found:
            raise Fault("object has been deleted")
        progress = judge(resource, next(iter(found.values())))
        if progress.failed:
            raise Fault(progress.text)
        if said[-1:] != [progress.text]:
            said.append(progress.text)
            session.say(progress.text)
        return True if progress.done or not watch else None

    meta = obj["metadata"]
    try:
        await wait.until(session.client, wait.Scope.one(resource, meta["name"], meta["namespace"]), verdict, timeout)
    except TimeoutError as error:
        raise Fault("timed out waiting for the rollout to finish") from error


@cli.command("history", cls=Verb)
def history(
    ctx: typer.Context,
    words: Words,
    revision: Annotated[int, typer.Option("--revision", help="Show this revision's pod template")] = 0,
) -> None:
    """View rollout history."""

    async def main(session: Session) -> None:
        for resource, obj in await _selected(session, words):
            found = await _revisions(session, resource, obj)
            session.say(printers.qualified(resource, obj["metadata"]["name"]))
            if revision:
                if revision not in found:
                    raise Fault(f"unable to find the specified revision {revision}")
                session.say(revisions.show(revision, found[revision]))
            else:
                rows = [[str(number), entry.cause or "<none>"] for number, entry in sorted(found.items())]
                session.say(render(["REVISION", "CHANGE-CAUSE"], rows) + "\n")

    execute(ctx, main)


async def _revisions(session: Session, resource: Resource, obj: Object) -> dict[int, revisions.Revision]:
    kind = resources.REPLICASETS if resource == resources.DEPLOYMENTS else resources.CONTROLLERREVISIONS
    listed = await session.client.list(kind, obj["metadata"]["namespace"])
    owned = [item for item in listed.get("items") or () if is_controlled_by(item, obj)]
    return (
        revisions.of_replica_sets(owned) if kind == resources.REPLICASETS else revisions.of_controller_revisions(owned)
    )


@cli.command("undo", cls=Verb)
def undo(
    ctx: typer.Context,
    words: Words,
    to: Annotated[int, typer.Option("--to-revision", help="0 for the one before the present")] = 0,
    dry_run: Annotated[str, typer.Option("--dry-run")] = "none",
) -> None:
    """Undo a previous rollout."""

    async def main(session: Session) -> None:
        how = writes.options(dry_run, "ignore", "kubectl-rollout")
        for resource, obj in await _selected(session, words):
            if obj["spec"].get("paused"):
                raise Fault("you cannot rollback a paused deployment; resume it first with 'cloudctl rollout resume'")
            goal = revisions.goal(await _revisions(session, resource, obj), to)
            body: Any = [{"op": "replace", "path": "/spec/template", "value": goal.template}]
            if revisions.same_template(goal.template, obj["spec"]["template"]):
                done = f"skipped rollback (current template already matches revision {goal.number})"
            else:
                done = "rolled back"
                if dry_run != "client":
                    await _patch(session, resource, obj, body, how, "json")
            report.changed(session, resource, obj, done, note=how.note)

    execute(ctx, main)


async def _patch(
    session: Session, resource: Resource, obj: Object, body: Any, how: writes.Options, kind: str = "merge"
) -> None:
    meta = obj["metadata"]
    await writes.patch(session, resource, meta["name"], meta["namespace"], body, how, kind=kind)


@cli.command("restart", cls=Verb)
def restart(ctx: typer.Context, words: Words, selector: Selector = "") -> None:
    """Restart a resource: its pods are replaced as by a rollout."""

    async def main(session: Session) -> None:
        body = {"spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: timestamp.now()}}}}}
        for resource, obj in await _selected(session, words, selector):
            if obj["spec"].get("paused"):
                raise Fault(f"can't restart paused {resource.singular} (run rollout resume first)")
            await _patch(session, resource, obj, body, writes.options(validate="ignore", manager="kubectl-rollout"))
            report.changed(session, resource, obj, "restarted")

    execute(ctx, main)


def _pausing(verb: str, wanted: bool, done: str, text: str) -> Callable[..., None]:
    @cli.command(verb, cls=Verb, help=text)
    def command(ctx: typer.Context, words: Words, selector: Selector = "") -> None:
        async def main(session: Session) -> None:
            for resource, obj in await _selected(session, words, selector):
                if resource != resources.DEPLOYMENTS:
                    raise Fault(f"{resource.plural} pausing is not supported")
                if bool(obj["spec"].get("paused")) == wanted:
                    raise Fault(
                        f'deployments.apps "{obj["metadata"]["name"]}" is {"already" if wanted else "not"} paused'
                    )
                body = {"spec": {"paused": True if wanted else None}}
                await _patch(session, resource, obj, body, writes.options(validate="ignore", manager="kubectl-rollout"))
                report.changed(session, resource, obj, done)

        execute(ctx, main)

    return command


_pausing("pause", True, "paused", "Mark the provided resource as paused.")
_pausing("resume", False, "resumed", "Resume a paused resource.")
