"""Where everything of a machine stands: programs, flags, certificates, data. The one place that knows the paths."""

from __future__ import annotations

import fcntl
import hashlib
import socket
import struct
import sys
from pathlib import Path

from cloudctl.cluster.state import Cluster, ClusterError, Decisions
from cloudctl.machine import settings
from cloudctl.machine.settings import MachineSettings

HOME, ETC = Path("/var/lib/cloudlet"), Path("/etc/cloudlet")
PREFIX = Path("/opt/cloudlet")
_SIOCGIFADDR = 0x8915
_ANYWHERE = ("192.0.2.1", 9)  # RFC 5737; connecting a datagram socket sends nothing


class Machine(Cluster):
    """This machine as a member of a cluster. What it shares with a cluster on one machine it inherits."""

    def __init__(self, decided: MachineSettings, home: Path = HOME, etc: Path = ETC) -> None:
        super().__init__(home, Decisions(port=decided.cluster.port))
        self.settings, self.etc = decided, etc

    @classmethod
    def here(cls, home: Path = HOME, etc: Path = ETC) -> Machine:
        """The machine that has joined a cluster. Raises ClusterError when it has not."""
        if not (etc / "machine.yaml").exists():
            raise ClusterError("this machine is in no cluster: `cloudctl init` makes one, `cloudctl join` joins one")
        return cls(settings.load(etc / "machine.yaml"), home, etc)

    @property
    def settings_file(self) -> Path:
        """What was decided; it is there from the first step of init or join until reset."""
        return self.etc / "machine.yaml"

    @property
    def joined_file(self) -> Path:
        """It is there once init or join has come to its end."""
        return self.home / "joined"

    @property
    def name(self) -> str:
        """The node's name."""
        return self.settings.node_name

    @property
    def is_control_plane(self) -> bool:
        """Whether etcd and the API server run here."""
        return self.settings.role is settings.Role.CONTROL_PLANE

    @property
    def server(self) -> str:
        """The API server of this machine."""
        return f"https://{self.settings.address}:{self.settings.cluster.port}"

    @property
    def virtual_server(self) -> str:
        """The API server behind the virtual IP, wherever that stands; empty without one."""
        cluster = self.settings.cluster
        return f"https://{cluster.virtual_ip}:{cluster.port}" if cluster.virtual_ip else ""

    @property
    def api_address(self) -> str:
        """Where others find it."""
        return self.settings.address

    @property
    def node_names(self) -> list[str]:
        """This machine is one node."""
        return [self.name]

    def node_address(self, name: str) -> str:
        """The node's InternalIP."""
        return self.settings.address

    @property
    def kubelet_root(self) -> Path:
        """The node agent's state: volumes, logs, certificates, manifests."""
        return self.home / "kubelet"

    def kubelet_pair(self, kind: str) -> Path:
        """The certificate with key by which the kubelet shows itself (`client`) or serves (`server`); it renews them."""
        return self.kubelet_root / "pki" / f"kubelet-{kind}-current.pem"

    @property
    def kubelet_kubeconfig(self) -> Path:
        """Made by the kubelet when it has a certificate; the proxy uses it, too."""
        return self.home / "kubelet.kubeconfig"

    @property
    def bootstrap_kubeconfig(self) -> Path:
        """With the token by which the kubelet asks for its first certificate."""
        return self.home / "bootstrap-kubelet.kubeconfig"

    @property
    def etcd_data(self) -> Path:
        """The member's data."""
        return self.home / "etcd"

    def container_marks(self, node: str = "") -> list[str]:
        """The mark of this machine's one kubelet."""
        return [hashlib.sha256(str(self.kubelet_root.resolve()).encode()).hexdigest()[:12]]

    def environment_file(self, daemon: str) -> Path:
        """The daemon's flags."""
        return self.etc / f"{daemon}.env"


def program(name: str) -> Path:
    """A program of Cloudlet, beside the Python that runs us."""
    return Path(sys.executable).parent / name


def primary_address() -> str:
    """The address this machine uses towards others; 127.0.0.1 without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ANYWHERE)
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def default_node_name() -> str:
    """The host name, as a node's."""
    return socket.gethostname().lower()


def interface_of(address: str) -> str:
    """The device that carries an address of this machine; empty when none does."""
    for _, name in socket.if_nameindex():
        if _address_of(name) == address:
            return name
    return ""


def _address_of(device: str) -> str:
    """A device's first IPv4 address (netdevice(7), SIOCGIFADDR); empty without one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        try:
            answer = fcntl.ioctl(channel, _SIOCGIFADDR, struct.pack("256s", device.encode()[:15]))
        except OSError:
            return ""
    return socket.inet_ntoa(answer[20:24])
