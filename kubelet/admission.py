"""The kubelet's own admission: a pod bound to this node that cannot run here fails at once, with a reason. Pure.

Source: Kubernetes' kubelet predicates; the reasons are those that controllers and people look for.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping

from api import pods, selectors
from api.types import Object
from kubelet.resources import Capacity

Refusal = tuple[str, str]
SAFE_SYSCTLS = frozenset(
    {"kernel.shm_rmid_forced"}
    | {
        f"net.ipv4.{name}"
        for name in (
            "ip_local_port_range", "tcp_syncookies", "ping_group_range", "ip_unprivileged_port_start",
            "ip_local_reserved_ports", "tcp_keepalive_time", "tcp_fin_timeout", "tcp_keepalive_intvl",
            "tcp_keepalive_probes", "tcp_rmem", "tcp_wmem",
        )
    }
)  # fmt: skip
"""The sysctls that concern a pod alone (Kubernetes' "Using sysctls")."""
_OPERATORS: dict[str, Callable[[int, int], bool]] = {"Gt": operator.gt, "Lt": operator.lt}


def _matches(expressions: Iterable[Object], values: Mapping[str, str]) -> bool:
    for expression in expressions:
        key = expression["key"]
        if compare := _OPERATORS.get(expression["operator"]):
            try:
                if not compare(int(values[key]), int(expression["values"][0])):
                    return False
            except (KeyError, ValueError, IndexError):
                return False
        elif not selectors.from_object({"matchExpressions": [expression]}).matches(values):
            return False
    return True


def matches_node(pod: Object, node: Object) -> bool:
    """Whether the node satisfies nodeSelector and the required node affinity (terms are alternatives)."""
    spec, labels = pod["spec"], node["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    if not affinity:
        return True
    names = {"metadata.name": node["metadata"]["name"]}
    for term in affinity.get("nodeSelectorTerms") or ():
        expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
        if (expressions or fields) and _matches(expressions, labels) and _matches(fields, names):
            return True
    return False


def host_ports(pod: Object) -> set[tuple[str, str, int]]:
    """(address, protocol, port) of every host port; in the host's network every container port is one."""
    found = set()
    for container in [*(pod["spec"].get("containers") or ()), *(pod["spec"].get("initContainers") or ())]:
        if container in (pod["spec"].get("initContainers") or ()) and container.get("restartPolicy") != "Always":
            continue
        for port in container.get("ports") or ():
            if number := port.get("hostPort"):
                found.add((port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", int(number)))  # noqa: S104
    return found


def _clash(one: set[tuple[str, str, int]], other: set[tuple[str, str, int]]) -> bool:
    everywhere = ("0.0.0.0", "::")  # noqa: S104
    return any(
        p == q and n == m and (a == b or a in everywhere or b in everywhere) for a, p, n in one for b, q, m in other
    )


def _fits(pod: Object, others: list[Object], capacity: Capacity, allocatable: Mapping[str, str]) -> Refusal | None:
    if len(others) + 1 > capacity.pods:
        return (
            "OutOfpods",
            f"Node didn't have enough resource: pods, requested: 1, used: {len(others)}, capacity: {capacity.pods}",
        )
    for name, wanted in pods.requests(pod).items():
        if not wanted:
            continue
        total = pods.amount(name, allocatable.get(name, "0"))
        used = sum(pods.requests(other).get(name, 0) for other in others)
        if used + wanted > total:
            text = f"Node didn't have enough resource: {name}, requested: {wanted}, used: {used}, capacity: {total}"
            return f"OutOf{name}", text
    return None


def _sysctls(pod: Object) -> Iterable[Object]:
    return (pod["spec"].get("securityContext") or {}).get("sysctls") or ()


def refuse(pod: Object, node: Object | None, others: Iterable[Object], capacity: Capacity) -> Refusal | None:
    """Why the node does not take the pod, or None. `others` are the pods that run here already."""
    present = [o for o in others if o["metadata"]["uid"] != pod["metadata"]["uid"]]
    wanted_os = (pod["spec"].get("os") or {}).get("name")
    if wanted_os and wanted_os != "linux":
        return "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"
    forbidden = [s["name"] for s in _sysctls(pod) if s["name"].replace("/", ".") not in SAFE_SYSCTLS]
    if forbidden:
        return "SysctlForbidden", f'forbidden sysctl: "{forbidden[0]}" not allowlisted'
    if node is not None and not matches_node(pod, node):
        return "NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
    ports = host_ports(pod)
    if ports and any(_clash(ports, host_ports(other)) for other in present):
        text = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
        return "NodePorts", text
    allocatable = ((node or {}).get("status") or {}).get("allocatable") or capacity.as_allocatable()
    return _fits(pod, present, capacity, allocatable)
