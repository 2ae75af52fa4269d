"""`certs`: how long this machine's certificates are good, and their renewal."""

from __future__ import annotations

import datetime
import json
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from api.columns.cells import duration
from client.command import Commands
from client.rest import ApiClient
from cloudctl.app import Verb, family
from cloudctl.cluster.state import ClusterError
from cloudctl.cluster.steps import Steps
from cloudctl.commands.machine import run
from cloudctl.faults import Fault
from cloudctl.machine import certificates
from cloudctl.machine.certs import inventory, renewal
from cloudctl.machine.certs.inventory import Entry, State
from cloudctl.machine.certs.revival import rejoin, revive
from cloudctl.machine.certs.rotation import Rotation
from cloudctl.machine.controlplane import ControlPlane
from cloudctl.machine.layout import Machine
from cloudctl.machine.systemd import Systemd
from cloudctl.machine.tokens import Token
from cloudctl.table import render

cli = family("Show and renew this machine's certificates; alone, it shows them.")
Output = Annotated[str, typer.Option("--output", "-o", help="json, or nothing for people")]


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@cli.callback(invoke_without_command=True, no_args_is_help=False)
def certs(ctx: typer.Context, output: Output = "") -> None:
    """Show and renew this machine's certificates; alone, it shows them."""
    if not ctx.invoked_subcommand:
        show(output)


@cli.command("show", cls=Verb)
def show(output: Output = "") -> None:
    """Show every certificate of this machine; the exit code is 1 when one has expired or is missing."""
    entries, now = run(_entries()), _now()
    if output == "json":
        typer.echo(json.dumps([entry.to_json(now) for entry in entries], indent=2))
    else:
        typer.echo(
            render(["NAME", "FOR", "ISSUER", "EXPIRES", "LEFT", "RENEWAL", "STATE"], [_row(e, now) for e in entries])
        )
    if any(entry.state(now) in (State.EXPIRED, State.MISSING) for entry in entries):
        raise typer.Exit(1)


async def _entries() -> list[Entry]:
    return inventory.entries(Machine.here())


def _row(entry: Entry, now: datetime.datetime) -> list[str]:
    if entry.cert is None or entry.renewal is None:
        return [entry.name, entry.purpose, "-", "-", "-", "-", entry.state(now)]
    end = entry.cert.not_valid_after_utc
    left = (end - now).total_seconds()
    issuer = entry.cert.issuer.rfc4514_string().removeprefix("CN=")
    return [
        entry.name, entry.purpose, issuer, f"{end:%F %T}", duration(left) if left > 0 else "-",
        f"{entry.renewal:%F %T}", entry.state(now),
    ]  # fmt: skip


@cli.command("renew", cls=Verb)
def renew_command(
    everything: Annotated[bool, typer.Option("--all/--due", help="Everything, not only what is due")] = False,
) -> None:
    """Renew the certificates of this control plane that are due. Nothing is restarted. A timer does this by itself."""
    made = run(_renew(everything=everything))
    typer.echo(f"renewed: {', '.join(made)}" if made else "nothing is due")


async def _renew(*, everything: bool) -> list[str]:
    machine = Machine.here()
    renewal.refuse_worker(machine)
    return renewal.renew(machine, _now(), everything=everything)


@cli.command("revive", cls=Verb)
def revive_command(
    server: Annotated[str, typer.Argument(metavar="HOST:PORT", help="On a worker: an API server")] = "",
    token: Annotated[str, typer.Option("--token", help="On a worker: as printed on the control plane")] = "",
    ca_cert_hash: Annotated[str, typer.Option("--ca-cert-hash", help="On a worker: which CA to believe")] = "",
) -> None:
    """Bring a machine back whose certificates have expired; first on every control plane, then on workers. Pods go on."""
    given, steps, machine = (server, token, ca_cert_hash), Steps(), run(_here())
    if machine.is_control_plane:
        if any(given):
            raise Fault("this is a control plane, which needs no server, --token or --ca-cert-hash")
        made = run(revive(machine, steps, _now()))
        typer.echo(f"renewed: {', '.join(made.made)}" if made.made else "nothing was due")
        typer.echo(
            f"\nA worker whose certificate has expired, too, comes back, within a day, with\n\n  {made.command()}\n"
        )
        return
    if not all(given):
        raise Fault(
            "on a worker, HOST:PORT, --token and --ca-cert-hash are needed: `cloudctl certs revive` on a control "
            "plane prints the whole line"
        )
    url = f"https://{server.removeprefix('https://').rstrip('/')}"
    back = run(_rejoin(machine, url, token, ca_cert_hash, steps))
    steps.say(f"node {machine.name} is back" if back else "this machine's certificate is good: nothing to do")


async def _here() -> Machine:
    return Machine.here()


async def _rejoin(machine: Machine, server: str, token: str, pin: str, steps: Steps) -> bool:
    return await rejoin(machine, server, Token.parse(token), pin, steps)


rotate_cli = family("Replace the certificate authority: start, switch and finish, each on every control plane.")
cli.add_typer(rotate_cli, name="rotate-ca")

Which = Annotated[str, typer.Option("--ca", help="kubernetes or etcd: which authority")]
Force = Annotated[bool, typer.Option("--force/--no-force", help="Go on although machines are behind")]
_AUTHORITIES = {"kubernetes": certificates.CA, "etcd": certificates.ETCD_CA}


@rotate_cli.command("start", cls=Verb)
def rotate_start(ca: Which = "kubernetes") -> None:
    """Make the authority that is to follow, and have every machine trust it beside the present one."""
    run(_rotate(ca, lambda rotation: rotation.start()))


@rotate_cli.command("switch", cls=Verb)
def rotate_switch(ca: Which = "kubernetes", force: Force = False) -> None:
    """Have the new authority sign, and everything signed anew."""
    run(_rotate(ca, lambda rotation: rotation.switch(_now()), force=force))


@rotate_cli.command("finish", cls=Verb)
def rotate_finish(ca: Which = "kubernetes", force: Force = False) -> None:
    """Trust the old authority no longer."""
    run(_rotate(ca, lambda rotation: rotation.finish(_now()), force=force))


async def _rotate(ca: str, step: Callable[[Rotation], Awaitable[str]], *, force: bool = False) -> None:
    if ca not in _AUTHORITIES:
        raise ClusterError(f"--ca {ca}: must be one of {', '.join(_AUTHORITIES)}")
    machine, commands = Machine.here(), Commands()
    renewal.refuse_worker(machine)
    plane = ControlPlane(machine, Systemd(commands), commands)
    async with ApiClient.from_kubeconfig(machine.admin_kubeconfig, "cloudctl") as client:
        left = await step(Rotation(machine, _AUTHORITIES[ca], client, plane, force))
    typer.echo(f"done; next: {left}")
