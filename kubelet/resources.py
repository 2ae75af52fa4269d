"""From a container's resources to cgroup settings. Pure. Source: Kubernetes' "Resource Management for Pods and Containers"."""

from __future__ import annotations

from dataclasses import dataclass

from api import quantity
from api.pods import qos_class
from api.types import Object
from kubelet.runtime import Resources

_PERIOD = 100_000
_MIN_QUOTA = 1000
_MIN_SHARES, _MAX_SHARES = 2, 262_144


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the node has and what it offers: cpu in millicores, memory and storage in bytes."""

    cpu: int
    memory: int
    storage: int
    pods: int = 110
    inodes: int = 0
    reserved_cpu: int = 0
    reserved_memory: int = 0
    reserved_storage: int = 0

    def as_capacity(self) -> dict[str, str]:
        """`status.capacity`."""
        return {
            "cpu": quantity.from_milli(self.cpu),
            "memory": f"{self.memory // 1024}Ki",
            "ephemeral-storage": f"{self.storage // 1024}Ki",
            "hugepages-1Gi": "0",
            "hugepages-2Mi": "0",
            "pods": str(self.pods),
        }

    def as_allocatable(self) -> dict[str, str]:
        """`status.allocatable`: capacity less what is kept back for the system."""
        left = Capacity(
            self.cpu - self.reserved_cpu,
            self.memory - self.reserved_memory,
            self.storage - self.reserved_storage,
            self.pods,
        )
        return left.as_capacity()


def shares(millicores: int) -> int:
    """cpu.shares for a request; the least the kernel takes for none."""
    return min(_MAX_SHARES, max(_MIN_SHARES, millicores * 1024 // 1000))


def quota(millicores: int) -> int:
    """Microseconds of CPU per period of 100 ms for a limit."""
    return max(_MIN_QUOTA, millicores * _PERIOD // 1000)


def oom_score_adj(pod: Object, container: Object, node_memory: int) -> int:
    """-997 for Guaranteed, 1000 for BestEffort, between them by the share of memory requested."""
    if pod["spec"].get("priorityClassName") == "system-node-critical":
        return -997
    qos = qos_class(pod)
    if qos == "Guaranteed":
        return -997
    if qos == "BestEffort":
        return 1000
    asked = requested(container, "memory")
    return min(999, max(3, 1000 - 1000 * asked // max(1, node_memory)))


def requested(container: Object, name: str) -> int:
    """A request (or, without one, the limit) of a container: millicores for cpu, else whole units."""
    resources = container.get("resources") or {}
    text = (resources.get("requests") or {}).get(name, (resources.get("limits") or {}).get(name))
    if text is None:
        return 0
    return quantity.milli(text) if name == "cpu" else quantity.value(text)


def limited(container: Object, name: str) -> int:
    """A limit of a container, 0 for none."""
    text = ((container.get("resources") or {}).get("limits") or {}).get(name)
    if text is None:
        return 0
    return quantity.milli(text) if name == "cpu" else quantity.value(text)


def container_resources(pod: Object, container: Object, node_memory: int) -> Resources:
    """The settings for one container of the pod."""
    cpu = limited(container, "cpu")
    return Resources(
        cpu_shares=shares(requested(container, "cpu")),
        cpu_quota=quota(cpu) if cpu else 0,
        cpu_period=_PERIOD,
        memory=limited(container, "memory"),
        oom_score_adj=oom_score_adj(pod, container, node_memory),
    )
