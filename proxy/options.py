"""The proxy's flags. Names are kube-proxy's and the kubelet's where they have one."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Sequence


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The flags as attributes; exits with a usage message when they are wrong."""
    parser = argparse.ArgumentParser(
        "cloudlet-proxy", description="Services, cluster DNS and pod routes of one machine."
    )
    parser.add_argument("--kubeconfig", help="how to reach the API server")
    parser.add_argument("--hostname-override", default=socket.gethostname(), metavar="NODE", help="name of our node")
    parser.add_argument("--cluster-cidr", default="10.244.0.0/16", metavar="CIDR", help="range of all pods")
    parser.add_argument("--cluster-dns", default="10.96.0.10", metavar="IP", help="address of DNS; empty for no DNS")
    parser.add_argument("--cluster-domain", default="cluster.local", metavar="NAME")
    parser.add_argument("--health-port", type=int, default=0, metavar="PORT", help="0 for any free one")
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    parser.add_argument(
        "--cleanup", action="store_true", help="remove every rule, address and route of the proxy, then end"
    )
    options = parser.parse_args(argv)
    if not options.cleanup and not options.kubeconfig:
        parser.error("--kubeconfig is required")
    return options
