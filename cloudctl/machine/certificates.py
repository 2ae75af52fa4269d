"""The certificates and kubeconfigs of a control plane, from the cluster's authorities.

Nodes' certificates are not among them: kubelets ask for theirs by TLS bootstrap.
"""

from __future__ import annotations

import socket

from client import kubeconfig
from cloudctl.cluster import identities
from cloudctl.cluster.pki import Authority, Leaf, ensure_service_account_key, peer_leaf, server_leaf, write_private
from cloudctl.machine.layout import Machine

CLIENTS = ("admin", "controllers", "cloud", "scheduler")
# What a further control plane needs of the first, relative to the folder of certificates: all else is made from it.
SHARED = (
    "ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "etcd/ca.crt", "etcd/ca.key", "sa.pub", "sa.key",
)  # fmt: skip


def ensure(machine: Machine, servers: list[str]) -> list[str]:
    """Have everything, authorities included; returns what was made anew. `servers` are all API servers, the own one first."""
    folder = machine.pki
    authority = Authority(folder, "ca", "kubernetes")
    front = Authority(folder, "front-proxy-ca", "front-proxy-ca")
    etcd = Authority(folder / "etcd", "ca", "etcd-ca")
    ensure_service_account_key(folder)
    seconds = machine.settings.cluster.certificate_seconds
    made = [
        name for issuer, name, leaf in leaves(machine, authority, front, etcd) if issuer.ensure(name, leaf, seconds)
    ]
    for who in CLIENTS:
        path, leaf = machine.kubeconfig(who), identities.COMPONENTS[who]
        if identities.ensure_kubeconfig(path, servers, authority, leaf, seconds):
            made.append(path.name)
    return made


def ensure_kubelet(machine: Machine, servers: list[str]) -> None:
    """Have a first client certificate for the kubelet of this machine, where it starts before any API server."""
    path = machine.kubelet_root / "pki" / "kubelet-client-current.pem"
    if path.exists() and machine.kubelet_kubeconfig.exists():
        return
    authority = Authority(machine.pki, "ca", "kubernetes")
    leaf = Leaf(f"system:node:{machine.name}", ("system:nodes",))
    pair = authority.issue(leaf, machine.settings.cluster.certificate_seconds)
    write_private(path, pair.cert + pair.key)
    kubeconfig.write(machine.kubelet_kubeconfig, "cloudlet", servers, authority.pem, user=leaf.common_name)
    config = kubeconfig.read(machine.kubelet_kubeconfig)
    config["users"][0]["user"] = {"client-certificate": str(path), "client-key": str(path)}
    kubeconfig.save(machine.kubelet_kubeconfig, config)


def leaves(
    machine: Machine, authority: Authority, front: Authority, etcd: Authority
) -> list[tuple[Authority, str, Leaf]]:
    """Every certificate of a control plane that is no kubeconfig's: who issues it, its file and what it says."""
    cluster = machine.settings.cluster
    own = ("127.0.0.1", "localhost", socket.gethostname(), machine.name, machine.settings.address)
    served = (*own, *((cluster.virtual_ip,) if cluster.virtual_ip else ()))
    names = identities.server_names(served, cluster.dns_domain, cluster.service_api_address)
    return [
        (authority, "apiserver", server_leaf("kube-apiserver", names)),
        (authority, "apiserver-kubelet-client", Leaf("kube-apiserver-kubelet-client", ("system:masters",))),
        (front, "front-proxy-client", Leaf("front-proxy-client")),
        (etcd, "server", peer_leaf("etcd", tuple(dict.fromkeys(own)))),
        (etcd, "apiserver-client", Leaf("kube-apiserver-etcd-client", ("system:masters",))),
    ]
