"""The way to the first server of the cluster that is joined."""

from __future__ import annotations

import socket
from ipaddress import ip_address

from cloudctl.machine.preflight.checks import network
from cloudctl.machine.preflight.finding import Request, Result, error, ok, warning
from cloudctl.machine.preflight.probe import Probe

_PEER_PORT = 2380


def _reason(failure: OSError, host: str, port: int) -> str:
    """A failed connection in words that tell a firewall from a daemon that is not there."""
    where = f"{host}:{port}"
    if isinstance(failure, socket.gaierror):
        return f"{host} is not a name that resolves"
    if isinstance(failure, TimeoutError):
        return f"{where} does not answer: a firewall drops the packets, or nobody has that address"
    if isinstance(failure, ConnectionRefusedError):
        return f"{where} refuses connections: no server listens there"
    return f"{where} cannot be reached ({failure.strerror or failure})"


async def reachable(probe: Probe, request: Request) -> list[Result]:
    """A TCP connection, then HTTPS over one. Packets that are too large for some router on the way stop only the latter."""
    if request.endpoint is None:
        return []
    host, port = request.endpoint
    try:
        await probe.connect(host, port)
    except OSError as failure:
        return [error(_reason(failure, host, port), f"see that `nc -vz {host} {port}` succeeds")]
    try:
        await probe.answer(host, port)
    except TimeoutError:
        remedy = (
            "compare the MTUs on the way with `ip link`, and look at the server's `journalctl -u cloudlet-apiserver`"
        )
        return [error(f"{host}:{port} takes connections but does not answer HTTPS", remedy)]
    except OSError as failure:
        return [error(f"what listens on {host}:{port} is no API server ({failure})", "give the API server's HOST:PORT")]
    return [ok(f"{host}:{port} answers")]


async def route(probe: Probe, request: Request) -> list[Result]:
    """Whether the server sees us under the address that we are going to announce."""
    if request.endpoint is None:
        return []
    try:
        local = await probe.connect(*request.endpoint)
    except OSError:
        return []
    announced = await network.node_address(probe, request)
    if not announced or local == announced or ":" in local or ip_address(local).is_loopback:
        return [ok(f"the server is reached from {local}")]
    what = f"the server is reached from {local}, but the node would announce {announced}"
    return [warning(what, f"`--address {local}`")]


async def etcd_peers(probe: Probe, request: Request) -> list[Result]:
    """Whether a further member of etcd finds the first one. Behind a load balancer's address there may be none."""
    if request.endpoint is None:
        return []
    host, _ = request.endpoint
    try:
        await probe.connect(host, _PEER_PORT)
    except OSError as failure:
        return [warning(_reason(failure, host, _PEER_PORT))]
    return [ok(f"{host}:{_PEER_PORT} takes connections")]
