"""`auth can-i` and `auth whoami`."""

from __future__ import annotations

from typing import Annotated

import typer

from api import resources
from api.types import Object
from cloudctl import printers, writes
from cloudctl.app import Verb, family
from cloudctl.faults import Fault
from cloudctl.session import Session, execute
from cloudctl.table import render

cli = family("Inspect authorization.")

_AUTHORIZATION, _AUTHENTICATION = "authorization.k8s.io/v1", "authentication.k8s.io/v1"


@cli.command("can-i", cls=Verb)
def can_i(
    ctx: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(metavar="VERB [TYPE | TYPE/NAME | NONRESOURCEURL]")] = None,
    subresource: Annotated[str, typer.Option("--subresource")] = "",
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces/--one-namespace", "-A")] = False,
    quiet: Annotated[bool, typer.Option("--quiet/--not-quiet", "-q", help="Only the exit code")] = False,
    listing: Annotated[bool, typer.Option("--list/--no-list", help="Everything that is allowed")] = False,
) -> None:
    """Check whether an action is allowed; the exit code is 0 when it is."""
    given = words or []
    if listing:
        execute(ctx, _list)
        return
    if not 2 <= len(given) <= 3:
        raise Fault("you must specify two or three arguments: verb, resource, and optional resourceName")

    async def main(session: Session) -> int:
        attributes = await _attributes(session, given, subresource, all_namespaces)
        body = {"apiVersion": _AUTHORIZATION, "kind": "SelfSubjectAccessReview", "spec": attributes}
        answer = await writes.post(session, resources.SELFSUBJECTACCESSREVIEWS.path(), body)
        status = answer.get("status", {})
        if not quiet:
            why = f" - {status['reason']}" if status.get("reason") and not status.get("allowed") else ""
            session.say(f"yes{why}" if status.get("allowed") else f"no{why}")
        return 0 if status.get("allowed") else 1

    execute(ctx, main)


async def _attributes(session: Session, words: list[str], subresource: str, everywhere: bool) -> Object:
    verb, what, *more = words
    if what.startswith("/"):
        return {"nonResourceAttributes": {"verb": verb, "path": what}}
    plain, _, name = what.partition("/")
    attributes: Object = {"verb": verb, "resource": plain, "group": "*" if plain == "*" else ""}
    if plain != "*":
        resource = await session.resolver.resource(plain)
        attributes |= {"resource": resource.plural, "group": resource.group, "version": resource.version}
        if resource.namespaced and not everywhere:
            attributes["namespace"] = session.namespace
    name = name or (more[0] if more else "")
    optional = {"name": name, "subresource": subresource}
    return {"resourceAttributes": attributes | {k: v for k, v in optional.items() if v}}


async def _list(session: Session) -> None:
    body = {"apiVersion": _AUTHORIZATION, "kind": "SelfSubjectRulesReview", "spec": {"namespace": session.namespace}}
    status = (await writes.post(session, resources.SELFSUBJECTRULESREVIEWS.path(), body)).get("status", {})
    rows = []
    for rule in status.get("resourceRules") or ():
        for group in rule.get("apiGroups") or [""]:
            for plural in rule.get("resources") or ():
                name = f"{plural}.{group}" if group else plural
                rows.append(
                    [name, "[]", f"[{' '.join(rule.get('resourceNames') or ())}]", f"[{' '.join(rule['verbs'])}]"]
                )
    for rule in status.get("nonResourceRules") or ():
        rows += [["", f"[{url}]", "[]", f"[{' '.join(rule['verbs'])}]"] for url in rule.get("nonResourceURLs") or ()]
    session.say(render(["Resources", "Non-Resource URLs", "Resource Names", "Verbs"], rows))


@cli.command("whoami", cls=Verb)
def whoami(ctx: typer.Context, output: Annotated[str, typer.Option("--output", "-o")] = "") -> None:
    """Check self subject attributes."""

    async def main(session: Session) -> None:
        body = {"apiVersion": _AUTHENTICATION, "kind": "SelfSubjectReview"}
        answer = await writes.post(session, resources.SELFSUBJECTREVIEWS.path(), body)
        if output:
            typer.echo(printers.printer(output)(answer), nl=False)
            return
        user = answer.get("status", {}).get("userInfo", {})
        rows = [["Username", user.get("username", "")], ["Groups", f"[{' '.join(user.get('groups') or ())}]"]]
        rows += [[f"Extra: {k}", f"[{' '.join(v)}]"] for k, v in sorted((user.get("extra") or {}).items())]
        session.say(render(["ATTRIBUTE", "VALUE"], rows))

    execute(ctx, main)
