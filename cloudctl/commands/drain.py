"""`drain`: cordon nodes and evict their pods, honouring disruption budgets, until they are gone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated

import typer

from api import resources
from api.errors import ApiError, NotFound, TooManyRequests
from api.meta import controller_of, is_deleting
from api.pods import is_mirror, is_terminal
from api.types import Object
from cloudctl import lists, wait, writes
from cloudctl.app import Verb, family
from cloudctl.commands.node import set_unschedulable
from cloudctl.durations import seconds
from cloudctl.faults import Fault, sentence
from cloudctl.selection import Selection, select
from cloudctl.session import Session, execute

cli = family()

_RETRY_SECONDS = 5.0


@dataclass(frozen=True)
class Rules:
    """Which pods may go, and how."""

    force: bool = False
    ignore_daemon_sets: bool = False
    delete_empty_dir: bool = False
    grace: int = -1
    timeout: float | None = None
    disable_eviction: bool = False
    selector: str = ""
    dry_run: str = "none"


@cli.command("drain", cls=Verb)
def command(
    ctx: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="NODE ...")] = None,
    selector: Annotated[str, typer.Option("--selector", "-l", help="Nodes with these labels")] = "",
    pod_selector: Annotated[str, typer.Option("--pod-selector", help="Only pods with these labels")] = "",
    force: Annotated[bool, typer.Option("--force/--no-force", help="Also pods that nothing will replace")] = False,
    ignore: Annotated[bool, typer.Option("--ignore-daemonsets/--no-ignore-daemonsets")] = False,
    empty_dir: Annotated[
        bool, typer.Option("--delete-emptydir-data/--keep-emptydir-data", help="Also pods with emptyDir volumes")
    ] = False,
    grace_period: Annotated[int, typer.Option("--grace-period")] = -1,
    timeout: Annotated[str, typer.Option("--timeout", help="0 for as long as it takes")] = "0s",
    disable_eviction: Annotated[
        bool, typer.Option("--disable-eviction/--evict", help="Delete, past all budgets")
    ] = False,
    dry_run: Annotated[str, typer.Option("--dry-run")] = "none",
) -> None:
    """Drain node in preparation for maintenance."""
    limit = seconds(timeout)
    rules = Rules(
        force, ignore, empty_dir, grace_period, limit if limit > 0 else None, disable_eviction, pod_selector, dry_run
    )
    execute(ctx, lambda session: drain(session, Selection(["nodes", *(names or ())], selector=selector), rules))


async def drain(session: Session, chosen: Selection, rules: Rules) -> int:
    """Drain the nodes one after the other. Raises Fault when a pod may not be taken away, or the time is over."""
    how = writes.options(rules.dry_run, "ignore", "kubectl-drain")
    nodes = [node for _, node in await select(session, chosen)]
    for node in nodes:
        await set_unschedulable(session, node, True, how)
    for node in nodes:
        name = node["metadata"]["name"]
        query = lists.Query(rules.selector, f"spec.nodeName={name}")
        pods = (await lists.whole(session.client, resources.PODS, None, query))["items"]
        leaving = _leaving(session, pods, rules, name)
        try:
            async with asyncio.timeout(rules.timeout):
                await asyncio.gather(*(_take_away(session, pod, rules) for pod in leaving))
        except TimeoutError as error:
            raise Fault(f"unable to drain node {name!r}: the time of {rules.timeout:g} s is over") from error
        session.say(f"node/{name} drained{how.note}")
    return 0


def _leaving(session: Session, pods: list[Object], rules: Rules, node: str) -> list[Object]:
    """The pods to take away. Raises Fault that names every pod in the way and the flag that lets it go."""
    leaving, kept, problems = [], [], dict[str, list[str]]()
    for pod in pods:
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        owner = controller_of(pod)
        if is_mirror(pod):
            continue
        if owner and owner["kind"] == "DaemonSet" and not is_terminal(pod):
            if rules.ignore_daemon_sets:
                kept.append(name)
            else:
                problems.setdefault("DaemonSet-managed Pods (use --ignore-daemonsets to ignore)", []).append(name)
            continue
        volumes = pod["spec"].get("volumes") or ()
        if any("emptyDir" in volume for volume in volumes) and not rules.delete_empty_dir and not is_terminal(pod):
            problems.setdefault("Pods with local storage (use --delete-emptydir-data to override)", []).append(name)
        elif owner is None and not rules.force and not is_terminal(pod):
            problems.setdefault("Pods that declare no controller (use --force to override)", []).append(name)
        else:
            leaving.append(pod)
    if problems:
        said = "; ".join(f"cannot delete {why}: {', '.join(names)}" for why, names in problems.items())
        raise Fault(f'unable to drain node "{node}" due to error: {said}')
    if kept:
        session.warn(f"Warning: ignoring DaemonSet-managed Pods: {', '.join(kept)}")
    return leaving


async def _take_away(session: Session, pod: Object, rules: Rules) -> None:
    meta = pod["metadata"]
    name, space = meta["name"], meta["namespace"]
    session.say(f"{'deleting' if rules.disable_eviction else 'evicting'} pod {space}/{name}")
    if rules.dry_run != "none":
        return
    if not is_deleting(pod):
        try:
            await (_delete if rules.disable_eviction else _evict)(session, name, space, rules)
        except NotFound:
            return
        except ApiError as error:
            raise Fault(f"error when evicting pods/{name!r}: {sentence(error)}") from error

    def judge(found: dict[str, Object]) -> bool | None:
        return True if all(p["metadata"]["uid"] != meta["uid"] for p in found.values()) else None

    await wait.until(session.client, wait.Scope.one(resources.PODS, name, space), judge, None)
    session.say(f"pod/{name} {'deleted' if rules.disable_eviction else 'evicted'}")


async def _delete(session: Session, name: str, space: str, rules: Rules) -> None:
    grace = rules.grace if rules.grace >= 0 else None
    await session.client.delete(resources.PODS, name, space, grace_period_seconds=grace)


async def _evict(session: Session, name: str, space: str, rules: Rules) -> None:
    """Ask until the disruption budgets allow it; the server says no event when they do."""
    body: Object = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": space}}
    if rules.grace >= 0:
        body["deleteOptions"] = {"gracePeriodSeconds": rules.grace}
    while True:
        try:
            await writes.post(session, resources.PODS.path(space, name, "eviction"), body)
            return
        except TooManyRequests as error:
            session.warn(f"error when evicting pods/{name} -n {space} (will retry): {error.message}")
            await asyncio.sleep(error.retry_after or _RETRY_SECONDS)
