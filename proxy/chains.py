"""From ServicePorts and host ports to chains and map elements. The layout follows kube-proxy's nftables mode:

`services` looks the destination up in a verdict map and goes to the port's chain, which picks an endpoint's chain, which
rewrites the destination. What has no endpoint stands in `no-endpoints` and is refused before it could be forwarded.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from proxy.base import (
    CLUSTER_IPS,
    FIREWALL,
    HOST_PORT_IPS,
    HOST_PORTS,
    NO_ENDPOINTS,
    NO_NODE_ENDPOINTS,
    NODE_PORTS,
    REFUSE,
    SERVICE_IPS,
)
from proxy.hostports import HostPort
from proxy.rules import (
    DROP,
    MARK,
    RETURN,
    Balance,
    Chain,
    Dnat,
    Match,
    Remember,
    Rule,
    Verdict,
    rule,
)
from proxy.ruleset import Element, Ruleset
from proxy.services import Endpoint, Endpoints, ServicePort

_NAME_MAX = 128


@dataclass(slots=True)
class _Draft:
    chains: dict[str, Chain] = field(default_factory=dict)
    sets: dict[str, str] = field(default_factory=dict)
    elements: dict[Element, str] = field(default_factory=dict)

    def ruleset(self) -> Ruleset:
        return Ruleset(self.chains, self.sets, self.elements)


def chain_name(kind: str, *parts: str | int) -> str:
    """A unique chain name that a person can read: kind, hash of the whole, and as much of the parts as fits."""
    text = "/".join(str(p) for p in parts)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    readable = "".join(c if c.isalnum() or c in "/.-_" else "_" for c in text)
    return f"{kind}-{digest}-{readable}"[:_NAME_MAX]


def service_rules(ports: list[ServicePort], cluster_cidr: str) -> Ruleset:
    """The part of the ruleset that one Service's ports need."""
    draft = _Draft()
    for port in ports:
        _add_port(draft, port, cluster_cidr)
    return draft.ruleset()


def _add_port(draft: _Draft, port: ServicePort, cluster_cidr: str) -> None:
    internal = _balancing_chain(draft, port, port.internal, "service")
    for ip in port.cluster_ips:
        draft.elements[CLUSTER_IPS, ip] = ""
        key = f"{ip} . {port.protocol} . {port.port}"
        if internal:
            own = rule(Match("ip daddr", ip), Match("ip saddr", cluster_cidr, negate=True), MARK)
            chain = draft.chains[internal]
            draft.chains[internal] = Chain((own, *chain.rules))
            draft.elements[SERVICE_IPS, key] = f"goto {internal}"
        else:
            draft.elements[NO_ENDPOINTS, key] = _refusal(port.internal)
    outside = {f"{ip} . {port.protocol} . {port.port}" for ip in port.external_ips + port.load_balancer_ips}
    if not outside and not port.node_port:
        return
    external = _external_chain(draft, port, cluster_cidr, internal)
    value = f"goto {external}" if external else _refusal(port.external)
    for key in outside:
        draft.elements[(SERVICE_IPS if external else NO_ENDPOINTS), key] = value
    if port.node_port:
        table = NODE_PORTS if external else NO_NODE_ENDPOINTS
        draft.elements[table, f"{port.protocol} . {port.node_port}"] = value
    if port.source_ranges and port.load_balancer_ips:
        _add_firewall(draft, port)


def _refusal(endpoints: Endpoints) -> str:
    return "drop" if endpoints.lost else f"goto {REFUSE}"


def _balancing_chain(draft: _Draft, port: ServicePort, endpoints: Endpoints, kind: str) -> str:
    """The chain that picks one of the endpoints; empty when there are none."""
    if not endpoints.usable:
        return ""
    arms = [(_endpoint_chain(draft, port, e), _affinity_set(draft, port, e)) for e in endpoints.usable]
    rules = [
        rule(Match("ip saddr", f"@{sticky}"), Verdict("goto", chain)) for chain, sticky in arms if sticky
    ]  # a client that came before goes where it went before
    rules.append(rule(Balance(tuple(chain for chain, _ in arms))))
    name = chain_name(kind, port.service, port.protocol, port.name or port.port)
    draft.chains[name] = Chain(tuple(rules))
    return name


