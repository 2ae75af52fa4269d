"""The flags of `cloudlet-cloud`. Names are the cloud controller manager's where it has one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from client import timing
from controllers.cloud.local.pool import Pool
from controllers.cloud.providers import PROVIDERS


def _pool(text: str) -> str:
    try:
        Pool(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{error}; write a network (10.98.1.0/24) or a range (10.98.1.1-10.98.1.9)"
        ) from error
    return text


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The flags as attributes; exits with a usage message when they are wrong."""
    parser = argparse.ArgumentParser(
        "cloudlet-cloud", description="Load balancers, disks and node facts of the provider."
    )
    parser.add_argument("--kubeconfig", help="how to reach the API server")
    parser.add_argument("--provider", default="local", choices=sorted(PROVIDERS))
    parser.add_argument("--state-dir", type=Path, required=True, metavar="DIR", help="where load balancers are kept")
    parser.add_argument(
        "--load-balancer-pool", type=_pool, default="10.98.1.0/24", metavar="CIDR|A-B", help="addresses for Services"
    )
    parser.add_argument(
        "--load-balancer-interface", default="", metavar="DEVICE",
        help="the LAN that carries them, from one leader to the next; else a bridge that only this machine sees",
    )  # fmt: skip
    parser.add_argument("--leader-elect", action=argparse.BooleanOptionalAction, default=True)
    timing.add_flags(parser)
    parser.add_argument("--health-port", type=int, default=0, metavar="PORT", help="0 for any free one")
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    parser.add_argument("--cleanup", action="store_true", help="remove every load balancer of this machine, then end")
    options = parser.parse_args(argv)
    if not options.cleanup and not options.kubeconfig:
        parser.error("--kubeconfig is required")
    try:
        timing.of(options)
    except ValueError as error:
        parser.error(str(error))
    return options
