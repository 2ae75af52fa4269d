"""What faults are applied to, by a name: the table `COMPONENTS` says where each is at this moment. To add one, add a row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.lab.cluster import Lab
from tests.lab.faults import Target, Trait
from tests.lab.machines import Machine

Find = Callable[[Lab], Awaitable[Machine]]


@dataclass(frozen=True, slots=True)
class Component:
    """A row: what faults may need it to be, and how its machine is found. Without a unit it is that machine."""

    name: str
    traits: frozenset[Trait]
    find: Find
    unit: str = ""

    async def target(self, lab: Lab) -> Target:
        """Where it is now. Raises LookupError, ApiError."""
        machine = await self.find(lab)
        others: list[str] = []
        if not self.unit:
            for other in lab.machines:
                if other is not machine:
                    others += await lab.networks(other)
        return Target(machine, self.unit, tuple(others))


def _first(role: str) -> Find:
    async def find(lab: Lab) -> Machine:
        return (lab.of(role) or list(lab.machines))[0]

    return find


def _leading(lease: str) -> Find:
    async def find(lab: Lab) -> Machine:
        return await lab.holder(lease)

    return find


_DAEMON = frozenset[Trait]({"unit", "python"})
_STORE = frozenset[Trait]({"unit", "disk"})
_UNIT = frozenset[Trait]({"unit"})
_VM = frozenset[Trait]({"vm"})

COMPONENTS: dict[str, Component] = {
    component.name: component
    for component in (
        Component("apiserver", _DAEMON, _first("control-plane"), "cloudlet-apiserver.service"),
        Component("controllers", _DAEMON, _leading("kube-controller-manager"), "cloudlet-controllers.service"),
        Component("scheduler", _DAEMON, _leading("kube-scheduler"), "cloudlet-scheduler.service"),
        Component("cloud", _DAEMON, _leading("cloud-controller-manager"), "cloudlet-cloud.service"),
        Component("etcd-leader", _STORE, Lab.etcd_leader, "cloudlet-etcd.service"),
        Component("etcd-member", _STORE, Lab.etcd_follower, "cloudlet-etcd.service"),
        Component("kubelet", _DAEMON, _first("worker"), "cloudlet-kubelet.service"),
        Component("proxy", _DAEMON, _first("worker"), "cloudlet-proxy.service"),
        Component("docker", _UNIT, _first("worker"), "docker.service"),
        Component("vm-etcd-leader", _VM, Lab.etcd_leader),
        Component("vm-control-plane", _VM, Lab.etcd_follower),
        Component("vm-worker", _VM, _first("worker")),
    )
}
