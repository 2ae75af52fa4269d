"""`api-resources`, `api-versions` and `cluster-info`: what the server offers."""

from __future__ import annotations

from typing import Annotated

import typer

from api import resources
from cloudctl.app import Verb, family
from cloudctl.faults import Fault
from cloudctl.session import Session, execute
from cloudctl.table import render

cli = family()

_ORDERS = {"": (lambda r: (r.group, r.plural)), "name": (lambda r: (r.plural,)), "kind": (lambda r: (r.kind,))}


@cli.command("api-resources", cls=Verb)
def api_resources(
    ctx: typer.Context,
    output: Annotated[str, typer.Option("--output", "-o", help="name or wide")] = "",
    namespaced: Annotated[bool | None, typer.Option("--namespaced/--no-namespaced")] = None,
    group: Annotated[str | None, typer.Option("--api-group")] = None,
    verbs: Annotated[str, typer.Option("--verbs", help="Only those with these verbs, e.g. list,get")] = "",
    categories: Annotated[str, typer.Option("--categories")] = "",
    no_headers: Annotated[bool, typer.Option("--no-headers/--headers")] = False,
    sort_by: Annotated[str, typer.Option("--sort-by", help="name or kind")] = "",
) -> None:
    """Print the supported API resources on the server."""
    if sort_by not in _ORDERS:
        raise Fault("--sort-by accepts only name or kind")

    async def main(session: Session) -> None:
        found = [
            r
            for r in await session.resolver.discovered()
            if (namespaced is None or r.namespaced == namespaced)
            and (group is None or r.group == group)
            and set(filter(None, verbs.split(","))) <= set(r.verbs)
            and set(filter(None, categories.split(","))) <= set(r.categories)
        ]
        found.sort(key=_ORDERS[sort_by])
        if output == "name":
            session.say("\n".join(r.qualified for r in found))
            return
        wide = output == "wide"
        headers = ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"] + (["VERBS", "CATEGORIES"] if wide else [])
        rows = [
            [r.plural, ",".join(r.short_names), r.group_version, str(r.namespaced).lower(), r.kind]
            + ([",".join(r.verbs), ",".join(r.categories)] if wide else [])
            for r in found
        ]
        text = render(headers, rows)
        session.say("\n".join(text.split("\n")[1:]) if no_headers else text)

    execute(ctx, main)


@cli.command("api-versions", cls=Verb)
def api_versions(ctx: typer.Context) -> None:
    """Print the supported API versions on the server, in the form of group/version."""

    async def main(session: Session) -> None:
        session.say("\n".join(sorted({r.group_version for r in await session.resolver.discovered()})))

    execute(ctx, main)


@cli.command("cluster-info", cls=Verb)
def cluster_info(ctx: typer.Context) -> None:
    """Display addresses of the control plane and of the cluster's own services."""

    async def main(session: Session) -> None:
        await session.client.raw("GET", "/version")
        session.say(f"Kubernetes control plane is running at {session.client.server}")
        listed = await session.client.list(
            resources.SERVICES, "kube-system", label_selector="kubernetes.io/cluster-service=true"
        )
        for service in listed.get("items") or ():
            name = service["metadata"]["name"]
            path = resources.SERVICES.path("kube-system", name, "proxy")
            session.say(f"{name} is running at {session.client.server}{path}")

    execute(ctx, main)
