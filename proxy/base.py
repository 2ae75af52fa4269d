"""The fixed part of the ruleset: hooks, maps, and the chains that all Services share.

A packet's way: refused if it has nowhere to go (`endpoints-check`), rewritten to an endpoint (`services`), refused if it still
names a cluster address afterwards (`ports-check`), given our own source where the answer must come back to us
(`masquerading`). Refusing comes first so that it needs no route to the address.
"""

from __future__ import annotations

from proxy.rules import (
    DROP,
    MASQUERADE,
    MASQUERADE_BIT,
    PORT_KEY,
    REJECT,
    REJECT_TCP,
    SERVICE_KEY,
    UNMARK,
    Chain,
    Lookup,
    Match,
    Verdict,
    rule,
)
from proxy.ruleset import Ruleset

SERVICE_IPS, NODE_PORTS = "service-ips", "service-nodeports"
NO_ENDPOINTS, NO_NODE_ENDPOINTS = "no-endpoints", "no-endpoints-nodeports"
FIREWALL, CLUSTER_IPS = "firewall-ips", "cluster-ips"
HOST_PORTS, HOST_PORT_IPS = "hostports", "hostport-ips"
NODE_IPS = "node-ips"
REFUSE = "refuse"

_BY_ADDRESS = "type ipv4_addr . inet_proto . inet_service : verdict;"
_BY_PORT = "type inet_proto . inet_service : verdict;"
_SETS = {
    SERVICE_IPS: _BY_ADDRESS,
    NO_ENDPOINTS: _BY_ADDRESS,
    FIREWALL: _BY_ADDRESS,
    HOST_PORT_IPS: _BY_ADDRESS,
    NODE_PORTS: _BY_PORT,
    NO_NODE_ENDPOINTS: _BY_PORT,
    HOST_PORTS: _BY_PORT,
    CLUSTER_IPS: "type ipv4_addr;",
    NODE_IPS: "type ipv4_addr;",
}
# chain, chain it jumps to, new connections only, and nft's type, hook and priority
_HOOKS = (
    ("filter-prerouting", "endpoints-check", True, "filter hook prerouting priority -110"),
    ("filter-output", "endpoints-check", True, "filter hook output priority -110"),
    ("nat-prerouting", "services", False, "nat hook prerouting priority -100"),
    ("nat-output", "services", False, "nat hook output priority -100"),
    ("filter-input", "ports-check", True, "filter hook input priority -90"),
    ("filter-forward", "ports-check", True, "filter hook forward priority -90"),
    ("filter-output-after", "ports-check", True, "filter hook output priority -90"),
    ("nat-postrouting", "masquerading", False, "nat hook postrouting priority 100"),
)


def base_rules(cluster_cidr: str) -> Ruleset:
    """The fixed part for a pod range."""
    chains = _shared(cluster_cidr)
    for name, target, only_new, hook in _HOOKS:
        jump = Verdict("jump", target)
        first = rule(Match("ct state", "new"), jump) if only_new else rule(jump)
        chains[name] = Chain((first,), f"type {hook}; policy accept;")
    # 127.0.0.1 is the machine's own: with route_localnet set, nobody else may aim at it.
    guard = rule(Match("iifname", "lo", negate=True), Match("ip daddr", "127.0.0.0/8"), DROP)
    chains["raw-prerouting"] = Chain((guard,), "type filter hook prerouting priority -300; policy accept;")
    return Ruleset(chains, _SETS)


def _shared(cluster_cidr: str) -> dict[str, Chain]:
    to_node, to_itself = Match("ip daddr", f"@{NODE_IPS}"), Match("ip daddr", "127.0.0.1")
    marked = Match(f"meta mark & {MASQUERADE_BIT:#x} ==", f"{MASQUERADE_BIT:#x}")
    elsewhere = Match("ip daddr", f"{{ {cluster_cidr}, 224.0.0.0/4 }}", negate=True)
    return {
        REFUSE: Chain((rule(Match("meta l4proto", "tcp"), REJECT_TCP), rule(REJECT))),
        "services": Chain(
            (
                rule(Lookup(SERVICE_KEY, SERVICE_IPS)),
                rule(to_node, Lookup(PORT_KEY, NODE_PORTS)),
                rule(Lookup(SERVICE_KEY, HOST_PORT_IPS)),
                rule(to_node, Lookup(PORT_KEY, HOST_PORTS)),
                rule(to_itself, Lookup(PORT_KEY, HOST_PORTS)),
            )
        ),
        "endpoints-check": Chain(
            (
                rule(Lookup(SERVICE_KEY, FIREWALL)),
                rule(Lookup(SERVICE_KEY, NO_ENDPOINTS)),
                rule(to_node, Lookup(PORT_KEY, NO_NODE_ENDPOINTS)),
            )
        ),
        # What still names a cluster address after the rewriting asked for a port that the Service does not have.
        "ports-check": Chain((rule(Match("ip daddr", f"@{CLUSTER_IPS}"), Verdict("goto", REFUSE)),)),
        "masquerading": Chain(
            (
                rule(marked, Verdict("jump", "masquerade-now")),
                rule(Match("ip saddr", cluster_cidr), elsewhere, MASQUERADE),
            )
        ),
        "masquerade-now": Chain((rule(UNMARK), rule(MASQUERADE))),
    }
