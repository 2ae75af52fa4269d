"""The columns of services, endpoints and the kinds of networking.k8s.io."""

from collections.abc import Iterable

from api.columns.cells import AGE, NAME, NONE, UNSET, Column, at, dig, joined, of, selector
from api.types import Object


def _ingress_points(obj: Object) -> list[str]:
    points = dig(obj, "status", "loadBalancer", "ingress") or ()
    return [str(each.get("ip") or each.get("hostname") or "") for each in points]


def _external(service: Object) -> str:
    spec = service.get("spec") or {}
    kind, own = spec.get("type", "ClusterIP"), list(spec.get("externalIPs") or ())
    if kind == "ExternalName":
        return str(spec.get("externalName", ""))
    if kind == "LoadBalancer":
        return ",".join(_ingress_points(service) + own) or "<pending>"
    return joined(own)


def _ports(service: Object) -> str:
    return joined(
        f"{port.get('port')}:{port['nodePort']}/{port.get('protocol')}"
        if port.get("nodePort")
        else f"{port.get('port')}/{port.get('protocol')}"
        for port in dig(service, "spec", "ports") or ()
    )


SERVICES = (
    NAME,
    Column("Type", at("spec.type")),
    Column(
        "Cluster-IP", of(lambda obj: (dig(obj, "spec", "clusterIPs") or [dig(obj, "spec", "clusterIP") or NONE])[0])
    ),
    Column("External-IP", of(_external)),
    Column("Port(s)", of(_ports)),
    AGE,
    Column("Selector", of(lambda obj: selector(dig(obj, "spec", "selector"))), wide=True),
)


def _join_host(ip: str, port: object) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def _addresses(endpoints: Object) -> Iterable[str]:
    for subset in endpoints.get("subsets") or ():
        ports = subset.get("ports") or ()
        for address in subset.get("addresses") or ():
            if not ports:
                yield str(address.get("ip", ""))
            for port in ports:
                yield _join_host(str(address.get("ip", "")), port.get("port"))


ENDPOINTS = (NAME, Column("Endpoints", of(lambda obj: joined(_addresses(obj), 3))), AGE)


def _slice_ports(obj: Object) -> str:
    ports = obj.get("ports")
    if not ports:
        return UNSET
    return joined(("*" if port.get("port") is None else port["port"] for port in ports), 3)


def _slice_addresses(obj: Object) -> str:
    found = [address for endpoint in obj.get("endpoints") or () for address in endpoint.get("addresses") or ()]
    return joined(found, 3) if found else UNSET


ENDPOINTSLICES = (
    NAME,
    Column("AddressType", at("addressType")),
    Column("Ports", of(_slice_ports)),
    Column("Endpoints", of(_slice_addresses)),
    AGE,
)


def _hosts(obj: Object) -> str:
    hosts = [rule["host"] for rule in dig(obj, "spec", "rules") or () if rule.get("host")]
    return joined(hosts, 3) if hosts else "*"


INGRESSES = (
    NAME,
    Column("Class", at("spec.ingressClassName", NONE)),
    Column("Hosts", of(_hosts)),
    Column("Address", of(lambda obj: ",".join(_ingress_points(obj)))),
    Column("Ports", of(lambda obj: "80, 443" if dig(obj, "spec", "tls") else "80")),
    AGE,
)


def _parameters(obj: Object) -> str:
    found = dig(obj, "spec", "parameters")
    if not found:
        return NONE
    kind = f"{found.get('kind')}.{found['apiGroup']}" if found.get("apiGroup") else str(found.get("kind"))
    return f"{kind}/{found.get('name')}"


INGRESSCLASSES = (
    NAME,
    Column("Controller", at("spec.controller")),
    Column("Parameters", of(_parameters)),
    AGE,
)
SERVICECIDRS = (NAME, Column("CIDRs", of(lambda obj: joined(dig(obj, "spec", "cidrs")))), AGE)


def _parent(obj: Object) -> str:
    ref = dig(obj, "spec", "parentRef") or {}
    kind = f"{ref.get('resource', '')}.{ref['group']}" if ref.get("group") else str(ref.get("resource", ""))
    place = f"{ref['namespace']}/" if ref.get("namespace") else ""
    return f"{kind}/{place}{ref.get('name', '')}"


IPADDRESSES = (NAME, Column("ParentRef", of(_parent)), AGE)
