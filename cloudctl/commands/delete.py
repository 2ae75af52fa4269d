"""`delete`: objects by file, name or selector, and the wait until they are gone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

import orjson
import typer

from api.errors import ApiError, NotFound
from api.types import Object, Resource
from cloudctl import lists, manifests, printers, wait
from cloudctl.app import Verb, family
from cloudctl.commands.apply import namespace_of
from cloudctl.commands.lab import delete_cluster
from cloudctl.durations import seconds
from cloudctl.faults import Fault, sentence
from cloudctl.session import Session, execute

cli = family()

_POLICIES = {
    "background": "Background",
    "true": "Background",
    "foreground": "Foreground",
    "orphan": "Orphan",
    "false": "Orphan",
}


@dataclass
class Request:
    """What the flags of `delete` ask for."""

    words: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    recursive: bool = False
    selector: str = ""
    field_selector: str = ""
    everything: bool = False
    all_namespaces: bool = False
    force: bool = False
    now: bool = False
    grace: int = -1
    wait: bool = True
    timeout: float | None = None
    ignore_not_found: bool = False
    cascade: str = "background"
    output: str = ""
    dry_run: str = "none"


@dataclass(frozen=True)
class Victim:
    """One object to delete."""

    resource: Resource
    name: str
    namespace: str | None


@cli.command("delete", cls=Verb)
def command(
    ctx: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(metavar="TYPE[/NAME] [NAME...]")] = None,
    filename: Annotated[list[str] | None, typer.Option("--filename", "-f")] = None,
    recursive: Annotated[bool, typer.Option("--recursive/--no-recursive", "-R")] = False,
    selector: Annotated[str, typer.Option("--selector", "-l")] = "",
    field_selector: Annotated[str, typer.Option("--field-selector")] = "",
    everything: Annotated[bool, typer.Option("--all/--not-all", help="Everything of this type")] = False,
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces/--one-namespace", "-A")] = False,
    force: Annotated[bool, typer.Option("--force/--no-force", help="At once, without waiting for the node")] = False,
    now: Annotated[bool, typer.Option("--now/--not-now", help="Shorthand for a grace period of 1 s")] = False,
    grace_period: Annotated[int, typer.Option("--grace-period", help="Seconds; -1 for the object's own")] = -1,
    wait_for_end: Annotated[bool, typer.Option("--wait/--no-wait", help="Return when the objects are gone")] = True,
    timeout: Annotated[str, typer.Option("--timeout", help="How long to wait; 0 for as long as it takes")] = "0s",
    ignore_not_found: Annotated[bool, typer.Option("--ignore-not-found/--no-ignore-not-found")] = False,
    cascade: Annotated[str, typer.Option("--cascade", help="background, foreground or orphan")] = "background",
    output: Annotated[str, typer.Option("--output", "-o", help="name, or nothing")] = "",
    dry_run: Annotated[str, typer.Option("--dry-run", help="none, client or server")] = "none",
    name: Annotated[str, typer.Option("--name", help="With `delete cluster`: which cluster of `create cluster`")] = "",
) -> None:
    """Delete resources by file names, stdin, resources and names, or by resources and label selector.

    `delete cluster [NAME|--all]` removes a cluster that `create cluster` made, with its machines.
    """
    if words and words[0] == "cluster" and len(words) <= 2:
        delete_cluster(name or "".join(words[1:]), everything=everything)
        return
    limit = seconds(timeout)
    request = Request(
        words or [], filename or [], recursive, selector, field_selector, everything, all_namespaces, force, now,
        grace_period, wait_for_end, limit if limit > 0 else None, ignore_not_found, cascade, output, dry_run,
    )  # fmt: skip
    execute(ctx, lambda session: delete(session, request))


async def delete(session: Session, request: Request) -> int:
    """Delete, report, wait; goes on after a failure and returns 1 if there was one."""
    if request.cascade not in _POLICIES:
        raise Fault(f'invalid cascade value ({request.cascade}); must be "background", "foreground", or "orphan"')
    if request.force and request.grace > 0:
        raise Fault("--force and --grace-period greater than 0 cannot be specified together")
    if request.output not in ("", "name"):
        raise Fault(f"unexpected -o output mode: {request.output}; only '-o name' is supported")
    victims, failed = await _victims(session, request)
    if not victims and not failed and not request.words[1:]:
        session.say("No resources found")
    if request.force:
        session.warn("Warning: Immediate deletion does not wait for confirmation that the running resource has been "
                     "terminated. The resource may continue to run on the cluster indefinitely.")  # fmt: skip
    deleted: list[tuple[Victim, str]] = []
    for victim in victims:
        try:
            uid = await _delete(session, request, victim)
        except NotFound as error:
            if not request.ignore_not_found and not request.selector and not request.everything:
                session.warn(sentence(error))
                failed = 1
            continue
        except ApiError as error:
            session.warn(sentence(error))
            failed = 1
            continue
        _report(session, request, victim)
        deleted.append((victim, uid))
    if request.wait and not request.force and request.dry_run == "none":
        await asyncio.gather(*(_gone(session, victim, uid, request.timeout) for victim, uid in deleted))
    return failed


async def _victims(session: Session, request: Request) -> tuple[list[Victim], int]:
    if request.files:
        found = []
        for manifest in manifests.read(request.files, recursive=request.recursive):
            resource = await session.resolver.of(manifest.obj)
            name = manifest.obj["metadata"].get("name", "")
            found.append(Victim(resource, name, namespace_of(session, resource, manifest.obj)))
        return found, 0
    victims: list[Victim] = []
    selected = bool(request.selector or request.field_selector or request.everything)
    for target in await session.resolver.targets(request.words):
        space = session.namespace if target.resource.namespaced and not request.all_namespaces else None
        if target.names:
            if selected:
                raise Fault("name cannot be provided when a selector or --all is specified")
            victims += [Victim(target.resource, name, space) for name in target.names]
        elif not selected:
            raise Fault("resource(s) were provided, but no name was specified; name objects, or use -l or --all")
        else:
            query = lists.Query(request.selector, request.field_selector)
            listed = await lists.whole(session.client, target.resource, space, query)
            victims += [
                Victim(target.resource, item["metadata"]["name"], item["metadata"].get("namespace"))
                for item in listed["items"]
            ]
    return victims, 0


async def _delete(session: Session, request: Request, victim: Victim) -> str:
    """Ask for the deletion; returns the object's uid."""
    options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": _POLICIES[request.cascade]}
    grace = 0 if request.force else 1 if request.now else request.grace
    if grace >= 0:
        options["gracePeriodSeconds"] = grace
    if request.dry_run == "server":
        options["dryRun"] = ["All"]
    path = victim.resource.path(victim.namespace, victim.name)
    if request.dry_run == "client":
        return str((await session.client.get(victim.resource, victim.name, victim.namespace))["metadata"]["uid"])
    response = await session.client.raw(
        "DELETE", path, body=orjson.dumps(options), headers={"Content-Type": "application/json"}
    )
    answer: Object = orjson.loads(response.content)
    return str((answer.get("details") or {}).get("uid") or (answer.get("metadata") or {}).get("uid") or "")


def _report(session: Session, request: Request, victim: Victim) -> None:
    if request.output == "name":
        session.say(printers.qualified(victim.resource, victim.name))
        return
    kind = f"{victim.resource.singular}.{victim.resource.group}" if victim.resource.group else victim.resource.singular
    note = {"client": " (dry run)", "server": " (server dry run)"}.get(request.dry_run, "")
    how = "force deleted" if request.force else "deleted"
    space = f" from {victim.namespace} namespace" if victim.namespace else ""
    session.say(f'{kind} "{victim.name}" {how}{space}{note}')


async def _gone(session: Session, victim: Victim, uid: str, timeout: float | None) -> None:
    """Wait until the object, or its successor of the same name, is not the one that was deleted."""

    def judge(found: dict[str, Object]) -> bool | None:
        return True if not any(obj["metadata"].get("uid") == uid or not uid for obj in found.values()) else None

    try:
        await wait.until(session.client, wait.Scope.one(victim.resource, victim.name, victim.namespace), judge, timeout)
    except TimeoutError as error:
        raise Fault(f"timed out waiting for {printers.qualified(victim.resource, victim.name)} to be gone") from error