def _external_chain(draft: _Draft, port: ServicePort, cluster_cidr: str, internal: str) -> str:
    """The chain for traffic from outside; empty when nothing could take it.

    With externalTrafficPolicy Local the client's address is kept and only pods of this machine are used; pods and the
    machine itself, for which there is no "outside", are served as if by the cluster address.
    """
    anywhere = (
        internal if port.internal == port.everywhere else _balancing_chain(draft, port, port.everywhere, "cluster")
    )
    if not anywhere:
        return ""
    rules: list[Rule] = [rule(MARK), rule(Verdict("goto", anywhere))]
    if port.external_local:
        nearby = _balancing_chain(draft, port, port.external, "local")
        rules = [
            rule(Match("ip saddr", cluster_cidr), Verdict("goto", anywhere)),
            rule(Match("fib saddr type", "local"), MARK),
            rule(Match("fib saddr type", "local"), Verdict("goto", anywhere)),
            rule(Verdict("goto", nearby)) if nearby else rule(DROP),
        ]
    name = chain_name("external", port.service, port.protocol, port.name or port.port)
    draft.chains[name] = Chain(tuple(rules))
    return name


def _endpoint_chain(draft: _Draft, port: ServicePort, endpoint: Endpoint) -> str:
    where = (port.service, port.protocol, port.name or port.port, f"{endpoint.address}/{endpoint.port}")
    name = chain_name("endpoint", *where)
    if name not in draft.chains:
        # A pod that reaches itself through its Service must see another source, or it would answer itself directly.
        rules = [rule(Match("ip saddr", endpoint.address), MARK)]
        if sticky := _affinity_set(draft, port, endpoint):
            rules.append(rule(Remember(sticky)))
        rules.append(rule(Match("meta l4proto", port.protocol), Dnat(endpoint.address, endpoint.port)))
        draft.chains[name] = Chain(tuple(rules))
    return name


def _affinity_set(draft: _Draft, port: ServicePort, endpoint: Endpoint) -> str:
    """The set of clients that stick to the endpoint. Its name holds the time-out, which cannot change in place."""
    if not port.affinity_seconds:
        return ""
    where = (port.service, port.protocol, port.name or port.port, f"{endpoint.address}/{endpoint.port}")
    name = chain_name(f"affinity-{port.affinity_seconds}", *where)
    draft.sets[name] = f"type ipv4_addr; size 65535; flags dynamic,timeout; timeout {port.affinity_seconds}s;"
    return name


def _add_firewall(draft: _Draft, port: ServicePort) -> None:
    """Only `loadBalancerSourceRanges` reach the load balancer's addresses."""
    name = chain_name("firewall", port.service, port.protocol, port.name or port.port)
    ranges = f"{{ {', '.join(port.source_ranges)} }}"
    draft.chains[name] = Chain((rule(Match("ip saddr", ranges), RETURN), rule(DROP)))
    for ip in port.load_balancer_ips:
        draft.elements[FIREWALL, f"{ip} . {port.protocol} . {port.port}"] = f"jump {name}"


def host_port_rules(ports: list[HostPort]) -> Ruleset:
    """The part of the ruleset that one pod's host ports need.

    A port without an address of its own stands at its node's address and, as several nodes may share this machine, at the
    machine's other addresses if no other pod took it there.
    """
    draft = _Draft()
    for port in ports:
        name = chain_name("hostport", port.pod, port.protocol, port.port, port.host_ip or "any")
        draft.chains[name] = Chain(
            (
                rule(Match("ip saddr", port.address), MARK),
                rule(Match("ip saddr", "127.0.0.0/8"), MARK),
                rule(Match("meta l4proto", port.protocol), Dnat(port.address, port.target)),
            )
        )
        for ip in (port.host_ip,) if port.host_ip else port.node_ips:
            draft.elements[HOST_PORT_IPS, f"{ip} . {port.protocol} . {port.port}"] = f"goto {name}"
        if not port.host_ip:
            draft.elements[HOST_PORTS, f"{port.protocol} . {port.port}"] = f"goto {name}"
    return draft.ruleset()
