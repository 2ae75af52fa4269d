"""What a kubelet is told when it starts. Flags have the names of Kubernetes' own."""

from __future__ import annotations

import argparse
import hashlib
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

PAUSE_IMAGE = "cloudlet/pause:1"


@dataclass(frozen=True, slots=True)
class Settings:
    """One node agent's settings. Sizes in bytes, CPU in millicores, times in seconds."""

    node: str
    root: Path
    kubeconfig: str = ""
    bootstrap_kubeconfig: str = ""
    cert_dir: Path | None = None
    rotate_certificates: bool = False
    rotate_server_certificates: bool = False
    sync_kubeconfigs: tuple[Path, ...] = ()
    sync_client_ca: bool = False
    manifests: Path | None = None
    address: str = "0.0.0.0"  # noqa: S104 (the API server must reach it; client certificates guard it)
    port: int = 10250
    node_ips: tuple[str, ...] = ()
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    tls_cert: str = ""
    tls_key: str = ""
    client_ca: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] = ()
    resolv_conf: Path = Path("/etc/resolv.conf")
    docker: str = "/var/run/docker.sock"
    max_pods: int = 110
    lease_seconds: int = 40
    """How long a heartbeat is good for; it is renewed four times as often."""
    reserved_cpu: int = 0
    reserved_memory: int = 0
    register: bool = True
    provider_id: str = ""
    disks: Path | None = None
    pause_image: str = PAUSE_IMAGE

    @property
    def certificates(self) -> Path:
        """The folder of the certificates that the kubelet gets or makes itself."""
        return self.cert_dir or self.root / "pki"

    @property
    def client_pair(self) -> Path:
        """The file of the certificate and key by which the kubelet shows itself, when it renews them itself."""
        return self.certificates / "kubelet-client-current.pem"

    @property
    def server_pair(self) -> Path:
        """The file of the certificate and key that the cluster has signed for the kubelet's server."""
        return self.certificates / "kubelet-server-current.pem"

    @property
    def follows_cluster_info(self) -> bool:
        """Whether the machine's files follow kube-public/cluster-info: those of a node that has joined do."""
        return self.rotate_certificates or self.sync_client_ca or bool(self.sync_kubeconfigs)

    @property
    def disk_folder(self) -> Path:
        """Where the disks of claims are kept."""
        return self.disks or self.root / "disks"

    @property
    def cluster(self) -> str:
        """Tells this kubelet's containers from those of any other on the same Docker Engine."""
        return hashlib.sha256(str(self.root.resolve()).encode()).hexdigest()[:12]


def _pairs(text: str) -> dict[str, str]:
    return dict(part.partition("=")[::2] for part in text.split(",") if part)


def _words(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(",") if part)


