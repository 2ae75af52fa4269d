"""What was decided for a cluster of machines and for this machine in it: `/etc/cloudlet/machine.yaml`, and `init --config`.

Keys that are not known are refused, because a mistyped one would otherwise be silently ignored.
"""

from __future__ import annotations

import ipaddress
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from cloudctl.cluster.flags import Networks
from cloudctl.cluster.state import DNS_ADDRESS, DNS_DOMAIN, POD_NETWORK, SERVICE_NETWORK, ClusterError

ETCD_CLIENT_PORT, ETCD_PEER_PORT, KUBELET_PORT = 2379, 2380, 10250
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


class Role(StrEnum):
    """What a machine does in the cluster. A control plane runs pods too, if it is not tainted."""

    CONTROL_PLANE = "control-plane"
    WORKER = "worker"


def _node_name(name: str) -> str:
    if not _NAME.fullmatch(name) or len(name) > 253 or name == "localhost":
        raise ValueError(f"{name!r} is no name for a node: use lower-case letters, digits, '-' and '.' (RFC 1123)")
    return name


def _address(text: str) -> str:
    return str(ipaddress.IPv4Address(text))


def _network(text: str) -> str:
    return str(ipaddress.IPv4Network(text))


def _ends(pool: str) -> tuple[ipaddress.IPv4Address, ipaddress.IPv4Address]:
    """The first and the last address of a range `A-B` or of a CIDR."""
    first, dash, last = pool.partition("-")
    if not dash:
        network = ipaddress.IPv4Network(pool)
        return network[0], network[-1]
    ends = ipaddress.IPv4Address(first.strip()), ipaddress.IPv4Address(last.strip())
    if ends[0] > ends[1]:
        raise ValueError(f"{pool!r} ends before it begins")
    return ends


def _pool(text: str) -> str:
    if text:
        _ends(text)
    return text


NodeName = Annotated[str, AfterValidator(_node_name)]
Address = Annotated[str, AfterValidator(_address)]
Network = Annotated[str, AfterValidator(_network)]
Pool = Annotated[str, AfterValidator(_pool)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class ClusterSettings(_Strict):
    """What all machines of the cluster agree on; kept in the ConfigMap kube-system/cloudlet-config too."""

    name: str = "cloudlet"
    port: int = 6443
    control_plane: Literal["services", "static-pods"] = "services"
    """Whether systemd runs the control planes' daemons, or their kubelets do."""
    pod_network: Network = POD_NETWORK
    service_network: Network = SERVICE_NETWORK
    dns_address: Address = DNS_ADDRESS
    dns_domain: str = DNS_DOMAIN
    load_balancer_pool: Pool = ""
    """Addresses of the machines' network for Services of type LoadBalancer: a range `A-B` or a CIDR; empty for none."""
    virtual_ip: Address | None = None
    """An address that always stands on a control plane that works; None for the list of servers alone."""
    certificate_seconds: int | None = None
    """How long certificates live, in seconds; None for a year. Short ones are for tests of their rotation."""
    node_monitor_grace_period: float | None = None
    """Seconds without a heartbeat after which a node counts as lost; None for Kubernetes' 40."""

    @model_validator(mode="after")
    def _one_owner(self) -> Self:
        """Load balancers would be given the virtual IP."""
        if self.virtual_ip and self.load_balancer_pool:
            first, last = _ends(self.load_balancer_pool)
            if first <= ipaddress.IPv4Address(self.virtual_ip) <= last:
                raise ValueError(f"virtualIp {self.virtual_ip} must not be one of the loadBalancerPool's")
        return self

    @property
    def networks(self) -> Networks:
        """As the daemons' flags want them."""
        return Networks(self.pod_network, self.service_network, self.dns_address, self.dns_domain)

    @property
    def service_api_address(self) -> str:
        """The first address of the service network, which is the API server's."""
        return str(ipaddress.IPv4Network(self.service_network)[1])


class MachineSettings(_Strict):
    """This machine's part."""

    api_version: Literal["cloudlet.dev/v1"] = "cloudlet.dev/v1"
    kind: Literal["Machine"] = "Machine"
    node_name: NodeName
    address: Address
    interface: str = ""
    """The device that carries the address; load balancers' addresses are put on it."""
    role: Role = Role.CONTROL_PLANE
    schedulable: bool = False
    """Whether ordinary pods may run on a control plane, too."""
    node_labels: dict[str, str] = {}
    cluster: ClusterSettings = ClusterSettings()

    def save(self, path: Path) -> None:
        """Write the file, replacing it in one step."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".tmp")
        partial.write_text(
            yaml.safe_dump(self.model_dump(mode="json", by_alias=True, exclude_none=True), sort_keys=False)
        )
        partial.replace(path)


def read(path: Path) -> dict[str, Any]:
    """A settings file as it stands. Raises ClusterError."""
    try:
        data = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ClusterError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ClusterError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise ClusterError(f"{path} is empty or no mapping")
    return data


def parse(data: dict[str, Any], source: str) -> MachineSettings:
    """Settings from a mapping. Raises ClusterError that names every bad field at once."""
    try:
        return MachineSettings.model_validate(data)
    except ValidationError as error:
        raise ClusterError(f"{source}: " + "; ".join(_complaint(one) for one in error.errors())) from error


def load(path: Path) -> MachineSettings:
    """Settings from a file. Raises ClusterError."""
    return parse(read(path), str(path))


def _complaint(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        model = ClusterSettings if error["loc"][0] == "cluster" and len(error["loc"]) > 1 else MachineSettings
        known = ", ".join(to_camel(name) for name in model.model_fields)
        return f"{where}: unknown key; known are {known}"
    return f"{where}: {error['msg'].removeprefix('Value error, ')}"
