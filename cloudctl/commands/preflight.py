"""`preflight`: whether this machine can become a node, before anything is done to it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from cloudctl.app import Verb, family
from cloudctl.faults import Fault
from cloudctl.machine import preflight
from cloudctl.machine.settings import Role

cli = family()


@cli.command("preflight", cls=Verb)
def preflight_command(
    role: Annotated[Role, typer.Option("--role", help="What the machine is going to be")] = Role.CONTROL_PLANE,
    server: Annotated[
        str, typer.Option("--server", help="HOST:PORT of the API server to join; nothing for a new cluster")
    ] = "",
    address: Annotated[str, typer.Option("--address", help="The node's address; else that of the default route")] = "",
    node_name: Annotated[str, typer.Option("--node-name", help="The node's name; else the host name")] = "",
    virtual_ip: Annotated[str, typer.Option("--virtual-ip", help="The address as `init` is going to get it")] = "",
    home: Annotated[Path, typer.Option("--home", help="Where keys and data are going to be")] = Path(
        "/var/lib/cloudlet"
    ),
    ignore: Annotated[
        str,
        typer.Option(
            "--ignore-preflight-errors", help="Checks, with commas between, whose errors are warnings; or all"
        ),
    ] = "",
    output: Annotated[str, typer.Option("--output", "-o", help="json, or nothing for people")] = "",
) -> None:
    """Check what a node needs of this machine, and name what mends it. Nothing is changed.

    The exit code is 1 when there is an error: `init` and `join`, which check the same, would stop. Warnings do not stop them.
    """
    if output not in ("", "json"):
        raise Fault(f"unknown output format {output!r}: json, or nothing")
    try:
        request = preflight.Request(
            role=role, server=server, address=address, node_name=node_name, home=home, virtual_ip=virtual_ip,
            ignore=preflight.ignored(ignore),
        )  # fmt: skip
        findings = asyncio.run(preflight.run(request))
    except ValueError as error:
        raise Fault(str(error)) from error
    if output == "json":
        typer.echo(json.dumps(preflight.to_json(findings), indent=2, ensure_ascii=False))
    else:
        typer.echo(preflight.render(findings))
    if preflight.failed(findings):
        raise typer.Exit(1)
