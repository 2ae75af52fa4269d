"""`up`, `status`, `down`, `kubeconfig`: the cluster on this machine."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from cloudctl.app import Verb, family
from cloudctl.cluster.down import down
from cloudctl.cluster.state import Cluster, ClusterError, default_home
from cloudctl.cluster.status import Status, status
from cloudctl.cluster.steps import Steps
from cloudctl.cluster.up import Wishes, up
from cloudctl.faults import Fault
from cloudctl.table import render

cli = family()

State = Annotated[str, typer.Option("--state", help="The cluster's folder; else $CLOUDLET_HOME, else ~/.cloudlet")]


def _home(state: str) -> Path:
    return Path(state).expanduser().absolute() if state else default_home()


@cli.command("up", cls=Verb)
def up_command(
    nodes: Annotated[int | None, typer.Option("--nodes", help="Nodes that run containers on this machine")] = None,
    fake_nodes: Annotated[
        int | None, typer.Option("--fake-nodes", help="Simulated nodes: no Docker and no root needed")
    ] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port of the API server; 6443 for a new cluster")] = None,
    state: State = "",
) -> None:
    """Start a cluster on this machine, or what is missing of it; returns when it is ready.

    Without --nodes and --fake-nodes a new cluster has one node, and an existing one the nodes that it had.
    """
    steps = Steps()
    try:
        cluster = asyncio.run(up(_home(state), Wishes(nodes, fake_nodes, port), steps))
    except ClusterError as error:
        raise Fault(str(error)) from error
    steps.say(f"ready in {steps.seconds:.1f} s: {cluster.server}")
    steps.say(f"  export KUBECONFIG={cluster.admin_kubeconfig}")


@cli.command("down", cls=Verb)
def down_command(
    delete: Annotated[bool, typer.Option("--delete/--keep", help="Delete the cluster's data too")] = False,
    state: State = "",
) -> None:
    """Stop the cluster: daemons, containers, mounts, addresses and rules. Its data stays unless --delete is given."""
    try:
        asyncio.run(down(_home(state), Steps(), delete=delete))
    except ClusterError as error:
        raise Fault(str(error)) from error


@cli.command("status", cls=Verb)
def status_command(
    state: State = "",
    output: Annotated[str, typer.Option("--output", "-o", help="json, or nothing for people")] = "",
) -> None:
    """Show the daemons and nodes; the exit code is 0 when all are well."""
    try:
        found = asyncio.run(status(Cluster.existing(_home(state))))
    except ClusterError as error:
        raise Fault(str(error)) from error
    if output == "json":
        typer.echo(json.dumps(found.to_json(), indent=2))
    else:
        _print(found)
    if found.problems:
        raise typer.Exit(1)


def _print(found: Status) -> None:
    typer.echo(f"API server  {found.server}\nState       {found.home}\n")
    rows = [
        [d["name"], d["state"], str(d["pid"] or "-"), str(d["restarts"]), f"{d['memory_mib'] or 0:.1f} MiB"]
        for d in found.daemons
    ]
    typer.echo(render(["DAEMON", "STATE", "PID", "RESTARTS", "MEMORY"], rows))
    if found.nodes:
        ready = sum(found.nodes.values())
        typer.echo(f"\n{ready} of {len(found.nodes)} nodes Ready")
    for problem in found.problems:
        typer.echo(f"problem: {problem}")


@cli.command("kubeconfig", cls=Verb)
def kubeconfig_command(state: State = "") -> None:
    """Print the path of the administrator's kubeconfig."""
    try:
        typer.echo(Cluster.existing(_home(state)).admin_kubeconfig)
    except ClusterError as error:
        raise Fault(str(error)) from error
