"""The command line of every daemon of a local cluster. Pure: flags in, specs out."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cloudctl.cluster.state import (
    DNS_ADDRESS,
    DNS_DOMAIN,
    LOAD_BALANCER_POOL,
    POD_NETWORK,
    SERVICE_NETWORK,
    Cluster,
)
from cloudctl.supervisor.spec import Spec

_MODULES = {
    "apiserver": "apiserver",
    "controllers": "controllers",
    "cloud": "controllers.cloud",
    "scheduler": "scheduler",
    "proxy": "proxy",
    "kubelet": "kubelet",
}
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
    keys = cluster.pki / "etcd"
    client = f"https://127.0.0.1:{cluster.decisions.etcd_port}"
    peer = f"https://127.0.0.1:{cluster.decisions.etcd_peer_port}"
    pair = {"cert-file": keys / "server.crt", "key-file": keys / "server.key", "trusted-ca-file": keys / "ca.crt"}
    flags = [f"--{name}={path}" for name, path in pair.items()] + [f"--peer-{n}={path}" for n, path in pair.items()]
    return Spec(
        name="etcd",
        argv=(
            "etcd",
            "--name=member-1",
            f"--data-dir={cluster.home / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=member-1={peer}",
            "--client-cert-auth=true",
            "--peer-client-cert-auth=true",
            "--auto-compaction-mode=periodic",
            "--auto-compaction-retention=5m",
            "--quota-backend-bytes=4294967296",
            "--max-request-bytes=4194304",
            "--snapshot-count=10000",
            "--logger=zap",
            "--log-level=warn",
            *flags,
        ),
        log=str(cluster.logs / "etcd.log"),
        order=_ETCD_ORDER,
        # etcd asks for the watchdog only in later releases, so silence must not be read as a hang; it never asks here.
        env={"ETCD_UNSUPPORTED_ARCH": os.uname().machine.replace("aarch64", "arm64")} if _is_arm() else {},
    )


def _is_arm() -> bool:
    return os.uname().machine == "aarch64"


def apiserver(cluster: Cluster) -> Spec:
    """The API server: on all addresses for a real cluster, on loopback for a simulated one."""
    keys = cluster.pki
    return _daemon(
        cluster,
        "apiserver",
        "apiserver",
        _SERVER_ORDER,
        f"--etcd-servers=https://127.0.0.1:{cluster.decisions.etcd_port}",
        f"--etcd-cafile={keys / 'etcd' / 'ca.crt'}",
        f"--etcd-certfile={keys / 'etcd' / 'apiserver-client.crt'}",
        f"--etcd-keyfile={keys / 'etcd' / 'apiserver-client.key'}",
        f"--bind-address={'127.0.0.1' if cluster.fake else '0.0.0.0'}",  # noqa: S104 - nodes and pods reach it too
        f"--advertise-address={cluster.api_address}",
        f"--secure-port={cluster.decisions.port}",
        f"--tls-cert-file={keys / 'apiserver.crt'}",
        f"--tls-private-key-file={keys / 'apiserver.key'}",
        f"--client-ca-file={keys / 'ca.crt'}",
        f"--service-account-key-file={keys / 'sa.pub'}",
        f"--service-account-signing-key-file={keys / 'sa.key'}",
        f"--service-account-issuer=https://kubernetes.default.svc.{DNS_DOMAIN}",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        "--service-node-port-range=30000-32767",
        f"--token-auth-file={keys / 'tokens.csv'}",
        f"--kubelet-client-certificate={keys / 'apiserver-kubelet-client.crt'}",
        f"--kubelet-client-key={keys / 'apiserver-kubelet-client.key'}",
        f"--kubelet-certificate-authority={keys / 'ca.crt'}",
        f"--audit-log-path={cluster.logs / 'audit.log'}",
        "--workers=1",
    )


def controllers(cluster: Cluster) -> Spec:
    """The controller manager."""
    return _daemon(
        cluster,
        "controllers",
        "controllers",
        _CONTROL_ORDER,
        f"--kubeconfig={cluster.kubeconfig('controllers')}",
        f"--cluster-cidr={POD_NETWORK}",
        "--node-cidr-mask-size=24",
        f"--root-ca-file={cluster.pki / 'ca.crt'}",
        f"--service-account-private-key-file={cluster.pki / 'sa.key'}",
        f"--cluster-signing-cert-file={cluster.pki / 'ca.crt'}",
        f"--cluster-signing-key-file={cluster.pki / 'ca.key'}",
        "--no-leader-elect",
        *_grace(),
    )


def _grace() -> list[str]:
    """Seconds without a heartbeat after which a node counts as lost, if the environment asks for other than 40."""
    seconds = os.environ.get("CLOUDLET_NODE_MONITOR_GRACE_PERIOD")
    return [f"--node-monitor-grace-period={seconds}"] if seconds else []


def scheduler(cluster: Cluster) -> Spec:
    """The scheduler."""
    kubeconfig = cluster.kubeconfig("scheduler")
    return _daemon(cluster, "scheduler", "scheduler", _CONTROL_ORDER, f"--kubeconfig={kubeconfig}", "--no-leader-elect")


def cloud(cluster: Cluster) -> Spec:
    """The cloud controller manager with the provider that makes load balancers and disks of this machine."""
    return _daemon(cluster, "cloud", "cloud", _CONTROL_ORDER, *cloud_flags(cluster), "--no-leader-elect")


def cloud_flags(cluster: Cluster) -> tuple[str, ...]:
    """The flags that say whose load balancers and disks these are, for running and for cleaning up."""
    return (
        f"--kubeconfig={cluster.kubeconfig('cloud')}",
        "--provider=local",
        f"--load-balancer-pool={LOAD_BALANCER_POOL}",
        f"--state-dir={cluster.home / 'cloud'}",
    )


def proxy(cluster: Cluster) -> Spec:
    """One proxy for all nodes of this machine."""
    return _daemon(cluster, "proxy", "proxy", _NODE_ORDER, *proxy_flags(cluster))


def proxy_flags(cluster: Cluster) -> tuple[str, ...]:
    """The proxy's flags, for running and for cleaning up."""
    return (
        f"--kubeconfig={cluster.kubeconfig('proxy')}",
        f"--hostname-override={cluster.node_names[0]}",
        f"--cluster-cidr={POD_NETWORK}",
        f"--cluster-dns={DNS_ADDRESS}",
        f"--cluster-domain={DNS_DOMAIN}",
    )


def kubelet(cluster: Cluster, node: str) -> Spec:
    """One node's agent."""
    name = f"kubelet-{node}"
    root = cluster.home / name
    return _daemon(
        cluster,
        name,
        "kubelet",
        _NODE_ORDER,
        f"--kubeconfig={cluster.kubeconfig(name)}",
        f"--hostname-override={node}",
        f"--root-dir={root}",
        f"--pod-manifest-path={root / 'manifests'}",
        f"--port={cluster.kubelet_port(node)}",
        f"--node-ip={cluster.node_address(node)}",
        f"--cluster-dns={DNS_ADDRESS}",
        f"--cluster-domain={DNS_DOMAIN}",
        f"--tls-cert-file={cluster.pki / (name + '.crt')}",
        f"--tls-private-key-file={cluster.pki / (name + '.key')}",
        f"--client-ca-file={cluster.pki / 'ca.crt'}",
    )


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
