"""The command line of every daemon of a local cluster. Pure: flags in, specs out."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cloudctl.cluster import flags
from cloudctl.cluster.state import LOAD_BALANCER_POOL, Cluster, ClusterError
from cloudctl.supervisor.spec import Spec

_MODULES = {
    "apiserver": "apiserver",
    "controllers": "controllers",
    "cloud": "controllers.cloud",
    "scheduler": "scheduler",
    "proxy": "proxy",
    "kubelet": "kubelet",
}
_NETWORKS = flags.Networks()
_GRACE_VARIABLE = "CLOUDLET_NODE_MONITOR_GRACE_PERIOD"
_ETCD_ORDER, _SERVER_ORDER, _CONTROL_ORDER, _NODE_ORDER = 10, 20, 30, 40


def specs(cluster: Cluster) -> list[Spec]:
    """Everything the cluster runs, in the order of starting."""
    found = [etcd(cluster), apiserver(cluster), controllers(cluster), scheduler(cluster)]
    if cluster.fake:
        return [*found, fake_kubelet(cluster)]
    return [*found, cloud(cluster), *(kubelet(cluster, name) for name in cluster.node_names), proxy(cluster)]


def _environment() -> dict[str, str]:
    packages = str(Path(__file__).resolve().parents[2])
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, (packages, os.environ.get("PYTHONPATH", "")))),
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
        # Every arena and every BLAS thread costs memory, and these processes have one busy thread each.
        "MALLOC_ARENA_MAX": "2",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _daemon(cluster: Cluster, name: str, kind: str, order: int, *flags: str, stop_seconds: float = 10.0) -> Spec:
    return Spec(
        name=name,
        argv=(sys.executable, "-m", _MODULES[kind], *flags),
        log=str(cluster.logs / f"{name}.log"),
        env=_environment(),
        order=order,
        stop_seconds=stop_seconds,
    )


def etcd(cluster: Cluster) -> Spec:
    """One member, on loopback, TLS both ways."""
    peer = f"https://127.0.0.1:{cluster.decisions.etcd_peer_port}"
    client = f"https://127.0.0.1:{cluster.decisions.etcd_port}"
    member = flags.Member("member-1", (client,), peer, {"member-1": peer})
    return Spec(
        name="etcd",
        argv=("etcd", *flags.etcd(cluster.pki / "etcd", cluster.home / "etcd", member)),
        log=str(cluster.logs / "etcd.log"),
        order=_ETCD_ORDER,
        # etcd asks for the watchdog only in later releases, so silence must not be read as a hang; it never asks here.
        env={"ETCD_UNSUPPORTED_ARCH": os.uname().machine.replace("aarch64", "arm64")} if _is_arm() else {},
    )


def _is_arm() -> bool:
    return os.uname().machine == "aarch64"


def apiserver(cluster: Cluster) -> Spec:
    """The API server: on all addresses for a real cluster, on loopback for a simulated one."""
    chosen = flags.apiserver(
        cluster.pki,
        _NETWORKS,
        etcd_servers=f"https://127.0.0.1:{cluster.decisions.etcd_port}",
        bind="127.0.0.1" if cluster.fake else "0.0.0.0",  # noqa: S104 - nodes and pods reach it too
        advertise=cluster.api_address,
        port=cluster.decisions.port,
        audit_log=cluster.logs / "audit.log",
    )
    tokens = f"--token-auth-file={cluster.pki / 'tokens.csv'}"
    return _daemon(cluster, "apiserver", "apiserver", _SERVER_ORDER, *chosen, tokens)


def controllers(cluster: Cluster) -> Spec:
    """The controller manager."""
    chosen = flags.controllers(cluster.pki, _NETWORKS, cluster.kubeconfig("controllers"))
    grace = _grace()
    patience = (f"--node-monitor-grace-period={grace:g}",) if grace else ()
    return _daemon(cluster, "controllers", "controllers", _CONTROL_ORDER, *chosen, "--no-leader-elect", *patience)


def _grace() -> float | None:
    """Seconds without a heartbeat after which a node counts as lost, if the environment asks for other than 40."""
    seconds = os.environ.get(_GRACE_VARIABLE)
    try:
        return float(seconds) if seconds else None
    except ValueError as error:
        raise ClusterError(f"{_GRACE_VARIABLE} must be a number of seconds, not {seconds!r}") from error


def scheduler(cluster: Cluster) -> Spec:
    """The scheduler."""
    kubeconfig = cluster.kubeconfig("scheduler")
    return _daemon(cluster, "scheduler", "scheduler", _CONTROL_ORDER, f"--kubeconfig={kubeconfig}", "--no-leader-elect")


def cloud(cluster: Cluster) -> Spec:
    """The cloud controller manager with the provider that makes load balancers of this machine."""
    chosen = flags.cloud(cluster.kubeconfig("cloud"), cluster.home / "cloud", LOAD_BALANCER_POOL)
    return _daemon(cluster, "cloud", "cloud", _CONTROL_ORDER, *chosen, "--no-leader-elect")


def proxy(cluster: Cluster) -> Spec:
    """One proxy for all nodes of this machine."""
    return _daemon(cluster, "proxy", "proxy", _NODE_ORDER, *proxy_flags(cluster))


def proxy_flags(cluster: Cluster) -> tuple[str, ...]:
    """The proxy's flags, for running and for cleaning up."""
    return flags.proxy(cluster.kubeconfig("proxy"), _NETWORKS, cluster.node_names[0])


def kubelet(cluster: Cluster, node: str) -> Spec:
    """One node's agent."""
    name = f"kubelet-{node}"
    chosen = flags.kubelet(
        cluster.kubeconfig(name),
        _NETWORKS,
        node,
        root=cluster.home / name,
        address=cluster.node_address(node),
        port=cluster.kubelet_port(node),
        ca=cluster.pki / "ca.crt",
        grace=_grace(),
    )
    own = (
        f"--tls-cert-file={cluster.pki / (name + '.crt')}",
        f"--tls-private-key-file={cluster.pki / (name + '.key')}",
        # One folder for all nodes of this machine, so that a pod may move between them and find its data.
        f"--disk-dir={cluster.home / 'disks'}",
    )
    return _daemon(cluster, name, "kubelet", _NODE_ORDER, *chosen, *own)


def fake_kubelet(cluster: Cluster) -> Spec:
    """One process that plays all simulated nodes."""
    return _daemon(
        cluster,
        "kubelet-fake",
        "kubelet",
        _NODE_ORDER,
        f"--kubeconfig={cluster.kubeconfig('fake-nodes')}",
        f"--fake={cluster.decisions.fake_nodes}",
        f"--root-dir={cluster.home / 'kubelet-fake'}",
    )
