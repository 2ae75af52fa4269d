"""Where a cluster's state stands and what was decided when it was made."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

API_ADDRESS = "10.98.0.1"
FIRST_NODE_ADDRESS = 11
LOAD_BALANCER_POOL = "10.98.1.0/24"
SERVICE_NETWORK = "10.96.0.0/16"
SERVICE_API_ADDRESS = "10.96.0.1"
DNS_ADDRESS = "10.96.0.10"
DNS_DOMAIN = "cluster.local"
POD_NETWORK = "10.244.0.0/16"
FIRST_KUBELET_PORT = 10250
MOST_NODES = 200


class ClusterError(Exception):
    """Something about the cluster or the machine is not as it must be; the text says what and what to do."""


def default_home() -> Path:
    """`$CLOUDLET_HOME`, else `~/.cloudlet`."""
    named = os.environ.get("CLOUDLET_HOME")
    return Path(named) if named else Path.home() / ".cloudlet"


@dataclass(frozen=True)
class Decisions:
    """What stays the same from one `up` to the next, kept in `cluster.json`."""

    port: int = 6443
    etcd_port: int = 2379
    etcd_peer_port: int = 2380
    nodes: int = 1
    fake_nodes: int = 0


class Cluster:
    """One cluster: a state directory and the decisions in it."""

    def __init__(self, home: Path, decisions: Decisions) -> None:
        self.home = home.expanduser().absolute()
        self.decisions = decisions

    @classmethod
    def load(cls, home: Path) -> Cluster | None:
        """The cluster whose state is in `home`, None if there is none. Raises ClusterError for an unreadable state."""
        path = home.expanduser() / "cluster.json"
        try:
            return cls(home, Decisions(**json.loads(path.read_text())))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise ClusterError(f"{path} cannot be read ({error}); `cloudctl down --delete` starts over") from error

    @classmethod
    def existing(cls, home: Path) -> Cluster:
        """As `load`, but raises ClusterError when there is no cluster."""
        cluster = cls.load(home)
        if cluster is None:
            raise ClusterError(f"there is no cluster in {home}; `cloudctl up` makes one")
        return cluster

    def save(self) -> None:
        """Write the decisions down."""
        for folder in (self.home, self.pki, self.run, self.logs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial = self.home / "cluster.json.tmp"
        partial.write_text(json.dumps(asdict(self.decisions), indent=2) + "\n")
        partial.replace(self.home / "cluster.json")

    @property
    def pki(self) -> Path:
        """Certificates and keys."""
        return self.home / "pki"

    @property
    def run(self) -> Path:
        """Pid files and sockets."""
        return self.home / "run"

    @property
    def logs(self) -> Path:
        """One file per daemon."""
        return self.home / "logs"

    @property
    def admin_kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.kubeconfig("admin")

    def kubeconfig(self, who: str) -> Path:
        """The kubeconfig of a component."""
        return self.home / f"{who}.kubeconfig"

    def container_marks(self, node: str = "") -> list[str]:
        """The values of the label `io.cloudlet.cluster` on the containers of this cluster's kubelets (or of one).

        A kubelet marks its containers with a hash of its own folder.
        """
        folders = [self.home / f"kubelet-{node}"] if node else sorted(self.home.glob("kubelet-*/"))
        return [hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12] for folder in folders]

    @property
    def fake(self) -> bool:
        """Whether nodes and pods are simulated."""
        return self.decisions.fake_nodes > 0

    @property
    def server(self) -> str:
        """The API server's URL for clients on this machine."""
        return f"https://127.0.0.1:{self.decisions.port}"

    @property
    def api_address(self) -> str:
        """Where pods and nodes find the API server."""
        return API_ADDRESS

    @property
    def node_names(self) -> list[str]:
        """The real nodes."""
        return [] if self.fake else [f"node-{i + 1}" for i in range(self.decisions.nodes)]

    @property
    def node_count(self) -> int:
        """Real or simulated."""
        return self.decisions.fake_nodes or self.decisions.nodes

    def node_address(self, name: str) -> str:
        """The InternalIP of a real node, an address of the interface `cloudlet0`."""
        return f"10.98.0.{FIRST_NODE_ADDRESS + self.node_names.index(name)}"

    def kubelet_port(self, name: str) -> int:
        """The kubelet's HTTPS port: one after the other, because they share a machine."""
        return FIRST_KUBELET_PORT + self.node_names.index(name)


def decide(old: Decisions | None, *, nodes: int | None, fake_nodes: int | None, port: int | None) -> Decisions:
    """What `up` with these flags runs. Raises ClusterError where an existing cluster cannot become that."""
    if nodes and fake_nodes:
        raise ClusterError("--nodes and --fake-nodes exclude one another")
    for flag, count in (("--nodes", nodes), ("--fake-nodes", fake_nodes)):
        if count is not None and not 1 <= count <= (MOST_NODES if flag == "--nodes" else 100_000):
            raise ClusterError(f"{flag} {count}: must be at least 1 and at most {MOST_NODES}")
    if old is None:
        wanted = port or 6443
        client, peer = _free_port(2379, taken=wanted), _free_port(2380, taken=wanted)
        return Decisions(wanted, client, peer, 0 if fake_nodes else nodes or 1, fake_nodes or 0)
    if port and port != old.port:
        raise ClusterError(f"this cluster was made with port {old.port}; `cloudctl down --delete` first to change it")
    if (fake_nodes and not old.fake_nodes) or (nodes and old.fake_nodes):
        kind = "simulated" if old.fake_nodes else "real"
        raise ClusterError(f"this cluster was made with {kind} nodes; `cloudctl down --delete` first to change that")
    if old.fake_nodes:
        return Decisions(**{**asdict(old), "fake_nodes": fake_nodes or old.fake_nodes})
    return Decisions(**{**asdict(old), "nodes": nodes or old.nodes})


def port_is_free(port: int) -> bool:
    """Whether nobody listens on this port of loopback or of all addresses."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port(wanted: int, taken: int) -> int:
    """The wanted port, else one the kernel gives."""
    if wanted != taken and port_is_free(wanted):
        return wanted
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
