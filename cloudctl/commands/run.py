"""`run` and `expose`: a pod from an image, a service from a workload."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from api import resources
from api.types import Object, Resource
from cloudctl import generators, report, wait, writes
from cloudctl.app import Verb, family
from cloudctl.commands.delete import Request as DeleteRequest
from cloudctl.commands.delete import delete
from cloudctl.commands.exec import Attachment, attach
from cloudctl.durations import seconds
from cloudctl.faults import Fault
from cloudctl.session import Session, execute

cli = family()

Texts = list[str] | None


@cli.command("run", cls=Verb)
def run_command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    words: Annotated[Texts, typer.Argument(metavar="[-- args...]")] = None,
    image: Annotated[str, typer.Option("--image", help="The image to run")] = "",
    port: Annotated[int | None, typer.Option("--port")] = None,
    env: Annotated[Texts, typer.Option("--env", help="key=value")] = None,
    labels: Annotated[str, typer.Option("--labels", "-l", help="key=value,…")] = "",
    restart: Annotated[str, typer.Option("--restart", help="Always, OnFailure or Never")] = "Always",
    command: Annotated[bool, typer.Option("--command/--args", help="The words are the command, not arguments")] = False,
    pull: Annotated[str, typer.Option("--image-pull-policy")] = "",
    stdin: Annotated[bool, typer.Option("--stdin/--no-stdin", "-i")] = False,
    tty: Annotated[bool, typer.Option("--tty/--no-tty", "-t")] = False,
    attached: Annotated[bool, typer.Option("--attach/--no-attach")] = False,
    remove: Annotated[bool, typer.Option("--rm/--keep", help="Delete the pod afterwards")] = False,
    timeout: Annotated[str, typer.Option("--pod-running-timeout")] = "1m",
    dry_run: Annotated[str, typer.Option("--dry-run")] = "none",
    output: Annotated[str, typer.Option("--output", "-o")] = "",
) -> None:
    """Run a particular image in a pod."""
    if not image:
        raise Fault("--image is required")
    if restart not in ("Always", "OnFailure", "Never"):
        raise Fault(f"invalid restart policy: {restart}")
    if remove and not (attached or stdin):
        raise Fault("--rm should only be used for attached containers")
    first = generators.container(name, image, words or () if command else (), () if command else words or ())
    if port:
        first["ports"] = [{"containerPort": port}]
    if env:
        first["env"] = [{"name": k, "value": v} for k, v in generators.pairs(env, "env").items()]
    if pull:
        first["imagePullPolicy"] = pull
    if stdin:
        first |= {"stdin": True, "stdinOnce": True, "tty": tty}
    marks = generators.pairs(labels.split(","), "label") if labels else {"run": name}
    spec = {"containers": [first], "restartPolicy": restart}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": generators.meta(name, marks), "spec": spec}

    async def main(session: Session) -> int:
        how = writes.options(dry_run, "strict", "kubectl-run")
        made = pod if dry_run == "client" else await writes.create(
            session, resources.PODS, pod, session.namespace, how
        )  # fmt: skip
        if not (stdin or attached):
            report.changed(session, resources.PODS, made, "created", output=output, note=how.note)
            return 0
        await _running(session, name, seconds(timeout))
        try:
            return await attach(session, Attachment(name, name, stdin=stdin, tty=tty))
        finally:
            if remove:
                await delete(session, DeleteRequest(words=["pods", name], now=True))

    execute(ctx, main)


async def _running(session: Session, name: str, timeout: float) -> None:
    def judge(found: dict[str, Object]) -> bool | None:
        phases = [pod.get("status", {}).get("phase") for pod in found.values()]
        return True if any(phase in ("Running", "Succeeded", "Failed") for phase in phases) else None

    try:
        await wait.until(session.client, wait.Scope.one(resources.PODS, name, session.namespace), judge, timeout)
    except TimeoutError as error:
        raise Fault(f"timed out waiting for pod {name} to run; see `cloudctl describe pod {name}`") from error


@cli.command("expose", cls=Verb)
def expose_command(
    ctx: typer.Context,
    words: Annotated[list[str], typer.Argument(metavar="TYPE NAME")],
    port: Annotated[int | None, typer.Option("--port")] = None,
    target_port: Annotated[str, typer.Option("--target-port")] = "",
    name: Annotated[str, typer.Option("--name")] = "",
    kind: Annotated[str, typer.Option("--type", help="ClusterIP, NodePort or LoadBalancer")] = "ClusterIP",
    protocol: Annotated[str, typer.Option("--protocol")] = "TCP",
    selector: Annotated[str, typer.Option("--selector", "-l")] = "",
    dry_run: Annotated[str, typer.Option("--dry-run")] = "none",
    output: Annotated[str, typer.Option("--output", "-o")] = "",
) -> None:
    """Expose a deployment, replica set, replication controller, service or pod as a new service."""

    async def main(session: Session) -> None:
        resource, source_name = await session.resolver.one(words)
        source = await session.client.get(resource, source_name, session.namespace)
        labels = generators.pairs(selector.split(","), "selector") if selector else selector_of(resource, source)
        ports = _ports(source, port, target_port, protocol)
        spec = {"selector": labels, "ports": ports, "type": kind}
        about = generators.meta(name or source_name, source["metadata"].get("labels"))
        service = {"apiVersion": "v1", "kind": "Service", "metadata": about, "spec": spec}
        how = writes.options(dry_run, "strict", "kubectl-expose")
        made = service
        if dry_run != "client":
            made = await writes.create(session, resources.SERVICES, service, session.namespace, how)
        report.changed(session, resources.SERVICES, made, "exposed", output=output, note=how.note)

    execute(ctx, main)


def selector_of(resource: Resource, source: Object) -> dict[str, str]:
    """The labels that pick an object's pods. Raises Fault where there are none, or where they are expressions."""
    spec = source.get("spec", {})
    if resource == resources.PODS:
        labels = source["metadata"].get("labels") or {}
    elif isinstance(spec.get("selector"), dict) and "matchLabels" in spec["selector"]:
        if spec["selector"].get("matchExpressions"):
            raise Fault("couldn't convert expressions to map-based selector format; use --selector")
        labels = spec["selector"]["matchLabels"]
    else:
        labels = spec.get("selector") or {}
    if not labels:
        raise Fault(f"the {resource.kind.lower()} has no labels or selector to expose; use --selector")
    return dict(labels)


def _ports(source: Object, port: int | None, target: str, protocol: str) -> list[Object]:
    if port:
        goal: Any = int(target) if target.isdigit() else target or port
        return [{"port": port, "protocol": protocol, "targetPort": goal}]
    spec = source.get("spec", {})
    pod = spec.get("template", {}).get("spec", spec)
    found = [p["containerPort"] for c in pod.get("containers") or () for p in c.get("ports") or ()]
    found = found or [p["port"] for p in spec.get("ports") or ()]
    if not found:
        raise Fault("couldn't find port via --port flag or introspection")
    several = len(found) > 1
    return [
        {"port": number, "protocol": protocol, "targetPort": number, **({"name": f"port-{i + 1}"} if several else {})}
        for i, number in enumerate(found)
    ]
