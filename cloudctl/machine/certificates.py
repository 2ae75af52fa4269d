"""The certificates and kubeconfigs of a control plane, from the cluster's authorities.

Nodes' certificates are not among them: kubelets ask for theirs by TLS bootstrap and renew them by themselves.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from client import kubeconfig
from cloudctl.cluster import identities
from cloudctl.cluster.pki import Authority, Leaf, ensure_service_account_key, peer_leaf, server_leaf
from cloudctl.machine.certs.places import Files, InKubeconfig, InOneFile, Place
from cloudctl.machine.layout import Machine

CLIENTS = {
    "admin": "administrators", "controllers": "controller manager", "cloud": "cloud controllers", "scheduler": "scheduler",
}  # fmt: skip
# What a further control plane needs of the first, relative to the folder of certificates: all else is made from it.
SHARED = (
    "ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "etcd/ca.crt", "etcd/ca.key", "sa.pub", "sa.key",
)  # fmt: skip
CA, FRONT_PROXY_CA, ETCD_CA = "ca", "front-proxy-ca", "etcd/ca"
COMMON_NAMES = {CA: "kubernetes", FRONT_PROXY_CA: "front-proxy-ca", ETCD_CA: "etcd-ca"}
"""The authorities by their files' names, and what they call themselves."""


@dataclass(frozen=True)
class Certificate:
    """One certificate of a control plane: its name, which authority issues it, what it says, what for and where it stands."""

    name: str
    authority: str
    leaf: Leaf
    purpose: str
    place: Place


def load_authority(machine: Machine, name: str) -> Authority:
    """One of the authorities that are there. Raises ClusterError."""
    path = machine.pki / name
    return Authority.load(path.parent, path.name)


def wanted(machine: Machine) -> list[Certificate]:
    """Every certificate that a control plane has, those in kubeconfigs last."""
    cluster = machine.settings.cluster
    own = tuple(dict.fromkeys(("127.0.0.1", "localhost", socket.gethostname(), machine.name, machine.settings.address)))
    served = (*own, *((cluster.virtual_ip,) if cluster.virtual_ip else ()))
    names = identities.server_names(served, cluster.dns_domain, cluster.service_api_address)
    masters = ("system:masters",)
    files = [
        ("apiserver", CA, server_leaf("kube-apiserver", names), "the API server"),
        ("apiserver-kubelet-client", CA, Leaf("kube-apiserver-kubelet-client", masters), "API server to kubelets"),
        ("front-proxy-client", FRONT_PROXY_CA, Leaf("front-proxy-client"), "API server to further API servers"),
        ("etcd/server", ETCD_CA, peer_leaf("etcd", own), "etcd, to clients and members"),
        ("etcd/apiserver-client", ETCD_CA, Leaf("kube-apiserver-etcd-client", masters), "API server to etcd"),
        ("etcd/healthcheck-client", ETCD_CA, Leaf("kube-etcd-healthcheck-client", masters), "health checks to etcd"),
    ]
    found = [Certificate(name, ca, leaf, purpose, Files(machine.pki, name)) for name, ca, leaf, purpose in files]
    for who, purpose in CLIENTS.items():
        path, leaf = machine.kubeconfig(who), identities.COMPONENTS[who]
        place = InKubeconfig(path, leaf.common_name, machine.server)
        found.append(Certificate(path.name, CA, leaf, purpose, place))
    return found


def ensure(machine: Machine, servers: list[str]) -> list[str]:
    """Have everything, authorities included; returns what was made anew. `servers` are all API servers, the own one first."""
    authorities = {}
    for name, common_name in COMMON_NAMES.items():
        path = machine.pki / name
        authorities[name] = Authority.have(path.parent, path.name, common_name)
    ensure_service_account_key(machine.pki)
    seconds, made = machine.settings.cluster.certificate_seconds, []
    for one in wanted(machine):
        authority = authorities[one.authority]
        if isinstance(one.place, InKubeconfig):
            path = machine.home / one.name
            front = machine.virtual_server if path == machine.admin_kubeconfig else ""
            new = identities.ensure_kubeconfig(path, servers, authority, one.leaf, seconds, front)
        else:
            new = authority.ensure(Path(one.name).name, one.leaf, seconds)
        if new:
            made.append(one.name)
    return made


def kubelet_client(machine: Machine) -> Leaf:
    """Who this machine's kubelet is."""
    return Leaf(f"system:node:{machine.name}", ("system:nodes",))


def ensure_kubelet(machine: Machine, servers: list[str]) -> None:
    """Have a first client certificate for the kubelet of this machine, where it starts before any API server."""
    path = machine.kubelet_pair("client")
    if path.exists() and machine.kubelet_kubeconfig.exists():
        return
    authority, leaf = load_authority(machine, CA), kubelet_client(machine)
    InOneFile(path).write(authority.issue(leaf, machine.settings.cluster.certificate_seconds), authority.bundle)
    kubeconfig.write(machine.kubelet_kubeconfig, "cloudlet", servers, authority.bundle, user=leaf.common_name)
    config = kubeconfig.read(machine.kubelet_kubeconfig)
    config["users"][0]["user"] = {"client-certificate": str(path), "client-key": str(path)}
    kubeconfig.save(machine.kubelet_kubeconfig, config)
