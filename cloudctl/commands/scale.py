"""`scale`: set how many pods a workload has, through its scale subresource."""

from __future__ import annotations

from typing import Annotated

import typer

from api.types import Object
from cloudctl import report, wait, writes
from cloudctl.app import Verb, family
from cloudctl.durations import seconds
from cloudctl.faults import Fault
from cloudctl.selection import Selection, select
from cloudctl.session import Session, execute

cli = family()


@cli.command("scale", cls=Verb)
def command(
    ctx: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(metavar="TYPE/NAME ...")] = None,
    replicas: Annotated[int, typer.Option("--replicas", help="The wanted number of pods")] = -1,
    current: Annotated[int, typer.Option("--current-replicas", help="Only if there are this many now")] = -1,
    version: Annotated[str, typer.Option("--resource-version", help="Only if the object is at this version")] = "",
    filename: Annotated[list[str] | None, typer.Option("--filename", "-f")] = None,
    selector: Annotated[str, typer.Option("--selector", "-l")] = "",
    everything: Annotated[bool, typer.Option("--all/--not-all")] = False,
    timeout: Annotated[str, typer.Option("--timeout", help="Wait this long for the pods; 0 not at all")] = "0s",
    dry_run: Annotated[str, typer.Option("--dry-run")] = "none",
    output: Annotated[str, typer.Option("--output", "-o")] = "",
) -> None:
    """Set a new size for a deployment, replica set, replication controller, or stateful set."""
    if replicas < 0:
        raise Fault("the --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0")
    chosen = Selection(words or [], filename or [], selector, "", everything)
    limit = seconds(timeout)

    async def main(session: Session) -> None:
        how = writes.options(dry_run, "ignore", "kubectl-scale")
        for resource, obj in await select(session, chosen):
            meta = obj["metadata"]
            if "scale" not in resource.subresources:
                raise Fault(f"{resource.plural} cannot be scaled: they have no scale subresource")
            now = obj.get("spec", {}).get("replicas", 0)
            if current >= 0 and now != current:
                raise Fault(f"Expected replicas to be {current}, was {now}")
            body: Object = {"spec": {"replicas": replicas}}
            if version:
                body["metadata"] = {"resourceVersion": version}
            if dry_run != "client":
                await writes.patch(
                    session, resource, meta["name"], meta.get("namespace"), body, how, kind="merge", subresource="scale"
                )
            report.changed(session, resource, obj, "scaled", output=output, note=how.note)
            if limit > 0:
                scope = wait.Scope.one(resource, meta["name"], meta.get("namespace"))
                await _settled(session, scope, replicas, limit)

    execute(ctx, main)


async def _settled(session: Session, scope: wait.Scope, replicas: int, timeout: float) -> None:
    def judge(found: dict[str, Object]) -> bool | None:
        return True if any(o.get("status", {}).get("replicas", 0) == replicas for o in found.values()) else None

    try:
        await wait.until(session.client, scope, judge, timeout)
    except TimeoutError as error:
        raise Fault("timed out waiting for the new size") from error
