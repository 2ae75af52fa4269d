"""Which pods stand behind a Service, under which addresses and ports, and in which condition. Pure.

Source: the Kubernetes documentation, "EndpointSlices: Conditions", "Services: Headless Services", "Pod's DNS: hostname".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

from api import meta
from api.types import Object
from controllers.podstate import is_ready, is_terminal, node_of

_ZONE = "topology.kubernetes.io/zone"


def selects(service: Object, labels: Mapping[str, str]) -> bool:
    """Whether the Service's selector, which must not be empty, matches the labels."""
    selector: Mapping[str, str] = service["spec"].get("selector") or {}
    return bool(selector) and all(labels.get(k) == v for k, v in selector.items())


def has_endpoints(service: Object) -> bool:
    """Whether this controller fills the Service's endpoints: it has a selector and is no alias of a DNS name."""
    return bool(service["spec"].get("selector")) and service["spec"].get("type") != "ExternalName"


def families(service: Object) -> list[str]:
    """`IPv4`, `IPv6` or both, the primary one first."""
    given = service["spec"].get("ipFamilies")
    if given:
        return list(given)
    address = service["spec"].get("clusterIP") or ""
    return ["IPv6"] if ":" in address else ["IPv4"]


def family_of(address: str) -> str:
    """`IPv4` or `IPv6`."""
    return f"IPv{ipaddress.ip_address(address).version}"


def address_of(pod: Object, family: str) -> str | None:
    """The pod's address of that family, None if it has none."""
    status = pod.get("status") or {}
    addresses = [entry["ip"] for entry in status.get("podIPs") or () if entry.get("ip")]
    if not addresses and status.get("podIP"):
        addresses = [status["podIP"]]
    return next((a for a in addresses if family_of(a) == family), None)


def belongs(pod: Object, *, terminating: bool) -> bool:
    """Whether the pod counts at all; one that is being deleted only if `terminating`."""
    if is_terminal(pod) or not (pod.get("status") or {}).get("podIP"):
        return False
    return terminating or not meta.is_deleting(pod)


def target_port(pod: Object, port: Object) -> int | None:
    """The number behind a Service port in this pod; None when no container has a port of that name and protocol."""
    target = port.get("targetPort")
    if isinstance(target, int):
        return target or int(port["port"])
    if not target:
        return int(port["port"])
    sidecars = [c for c in pod["spec"].get("initContainers") or () if c.get("restartPolicy") == "Always"]
    for container in [*pod["spec"].get("containers", ()), *sidecars]:
        for offered in container.get("ports") or ():
            protocols = (offered.get("protocol") or "TCP", port.get("protocol") or "TCP")
            if offered.get("name") == target and protocols[0] == protocols[1]:
                return int(offered["containerPort"])
    return None


def ports_of(pod: Object, service: Object) -> list[Object]:
    """The Service's ports as they stand in an EndpointSlice for this pod."""
    found: list[Object] = []
    for port in service["spec"].get("ports") or ():
        number = target_port(pod, port)
        if number is None:
            continue
        entry: Object = {"name": port.get("name") or "", "port": number, "protocol": port.get("protocol") or "TCP"}
        if port.get("appProtocol"):
            entry["appProtocol"] = port["appProtocol"]
        found.append(entry)
    return found


def hostname_of(pod: Object, service: Object) -> str | None:
    """The name under which a headless Service publishes the pod, if it publishes one."""
    spec = pod["spec"]
    same = spec.get("subdomain") == meta.name(service) and meta.namespace(pod) == meta.namespace(service)
    return spec.get("hostname") if spec.get("hostname") and same else None


def reference(pod: Object) -> Object:
    """The endpoint's `targetRef`."""
    return {"kind": "Pod", "namespace": meta.namespace(pod), "name": meta.name(pod), "uid": meta.uid(pod)}


def endpoint(pod: Object, service: Object, family: str, nodes: Mapping[str, Object]) -> Object | None:
    """The pod as an entry of an EndpointSlice, None without an address of the family. `nodes` maps names to Nodes."""
    address = address_of(pod, family)
    if address is None:
        return None
    publish = bool(service["spec"].get("publishNotReadyAddresses"))
    serving, leaving = is_ready(pod), meta.is_deleting(pod)
    entry: Object = {
        "addresses": [address],
        "conditions": {"ready": publish or (serving and not leaving), "serving": serving, "terminating": leaving},
        "targetRef": reference(pod),
    }
    if name := node_of(pod):
        entry["nodeName"] = name
        zone = meta.labels(nodes[name]).get(_ZONE) if name in nodes else None
        if zone:
            entry["zone"] = zone
    if hostname := hostname_of(pod, service):
        entry["hostname"] = hostname
    if hints := _hints(entry, service["spec"].get("trafficDistribution")):
        entry["hints"] = hints
    return entry


def _hints(entry: Object, distribution: str | None) -> Object:
    hints: Object = {}
    if distribution in ("PreferClose", "PreferSameZone", "PreferSameNode") and entry.get("zone"):
        hints["forZones"] = [{"name": entry["zone"]}]
    if distribution == "PreferSameNode" and entry.get("nodeName"):
        hints["forNodes"] = [{"name": entry["nodeName"]}]
    return hints


def relevant(pod: Object) -> tuple[object, ...]:
    """What of a pod its Services depend on: when this is unchanged nothing needs to be done."""
    status, spec = pod.get("status") or {}, pod["spec"]
    addresses = tuple(entry.get("ip") for entry in status.get("podIPs") or ())
    return (
        status.get("podIP"), addresses, is_ready(pod), is_terminal(pod), meta.is_deleting(pod), spec.get("nodeName"),
        spec.get("hostname"), spec.get("subdomain"), tuple(sorted(meta.labels(pod).items())),
    )  # fmt: skip


def matching(services: Iterable[Object], pods: Iterable[Object]) -> list[Object]:
    """The Services that select any of the given states of a pod."""
    states = [meta.labels(pod) for pod in pods]
    return [s for s in services if any(selects(s, labels) for labels in states)]
