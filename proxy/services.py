"""What a Service asks of the proxy: one `ServicePort` for each of its ports, with the endpoints its traffic may go to.

Pure. Sources: the Service and EndpointSlice API; KEP-1669 (terminating endpoints), KEP-2086 (internal traffic policy),
KEP-1860 (load balancer ipMode).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from api.meta import key, labels
from api.types import Object

HEADLESS = "None"
DEFAULT_AFFINITY_SECONDS = 10800
PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a connection may be sent. `local`: the pod runs on this machine."""

    address: str
    port: int
    local: bool = False


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The endpoints for one traffic policy. `lost`: there are some, but none that the policy allows, so traffic is dropped
    and not refused."""

    usable: tuple[Endpoint, ...] = ()
    lost: bool = False


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a Service. `affinity_seconds` is 0 without session affinity, `node_port` 0 without a node port.

    `internal` takes traffic to the cluster addresses, `external` that to node ports, external and load balancer addresses
    from outside; `everywhere` is what both would be without a traffic policy.
    """

    service: str
    name: str
    protocol: str
    port: int
    cluster_ips: tuple[str, ...] = ()
    node_port: int = 0
    external_ips: tuple[str, ...] = ()
    load_balancer_ips: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] = ()
    affinity_seconds: int = 0
    external_local: bool = False
    everywhere: Endpoints = Endpoints()
    internal: Endpoints = Endpoints()
    external: Endpoints = Endpoints()


def is_proxied(service: Object) -> bool:
    """Whether the Service has cluster addresses and no other proxy claims it."""
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName" or PROXY_NAME_LABEL in labels(service):
        return False
    return spec.get("clusterIP") not in (None, "", HEADLESS)


def service_ports(
    service: Object, slices: Iterable[Object], is_local: Callable[[str], bool] = lambda node: False
) -> list[ServicePort]:
    """The ports of a Service; `slices` are its EndpointSlices, `is_local` says whether a node runs on this machine."""
    if not is_proxied(service):
        return []
    slices = [s for s in slices if s.get("addressType") == "IPv4"]
    return [_port(service, port, slices, is_local) for port in service["spec"].get("ports") or ()]


def _port(service: Object, port: Object, slices: list[Object], is_local: Callable[[str], bool]) -> ServicePort:
    spec = service["spec"]
    protocol = port.get("protocol") or "TCP"
    candidates = list(_candidates(slices, port.get("name") or "", protocol, is_local))
    everywhere = _usable(candidates)
    nearby = _usable([c for c in candidates if c[0].local])
    nearby = Endpoints(nearby.usable, lost=bool(everywhere.usable) and not nearby.usable)
    external_local = spec.get("externalTrafficPolicy") == "Local"
    is_balancer = spec.get("type") == "LoadBalancer"
    return ServicePort(
        service=key(service),
        name=port.get("name") or "",
        protocol=protocol.lower(),
        port=int(port["port"]),
        cluster_ips=_ipv4(spec.get("clusterIPs") or [spec["clusterIP"]]),
        node_port=int(port.get("nodePort") or 0) if spec.get("type") in ("NodePort", "LoadBalancer") else 0,
        external_ips=_ipv4(spec.get("externalIPs") or ()),
        load_balancer_ips=_vips(service) if is_balancer else (),
        source_ranges=_ipv4(r.strip() for r in spec.get("loadBalancerSourceRanges") or ()) if is_balancer else (),
        affinity_seconds=_affinity(spec),
        external_local=external_local,
        everywhere=everywhere,
        internal=nearby if spec.get("internalTrafficPolicy") == "Local" else everywhere,
        external=nearby if external_local else everywhere,
    )


def _candidates(
    slices: list[Object], name: str, protocol: str, is_local: Callable[[str], bool]
) -> Iterator[tuple[Endpoint, Object]]:
    """Every endpoint address of that port with its conditions, each once."""
    seen: set[tuple[str, int]] = set()
    for part in slices:
        for port in part.get("ports") or ():
            if (port.get("name") or "") != name or (port.get("protocol") or "TCP") != protocol or not port.get("port"):
                continue
            for endpoint in part.get("endpoints") or ():
                address = (endpoint.get("addresses") or [""])[0]
                if not address or (address, port["port"]) in seen:
                    continue
                seen.add((address, port["port"]))
                yield (
                    Endpoint(address, int(port["port"]), is_local(endpoint.get("nodeName") or "")),
                    (endpoint.get("conditions") or {}),
                )


def _usable(candidates: list[tuple[Endpoint, Object]]) -> Endpoints:
    """The ready ones (an absent condition means ready); else those that terminate but still serve."""
    ready = [endpoint for endpoint, state in candidates if state.get("ready", True) is not False]
    if not ready:
        ready = [endpoint for endpoint, state in candidates if state.get("terminating") and state.get("serving")]
    return Endpoints(tuple(sorted(ready, key=lambda e: (e.address, e.port))))


def _vips(service: Object) -> tuple[str, ...]:
    """Load balancer addresses whose packets arrive unchanged. Those of mode Proxy are served by a proxy in front of us."""
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return _ipv4(i["ip"] for i in ingress if i.get("ip") and i.get("ipMode", "VIP") == "VIP")


def _affinity(spec: Object) -> int:
    if spec.get("sessionAffinity") != "ClientIP":
        return 0
    client = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    return int(client.get("timeoutSeconds") or DEFAULT_AFFINITY_SECONDS)


def _ipv4(addresses: Iterable[str]) -> tuple[str, ...]:
    return tuple(a for a in addresses if ":" not in a)
