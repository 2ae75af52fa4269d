"""`certs`: how long this machine's certificates are good, and their renewal."""

from __future__ import annotations

import datetime
import json
from typing import Annotated

import typer

from api.columns.cells import duration
from cloudctl.app import Verb, family
from cloudctl.commands.machine import run
from cloudctl.machine.certs import inventory, renewal
from cloudctl.machine.certs.inventory import Entry, State
from cloudctl.machine.layout import Machine
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
