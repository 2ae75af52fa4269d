"""`create cluster`, `delete cluster`, `get clusters`, `load`: clusters of machines that are containers of this host."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from client.command import Commands
from cloudctl.app import Verb, family
from cloudctl.cluster.state import ClusterError
from cloudctl.cluster.steps import Steps
from cloudctl.faults import Fault
from cloudctl.lab import create, kubeconfigs
from cloudctl.lab.nodes import Lab
from cloudctl.table import render

cli = family()
T = TypeVar("T")

Name = Annotated[str, typer.Option("--name", help="Which cluster")]


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run it; what goes wrong becomes one message for people."""
    try:
        return asyncio.run(work)
    except ClusterError as error:
        raise Fault(str(error)) from error


def create_cluster(
    name: Name = "cloudlet",
    control_planes: Annotated[int, typer.Option("--control-planes", help="Machines with etcd and API server")] = 1,
    workers: Annotated[int, typer.Option("--nodes", help="Machines that run pods only")] = 1,
    config: Annotated[str, typer.Option("--config", help="A file of settings, as for `init --config`")] = "",
    virtual_ip: Annotated[
        bool, typer.Option("--virtual-ip/--no-virtual-ip", help="Give the API an address that follows control planes")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep/--clean", help="Leave the machines there when it fails")] = False,
) -> None:
    """Create a cluster of machines that are containers with systemd and Docker inside."""
    steps = Steps()
    try:
        settings = Path(config).read_text() if config else ""
    except OSError as error:
        raise Fault(f"{config}: {error.strerror}") from error
    path = run(create.create(create.Wishes(name, control_planes, workers, settings, virtual_ip, keep), steps))
    steps.say(f"ready in {steps.seconds:.1f} s: context {kubeconfigs.context_name(name)} in {path}")


def delete_cluster(name: str, *, everything: bool) -> None:
    """Remove a cluster's machines, disks and network, and its entry in the kubeconfig."""
    if name and everything:
        raise Fault("name a cluster or say --all, not both")
    names = sorted(run(Lab(Commands()).clusters())) if everything else [name or "cloudlet"]
    for one in names:
        run(create.delete(one, Steps()))


def get_clusters() -> None:
    """List the clusters of this host."""
    found = run(Lab(Commands()).clusters())
    if not found:
        typer.echo("No clusters found: `cloudctl create cluster` makes one.", err=True)
        return
    rows = [[name, node.name, node.role, node.address] for name, machines in sorted(found.items()) for node in machines]
    typer.echo(render(["CLUSTER", "MACHINE", "ROLE", "ADDRESS"], rows))


@cli.command("load", cls=Verb)
def load_command(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Images of this host's Docker")],
    name: Name = "cloudlet",
) -> None:
    """Bring images of this host's Docker into every machine of a cluster, without a registry."""
    run(create.load(name, images, Steps()))
