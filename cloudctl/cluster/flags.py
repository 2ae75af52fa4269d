"""The flags of every daemon, for a cluster on one machine and for one of VMs alike. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cloudctl.cluster.state import DNS_ADDRESS, DNS_DOMAIN, POD_NETWORK, SERVICE_NETWORK

Flags = tuple[str, ...]


@dataclass(frozen=True)
class Member:
    """One etcd member: `peers` maps the names of all members to their peer URLs; `joins` one that exists already."""

    name: str
    client_urls: tuple[str, ...]
    peer_url: str
    peers: dict[str, str]
    joins: bool = False


@dataclass(frozen=True)
class Networks:
    """The address ranges and names of a cluster."""

    pods: str = POD_NETWORK
    services: str = SERVICE_NETWORK
    dns: str = DNS_ADDRESS
    domain: str = DNS_DOMAIN


def etcd(keys: Path, data: Path, member: Member) -> Flags:
    """TLS both ways, towards clients and among members. `keys` holds `ca.crt` and the pair `server`."""
    pair = {"cert-file": keys / "server.crt", "key-file": keys / "server.key", "trusted-ca-file": keys / "ca.crt"}
    return (
        f"--name={member.name}",
        f"--data-dir={data}",
        f"--listen-client-urls={','.join(member.client_urls)}",
        f"--advertise-client-urls={member.client_urls[-1]}",
        f"--listen-peer-urls={member.peer_url}",
        f"--initial-advertise-peer-urls={member.peer_url}",
        f"--initial-cluster={','.join(f'{name}={url}' for name, url in member.peers.items())}",
        f"--initial-cluster-state={'existing' if member.joins else 'new'}",
        # Off by default before 3.5: a member that comes back from a partition would depose the leader that the others have.
        "--pre-vote=true",
        "--client-cert-auth=true",
        "--peer-client-cert-auth=true",
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=5m",
        "--quota-backend-bytes=4294967296",
        "--max-request-bytes=4194304",
        "--snapshot-count=10000",
        "--logger=zap",
        "--log-level=warn",
        *(f"--{name}={path}" for name, path in pair.items()),
        *(f"--peer-{name}={path}" for name, path in pair.items()),
    )


def apiserver(
    keys: Path, networks: Networks, *, etcd_servers: str, bind: str, advertise: str, port: int, audit_log: Path
) -> Flags:
    """`keys` is the folder of certificates as kubeadm names them."""
    return (
        f"--etcd-servers={etcd_servers}",
        f"--etcd-cafile={keys / 'etcd' / 'ca.crt'}",
        f"--etcd-certfile={keys / 'etcd' / 'apiserver-client.crt'}",
        f"--etcd-keyfile={keys / 'etcd' / 'apiserver-client.key'}",
        f"--bind-address={bind}",
        f"--advertise-address={advertise}",
        f"--secure-port={port}",
        f"--tls-cert-file={keys / 'apiserver.crt'}",
        f"--tls-private-key-file={keys / 'apiserver.key'}",
        f"--client-ca-file={keys / 'ca.crt'}",
        f"--service-account-key-file={keys / 'sa.pub'}",
        f"--service-account-signing-key-file={keys / 'sa.key'}",
        f"--service-account-issuer=https://kubernetes.default.svc.{networks.domain}",
        f"--service-cluster-ip-range={networks.services}",
        "--service-node-port-range=30000-32767",
        f"--kubelet-client-certificate={keys / 'apiserver-kubelet-client.crt'}",
        f"--kubelet-client-key={keys / 'apiserver-kubelet-client.key'}",
        f"--kubelet-certificate-authority={keys / 'ca.crt'}",
        f"--audit-log-path={audit_log}",
        "--workers=1",
    )


def controllers(keys: Path, networks: Networks, kubeconfig: Path) -> Flags:
    """The controller manager signs certificates and ServiceAccount tokens, so it gets the keys for both."""
    return (
        f"--kubeconfig={kubeconfig}",
        f"--cluster-cidr={networks.pods}",
        "--node-cidr-mask-size=24",
        f"--root-ca-file={keys / 'ca.crt'}",
        f"--service-account-private-key-file={keys / 'sa.key'}",
        f"--cluster-signing-cert-file={keys / 'ca.crt'}",
        f"--cluster-signing-key-file={keys / 'ca.key'}",
    )


def cloud(kubeconfig: Path, folder: Path, pool: str) -> Flags:
    """Whose load balancers these are, for running and for cleaning up."""
    return (
        f"--kubeconfig={kubeconfig}",
        "--provider=local",
        f"--load-balancer-pool={pool}",
        f"--state-dir={folder}",
    )


def proxy(kubeconfig: Path, networks: Networks, node: str) -> Flags:
    """The same for running and for cleaning up."""
    return (
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={node}",
        f"--cluster-cidr={networks.pods}",
        f"--cluster-dns={networks.dns}",
        f"--cluster-domain={networks.domain}",
    )


def kubelet(
    kubeconfig: Path,
    networks: Networks,
    node: str,
    *,
    root: Path,
    address: str,
    port: int,
    ca: Path,
    grace: float | None = None,
) -> Flags:
    """What every node agent has; how it comes by its certificates is added by the caller.

    `grace`: seconds of silence after which the controllers give the node up, None for the default. Whoever is to be missed
    sooner must say more often that it is there: with the default's rhythm one lost heartbeat would cost the node its pods.
    """
    return (
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={node}",
        f"--root-dir={root}",
        f"--pod-manifest-path={root / 'manifests'}",
        f"--port={port}",
        f"--node-ip={address}",
        f"--cluster-dns={networks.dns}",
        f"--cluster-domain={networks.domain}",
        f"--client-ca-file={ca}",
        *((f"--node-lease-duration-seconds={max(4, int(grace))}",) if grace else ()),
    )
