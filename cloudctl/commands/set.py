"""`set image` and `set env`: the two fields of pod templates that change most."""

from __future__ import annotations

from typing import Annotated

import typer

from api import resources
from api.types import Object, Resource
from cloudctl import report, writes
from cloudctl.app import Verb, family
from cloudctl.faults import Fault
from cloudctl.selection import Selection, select
from cloudctl.session import Session, execute

cli = family("Set specific features on objects.")

Words = Annotated[list[str], typer.Argument(metavar="TYPE/NAME KEY=VALUE ...")]
Selector = Annotated[str, typer.Option("--selector", "-l")]
All = Annotated[bool, typer.Option("--all/--not-all")]
DryRun = Annotated[str, typer.Option("--dry-run")]
Output = Annotated[str, typer.Option("--output", "-o")]


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """The words that name objects and those that say what to set."""
    changes = [word for word in words if "=" in word or word.endswith("-")]
    return [word for word in words if word not in changes], changes


def pod_spec(resource: Resource, obj: Object) -> tuple[str, Object]:
    """Where an object keeps its pod spec, and the spec. Raises Fault when it has none."""
    if resource == resources.PODS:
        return "spec", obj["spec"]
    if resource == resources.CRONJOBS:
        return "spec.jobTemplate.spec.template.spec", obj["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    template = obj.get("spec", {}).get("template")
    if not isinstance(template, dict) or "spec" not in template:
        raise Fault(f"{resource.plural} have no pod template")
    return "spec.template.spec", template["spec"]


def _nested(path: str, value: Object) -> Object:
    for part in reversed(path.split(".")):
        value = {part: value}
    return value


async def _send(
    session: Session, resource: Resource, obj: Object, change: Object, what: str, how: writes.Options, output: str
) -> None:
    meta = obj["metadata"]
    if how.dry_run != "client":
        obj = await writes.patch(session, resource, meta["name"], meta.get("namespace"), change, how)
    report.changed(session, resource, obj, what, output=output, note=how.note)


@cli.command("image", cls=Verb)
def image(
    ctx: typer.Context,
    words: Words,
    selector: Selector = "",
    everything: All = False,
    dry_run: DryRun = "none",
    output: Output = "",
) -> None:
    """Update the image of a pod template: CONTAINER=IMAGE, or *=IMAGE for all."""
    names, changes = _split(words)
    wanted = dict(change.split("=", 1) for change in changes if "=" in change)
    if not wanted:
        raise Fault("at least one image update is required, as CONTAINER=IMAGE")

    async def main(session: Session) -> None:
        how = writes.options(dry_run, "strict", "kubectl-set")
        for resource, obj in await select(session, Selection(names, selector=selector, everything=everything)):
            path, spec = pod_spec(resource, obj)
            change: Object = {}
            known: set[str] = set()
            for which in ("initContainers", "containers"):
                for container in spec.get(which) or ():
                    known.add(container["name"])
                    new = wanted.get(container["name"], wanted.get("*"))
                    if new and new != container.get("image"):
                        change.setdefault(which, []).append({"name": container["name"], "image": new})
            missing = sorted(set(wanted) - known - {"*"})
            if missing:
                raise Fault(f'unable to find container named "{missing[0]}"')
            if change:
                await _send(session, resource, obj, _nested(path, change), "image updated", how, output)

    execute(ctx, main)


@cli.command("env", cls=Verb)
def env(
    ctx: typer.Context,
    words: Words,
    container: Annotated[str, typer.Option("--containers", "-c", help="Only this container")] = "*",
    show: Annotated[bool, typer.Option("--list/--no-list", help="Print the variables")] = False,
    selector: Selector = "",
    everything: All = False,
    dry_run: DryRun = "none",
    output: Output = "",
) -> None:
    """Update environment variables on a pod template: NAME=VALUE, or NAME- to remove one."""
    names, changes = _split(words)
    if not changes and not show:
        raise Fault("at least one environment variable must be provided")

    async def main(session: Session) -> None:
        how = writes.options(dry_run, "strict", "kubectl-set")
        for resource, obj in await select(session, Selection(names, selector=selector, everything=everything)):
            path, spec = pod_spec(resource, obj)
            chosen = [c for c in spec["containers"] if container in ("*", c["name"])]
            if not chosen:
                raise Fault(f'unable to find container named "{container}"')
            if show:
                _show(session, resource, obj, chosen)
                continue
            entries = [_variable(word) for word in changes]
            change = {"containers": [{"name": c["name"], "env": entries} for c in chosen]}
            await _send(session, resource, obj, _nested(path, change), "env updated", how, output)

    execute(ctx, main)


def _variable(word: str) -> Object:
    name, equals, value = word.partition("=")
    return {"name": name, "value": value} if equals else {"$patch": "delete", "name": word[:-1]}


def _show(session: Session, resource: Resource, obj: Object, containers: list[Object]) -> None:
    for found in containers:
        session.say(f"# {resource.plural} {obj['metadata']['name']}, container {found['name']}")
        for variable in found.get("env") or ():
            source = next(iter(variable.get("valueFrom") or {}), "")
            session.say(
                f"# {variable['name']} from {source}" if source else f"{variable['name']}={variable.get('value', '')}"
            )
