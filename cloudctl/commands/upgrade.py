"""`upgrade plan|apply|node|restart`: this machine's Cloudlet, changed to another release while the cluster goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from client.rest import ApiClient
from cloudctl.app import Verb, family
from cloudctl.cluster.state import ClusterError
from cloudctl.cluster.steps import Steps
from cloudctl.commands.machine import run
from cloudctl.machine.layout import Machine
from cloudctl.machine.upgrade import apply
from cloudctl.machine.upgrade.release import Member, Release, Version, order, refusal
from cloudctl.table import render

cli = family("Change Cloudlet to another release, one minor version at a time.")

Wheel = Annotated[Path, typer.Argument(metavar="WHEEL", help="The release, as a file cloudlet-VERSION-….whl")]


@cli.command("plan", cls=Verb)
def plan_command(wheel: Wheel) -> None:
    """Show every node's release, whether this one may follow, and what to type where. Nothing is changed."""
    target, members = run(_plan(wheel))
    rows = [[m.name, "control plane" if m.control_plane else "worker", str(m.version), str(target)] for m in members]
    typer.echo(render(["NODE", "ROLE", "NOW", "THEN"], rows))
    todo = order(members, target)
    if not todo:
        typer.echo(f"\nevery node is {target} or newer: nothing to do")
        return
    typer.echo("\ntype, one machine after the other:")
    for member in todo:
        verb = "apply" if member.control_plane else "node"
        typer.echo(f"  on {member.name}:  cloudctl upgrade {verb} {wheel.name}")
    if why := refusal(members, todo[0].name, target):
        typer.echo(f"problem: {why}")
        raise typer.Exit(1)


async def _plan(wheel: Path) -> tuple[Version, list[Member]]:
    release, machine = Release.read(wheel), Machine.here()
    async with ApiClient.from_kubeconfig(apply.kubeconfig(machine), "cloudctl") as client:
        return release.version, await apply.members(client)


async def _upgrade(wheel: Path, *, control_plane: bool) -> None:
    steps = Steps()
    machine = Machine.here()
    if machine.is_control_plane != control_plane:
        word = "apply" if machine.is_control_plane else "node"
        kind = "control plane" if machine.is_control_plane else "worker"
        raise ClusterError(f"this machine is a {kind}: `cloudctl upgrade {word} {wheel}`")
    release = Release.read(wheel)
    if await apply.upgrade(machine, release, steps):
        steps.say(f"{machine.name} is {release.version} after {steps.seconds:.1f} s")
    else:
        steps.say(f"{machine.name} is {release.version} already: nothing to do")


@cli.command("apply", cls=Verb)
def apply_command(wheel: Wheel) -> None:
    """Upgrade this control plane: API server, then controllers, scheduler and cloud, then kubelet and proxy."""
    run(_upgrade(wheel, control_plane=True))


@cli.command("node", cls=Verb)
def node_command(wheel: Wheel) -> None:
    """Upgrade this worker: kubelet and proxy; containers go on."""
    run(_upgrade(wheel, control_plane=False))


@cli.command("restart", cls=Verb)
def restart_command() -> None:
    """Start this machine's daemons anew with the programs and flags of the release that this `cloudctl` is of."""
    run(_restart())


async def _restart() -> None:
    await apply.restart(Machine.here(), Steps())
