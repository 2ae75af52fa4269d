"""Host ports: the container ports of a pod on this machine that its spec binds to the machine's addresses. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from api.meta import key
from api.pods import is_terminal
from api.types import Object

_ANY = ("", "0.0.0.0", "::")  # noqa: S104  (read, not bound)


@dataclass(frozen=True, slots=True)
class HostPort:
    """`port` of the machine goes to `address:target`. `host_ip` is empty when any of the machine's addresses will do."""

    pod: str
    protocol: str
    port: int
    address: str
    target: int
    host_ip: str = ""
    node_ips: tuple[str, ...] = ()


def host_ports(pod: Object) -> list[HostPort]:
    """The host ports of a pod; empty while it has no address, when it has ended, and when it uses the host's network."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    address = status.get("podIP") or ""
    if spec.get("hostNetwork") or not address or ":" in address or is_terminal(pod):
        return []
    node_ips = tuple(ip for ip in (status.get("hostIP"),) if ip)
    # Init containers keep running when they are sidecars; the ports of the others are never used.
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    return [
        HostPort(
            pod=key(pod),
            protocol=(port.get("protocol") or "TCP").lower(),
            port=int(port["hostPort"]),
            address=address,
            target=int(port["containerPort"]),
            host_ip="" if port.get("hostIP", "") in _ANY else port["hostIP"],
            node_ips=node_ips,
        )
        for container in containers
        for port in container.get("ports") or ()
        if port.get("hostPort")
    ]
