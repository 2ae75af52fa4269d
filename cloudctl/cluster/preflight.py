"""What the machine must have before a cluster can start; each complaint says what is wrong and what to do."""

from __future__ import annotations

import os
import socket

from cloudctl.cluster.state import Cluster, ClusterError, port_is_free
from cloudctl.machine.preflight.checks.engine import complaint
from cloudctl.machine.preflight.checks.programs import LOCAL, missing_packages
from cloudctl.machine.preflight.checks.system import running_elsewhere
from cloudctl.machine.preflight.probe import DOCKER_SOCKET
from cloudctl.machine.preflight.probe import which as _which
from cloudctl.supervisor import pidfile


def check(cluster: Cluster, *, running: bool) -> None:
    """Raise ClusterError with every problem at once. `running` says that this cluster's supervisor is there already."""
    problems = [*_etcd()]
    if not running:
        problems += _ports(cluster)
    if not cluster.fake:
        problems += _root() or [*_programs(), *_docker(), *_other(cluster)]
    if problems:
        raise ClusterError("\n".join(problems))


def _etcd() -> list[str]:
    if _which("etcd"):
        return []
    return ["etcd is not installed: `apt-get install etcd-server` (or `deploy/setup.sh`)"]


def _ports(cluster: Cluster) -> list[str]:
    ports = {"API server": cluster.decisions.port, "etcd": cluster.decisions.etcd_port}
    if _alive(cluster, "apiserver"):
        ports.pop("API server")
    if _alive(cluster, "etcd"):
        ports.pop("etcd")
    return [
        f"port {port} of the {what} is taken by another program: stop it, or choose another with `--port` and `--state`"
        for what, port in ports.items()
        if not port_is_free(port)
    ]


def _alive(cluster: Cluster, name: str) -> bool:
    return pidfile.read(cluster.run / f"{name}.pid") is not None


def _root() -> list[str]:
    if os.geteuid() == 0:
        return []
    return ["real nodes need root (containers, addresses, mounts): use sudo, or simulate nodes with `--fake-nodes N`"]


def _programs() -> list[str]:
    missing = missing_packages(LOCAL, _which)
    return [f"programs are missing: `apt-get install {' '.join(missing)}` (or `deploy/setup.sh`)"] if missing else []


def _docker() -> list[str]:
    remedy = "start it with `systemctl start docker`, or `deploy/setup.sh` where systemd does not run"
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(5)
        try:
            probe.connect(str(DOCKER_SOCKET))
        except OSError as error:
            return [f"{complaint(error)}: {remedy}"]
    return []


def _other(cluster: Cluster) -> list[str]:
    other = running_elsewhere(cluster)
    if not other:
        return []
    return [f"another cluster with real nodes runs on this machine: `cloudctl down --state {other}` first"]
