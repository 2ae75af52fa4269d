"""Which faults meet which components: every one that fits, the pairs that are worth it, and the few that CI has time for."""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab.components import COMPONENTS, Component
from tests.lab.faults import FAULTS, Fault


@dataclass(frozen=True, slots=True)
class Case:
    """One fault, for one component or for several at once; `hold` in seconds if not as long as the fault lasts usually."""

    fault: Fault
    components: tuple[Component, ...]
    hold: float | None = None

    @property
    def where(self) -> str:
        """The components' names."""
        return " + ".join(component.name for component in self.components)

    def __str__(self) -> str:
        return f"{self.fault.name} {self.where}"


def case(fault: str, *components: str, hold: float | None = None) -> Case:
    """By names. Raises KeyError, and ValueError for a fault that does not fit."""
    made = Case(FAULTS[fault], tuple(COMPONENTS[name] for name in components), hold)
    for component in made.components:
        if made.fault.needs not in component.traits:
            raise ValueError(f"{fault} needs a {made.fault.needs}, and {component.name} is none")
    return made


# Longer than it takes until pods of a node that says nothing run elsewhere (40 s, and the toleration).
_EVICTION_SECONDS = 75.0

SINGLE: tuple[Case, ...] = tuple(
    Case(fault, (component,))
    for fault in FAULTS.values()
    for component in COMPONENTS.values()
    if fault.needs in component.traits
)
PAIRS: tuple[Case, ...] = (
    case("kill", "apiserver", "etcd-leader"),
    case("kill", "apiserver", "scheduler"),
    case("kill", "controllers", "scheduler"),
    case("kill", "kubelet", "docker"),
    case("kill", "kubelet", "proxy"),
    case("kill", "etcd-leader", "etcd-member"),
    case("pause", "apiserver", "etcd-leader"),
    case("pause", "controllers", "scheduler"),
    case("pause", "etcd-leader", "etcd-member"),
    case("packet-loss", "vm-etcd-leader", "vm-control-plane"),
    case("power-loss", "vm-etcd-leader", "vm-worker"),
    case("power-loss", "vm-etcd-leader", "vm-control-plane"),
    case("partition", "vm-etcd-leader", "vm-worker"),
    case("reboot", "vm-control-plane", "vm-worker"),
)
LONG: tuple[Case, ...] = (
    case("partition", "vm-worker", hold=_EVICTION_SECONDS),
    case("power-loss", "vm-worker", hold=_EVICTION_SECONDS),
    case("pause", "kubelet", hold=_EVICTION_SECONDS),
)
EVERY = SINGLE + PAIRS + LONG
REPRESENTATIVE: tuple[Case, ...] = (
    case("kill", "apiserver"),
    case("kill", "etcd-leader"),
    case("stop", "etcd-leader", hold=3),
    case("pause", "controllers"),
    case("kill", "docker"),
    case("partition", "vm-etcd-leader", hold=10),
    case("packet-loss", "vm-control-plane", hold=8),
    case("power-loss", "vm-worker", hold=5),
    case("reboot", "vm-control-plane"),
)


def chosen(fault: str = "", component: str = "", *, representative: bool = False) -> list[Case]:
    """The cases with this fault and this component among theirs; all of them without. Raises LookupError when none is left."""
    found = [
        each
        for each in (REPRESENTATIVE if representative else EVERY)
        if fault in ("", each.fault.name) and component in ("", *(c.name for c in each.components))
    ]
    if not found:
        known = f"faults: {' '.join(FAULTS)}; components: {' '.join(COMPONENTS)}"
        raise LookupError(f"no case has the fault {fault or '(any)'} and the component {component or '(any)'}; {known}")
    return found
