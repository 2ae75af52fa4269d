"""What a verb says of an object that it has changed."""

from __future__ import annotations

import typer

from api.types import Object, Resource
from cloudctl import printers
from cloudctl.session import Session


def changed(session: Session, resource: Resource, obj: Object, what: str, *, output: str = "", note: str = "") -> None:
    """`deployment.apps/web scaled`, or the object in the form that `-o` asks for."""
    name = printers.qualified(resource, obj["metadata"].get("name", ""))
    if not output:
        session.say(f"{name} {what}{note}")
    elif output == "name":
        session.say(name)
    else:
        whole = {"apiVersion": resource.group_version, "kind": resource.kind, **obj}
        typer.echo(printers.printer(output)(printers.plain(whole)), nl=False)