def _paths(text: str) -> tuple[Path, ...]:
    return tuple(Path(part) for part in _words(text))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="cloudlet-kubelet", description="The node agent: runs pods on Docker.")
    p.add_argument("--kubeconfig", required=True, metavar="FILE", help="how to reach the API server")
    p.add_argument(
        "--bootstrap-kubeconfig", default="", metavar="FILE", help="with a token, to get the other kubeconfig with"
    )
    p.add_argument("--cert-dir", type=Path, default=None, help="default: pki below --root-dir")
    rotate = "keep the client certificate fresh; the default with --bootstrap-kubeconfig"
    p.add_argument("--rotate-certificates", action=argparse.BooleanOptionalAction, default=None, help=rotate)
    rotate = "have the serving certificate signed by the cluster, and keep it fresh"
    p.add_argument("--rotate-server-certificates", action=argparse.BooleanOptionalAction, default=False, help=rotate)
    sync = "further kubeconfigs that follow the cluster's API servers and CA (kube-public/cluster-info), as the node's own does"
    p.add_argument("--sync-kubeconfigs", type=_paths, default=(), metavar="FILE,...", help=sync)
    sync = "--client-ca-file follows the cluster's CA, too"
    p.add_argument("--sync-client-ca", action=argparse.BooleanOptionalAction, default=False, help=sync)
    p.add_argument("--hostname-override", default=socket.gethostname().lower(), metavar="NODE")
    p.add_argument("--root-dir", type=Path, default=Path("/var/lib/cloudlet/kubelet"))
    p.add_argument("--pod-manifest-path", type=Path, default=None, help="folder of static pods")
    p.add_argument("--address", default="0.0.0.0")  # noqa: S104 (client certificates guard it)
    p.add_argument("--port", type=int, default=10250)
    p.add_argument("--node-ip", type=_words, default=())
    p.add_argument("--cluster-dns", type=_words, default=())
    p.add_argument("--cluster-domain", default="cluster.local")
    p.add_argument("--tls-cert-file", default="")
    p.add_argument("--tls-private-key-file", default="")
    p.add_argument("--client-ca-file", default="")
    p.add_argument("--node-labels", type=_pairs, default={}, metavar="A=B,...")
    p.add_argument("--register-with-taints", type=_words, default=(), metavar="KEY=VALUE:EFFECT,...")
    p.add_argument("--register-node", action=argparse.BooleanOptionalAction, default=True)
    p.add_argument("--resolv-conf", type=Path, default=Path("/etc/resolv.conf"))
    p.add_argument("--container-runtime-endpoint", default="/var/run/docker.sock", help="Docker's socket")
    p.add_argument("--max-pods", type=int, default=110)
    p.add_argument("--node-lease-duration-seconds", type=int, default=40, help="how long a heartbeat is good for")
    p.add_argument("--provider-id", default="")
    p.add_argument(
        "--disk-dir", type=Path, default=None, help="disks of claims; else ROOT/disks; kubelets may share it"
    )
    p.add_argument("--pod-infra-container-image", default=PAUSE_IMAGE)
    p.add_argument("--health-port", type=int, default=0)
    p.add_argument("--log-level", default="info")
    p.add_argument("--fake", type=int, default=0, metavar="N", help="simulate N nodes; no Docker, no root")
    p.add_argument("--fake-prefix", default="fake", help="names of simulated nodes: PREFIX-0, PREFIX-1, ...")
    return p


def settings(arguments: argparse.Namespace) -> Settings:
    """From the parsed command line."""
    rotate = arguments.rotate_certificates
    return Settings(
        node=arguments.hostname_override,
        root=arguments.root_dir,
        kubeconfig=arguments.kubeconfig,
        bootstrap_kubeconfig=arguments.bootstrap_kubeconfig,
        cert_dir=arguments.cert_dir,
        rotate_certificates=bool(arguments.bootstrap_kubeconfig) if rotate is None else rotate,
        rotate_server_certificates=arguments.rotate_server_certificates,
        sync_kubeconfigs=arguments.sync_kubeconfigs,
        sync_client_ca=arguments.sync_client_ca,
        manifests=arguments.pod_manifest_path,
        address=arguments.address,
        port=arguments.port,
        node_ips=arguments.node_ip,
        cluster_dns=arguments.cluster_dns,
        cluster_domain=arguments.cluster_domain,
        tls_cert=arguments.tls_cert_file,
        tls_key=arguments.tls_private_key_file,
        client_ca=arguments.client_ca_file,
        labels=arguments.node_labels,
        taints=arguments.register_with_taints,
        resolv_conf=arguments.resolv_conf,
        docker=arguments.container_runtime_endpoint.removeprefix("unix://"),
        max_pods=arguments.max_pods,
        lease_seconds=arguments.node_lease_duration_seconds,
        register=arguments.register_node,
        provider_id=arguments.provider_id,
        pause_image=arguments.pod_infra_container_image,
        disks=arguments.disk_dir,
    )


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; ends the process with a message for a wrong one."""
    return parser().parse_args(argv)
