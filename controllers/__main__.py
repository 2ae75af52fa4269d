"""`cloudlet-controllers`: the controller manager's command line."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from client import daemon
from client.timing import HELP, Timing, seconds
from controllers import manager
from controllers.settings import Settings
from controllers.table import TABLE, select

_DEFAULTS = Settings()
_File = Annotated[Path | None, typer.Option(exists=True, dir_okay=False)]
_Lease = Annotated[float, typer.Option(parser=seconds, help=HELP["leader-elect-lease-duration"])]
_Renew = Annotated[float, typer.Option(parser=seconds, help=HELP["leader-elect-renew-deadline"])]
_Retry = Annotated[float, typer.Option(parser=seconds, help=HELP["leader-elect-retry-period"])]


def _names(text: str) -> str:
    try:
        select(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return text


def controllers(
    kubeconfig: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="How to reach the API server.")],
    cluster_cidr: str = _DEFAULTS.cluster_cidr,
    node_cidr_mask_size: int = _DEFAULTS.node_cidr_mask_size,
    root_ca_file: _File = None,
    service_account_private_key_file: _File = None,
    cluster_signing_cert_file: _File = None,
    cluster_signing_key_file: _File = None,
    cluster_signing_duration: float = _DEFAULTS.cluster_signing_duration,
    node_monitor_period: float = _DEFAULTS.node_monitor_period,
    node_monitor_grace_period: float = _DEFAULTS.node_monitor_grace_period,
    terminated_pod_gc_threshold: int = _DEFAULTS.terminated_pod_gc_threshold,
    names: Annotated[
        str,
        typer.Option("--controllers", callback=_names, help=f"'*' or some of: {', '.join(TABLE)}; -NAME leaves out."),
    ] = "*",
    leader_elect: bool = True,
    leader_elect_lease_duration: _Lease = Timing.lease_duration,
    leader_elect_renew_deadline: _Renew = Timing.renew_deadline,
    leader_elect_retry_period: _Retry = Timing.retry_period,
    health_port: int = 0,
    log_level: str = "info",
) -> None:
    """Run Kubernetes' controllers against an API server."""
    given = locals()
    settings = Settings(**{field.name: given[field.name] for field in fields(Settings) if field.name in given})
    try:
        timing = Timing(leader_elect_lease_duration, leader_elect_renew_deadline, leader_elect_retry_period)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error

    async def run(process: daemon.Daemon) -> None:
        await manager.serve(process, str(kubeconfig), settings, select(names), timing if leader_elect else None)

    daemon.run("cloudlet-controllers", run, health_port=health_port, log_level=log_level)


def main() -> None:
    """Entry point of the console script."""
    typer.run(controllers)


if __name__ == "__main__":
    main()
