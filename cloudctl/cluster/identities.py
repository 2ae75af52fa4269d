"""Who is who in a cluster: every certificate and kubeconfig of the control plane and of the nodes."""

from __future__ import annotations

import base64
import datetime
import secrets
import socket
from pathlib import Path

import yaml
from cryptography import x509

from client import kubeconfig
from cloudctl.cluster.pki import Authority, Leaf, ensure_service_account_key, peer_leaf, server_leaf
from cloudctl.cluster.state import DNS_DOMAIN, SERVICE_API_ADDRESS, Cluster

COMPONENTS = {
    "admin": Leaf("kubernetes-admin", ("system:masters",)),
    "controllers": Leaf("system:kube-controller-manager"),
    "cloud": Leaf("system:cloud-controller-manager"),
    "scheduler": Leaf("system:kube-scheduler"),
    "proxy": Leaf("system:kube-proxy"),
}
# Simulated nodes share one process, so one identity must be able to act for all of them.
FAKE_NODES = Leaf("cloudlet:fake-nodes", ("system:masters",))


def ensure(cluster: Cluster) -> list[str]:
    """Have everything; returns what was made anew (daemons that hold it must start again)."""
    made: list[str] = []
    folder = cluster.pki
    authority = Authority.have(folder, "ca", "kubernetes")
    etcd = Authority.have(folder / "etcd", "ca", "etcd-ca")
    front = Authority.have(folder, "front-proxy-ca", "front-proxy-ca")
    ensure_service_account_key(folder)
    local = ("127.0.0.1", "localhost", socket.gethostname())
    wanted = [
        (
            authority,
            "apiserver",
            server_leaf("kube-apiserver", server_names((*local, cluster.api_address), DNS_DOMAIN, SERVICE_API_ADDRESS)),
        ),
        (authority, "apiserver-kubelet-client", Leaf("kube-apiserver-kubelet-client", ("system:masters",))),
        (front, "front-proxy-client", Leaf("front-proxy-client")),
        (etcd, "server", peer_leaf("etcd", local)),
        (etcd, "apiserver-client", Leaf("kube-apiserver-etcd-client", ("system:masters",))),
    ]
    for name in cluster.node_names:
        leaf = server_leaf(f"system:node:{name}", (name, cluster.node_address(name)), ("system:nodes",))
        wanted.append((authority, f"kubelet-{name}", leaf))
    for issuer, name, leaf in wanted:
        if issuer.ensure(name, leaf):
            made.append(name)
    clients = dict(COMPONENTS)
    if cluster.fake:
        clients["fake-nodes"] = FAKE_NODES
    for name in cluster.node_names:
        clients[f"kubelet-{name}"] = Leaf(f"system:node:{name}", ("system:nodes",))
    for who, leaf in clients.items():
        if ensure_kubeconfig(cluster.kubeconfig(who), [cluster.server], authority, leaf):
            made.append(f"{who}.kubeconfig")
    _ensure_tokens(folder / "tokens.csv")
    return made


def server_names(local: tuple[str, ...], domain: str, service_address: str) -> tuple[str, ...]:
    """Every name and address that an API server answers by: the machine's own, and those of its Service."""
    service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{domain}")
    return tuple(dict.fromkeys((*local, *service, service_address)))


def ensure_kubeconfig(
    path: Path, servers: list[str], authority: Authority, leaf: Leaf, seconds: int | None = None, front: str = ""
) -> bool:
    """Have a kubeconfig for these servers with a certificate that says `leaf`; True when it was made anew.

    `front` is what clients that know one server alone are to use.
    """
    if _is_current(path, servers, authority, leaf, front):
        return False
    pair = authority.issue(leaf, seconds)
    user = leaf.common_name
    kubeconfig.write(path, "cloudlet", servers, authority.bundle, user=user, cert=pair.cert, key=pair.key, front=front)
    return True


def _is_current(path: Path, servers: list[str], authority: Authority, leaf: Leaf, front: str) -> bool:
    try:
        config = yaml.safe_load(path.read_text())
        where = config["clusters"][0]["cluster"]
        cert = x509.load_pem_x509_certificate(base64.b64decode(config["users"][0]["user"]["client-certificate-data"]))
        same = kubeconfig.load(path).servers == servers and where["server"] == (front or servers[0])
        trusted = base64.b64decode(where["certificate-authority-data"]) == authority.bundle
        return bool(same and trusted and authority.issued(cert, leaf, datetime.datetime.now(datetime.UTC)))
    except (OSError, yaml.YAMLError, KeyError, IndexError, TypeError, ValueError, kubeconfig.KubeconfigError):
        return False


def _ensure_tokens(path: Path) -> None:
    """One random bootstrap token, in the format of kube-apiserver's `--token-auth-file`."""
    if path.exists():
        return
    token = f"{secrets.token_hex(3)}.{secrets.token_hex(8)}"
    path.touch(mode=0o600)
    path.write_text(f'{token},system:bootstrap:{token[:6]},{token[:6]},"system:bootstrappers"\n')
