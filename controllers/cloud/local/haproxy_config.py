"""A load balancer as HAProxy's configuration. Pure. Source: the HAProxy Configuration Manual 2.6."""

from __future__ import annotations

from controllers.cloud.provider import Balancer, BalancerPort, Unsupported

_HEAD = """\
# {service}: written by cloudlet-cloud, changed whenever the Service or the nodes change.
global
    nbthread 1
    maxconn 4000
    hard-stop-after 10m

defaults
    mode tcp
    timeout connect 3s
    timeout client 1h
    timeout server 1h
    timeout check 2s
    retries 3
    option redispatch 1
    option clitcpka
    default-server check inter 5s fastinter 500ms downinter 500ms fall 2 rise 1 on-marked-down shutdown-sessions
"""


def render(balancer: Balancer, ip: str) -> str:
    """The whole file. Raises Unsupported for what HAProxy cannot balance."""
    other = [p for p in balancer.ports if p.protocol != "TCP"]
    if other:
        raise Unsupported(f"port {other[0].port}/{other[0].protocol}: only TCP can be balanced by the local provider")
    parts = [_HEAD.format(service=_safe(balancer.service))]
    parts += [_section(balancer, port, ip) for port in balancer.ports]
    return "\n".join(parts)


def _section(balancer: Balancer, port: BalancerPort, ip: str) -> str:
    lines = [f"listen port-{port.port}", f"    bind {ip}:{port.port}"]
    if balancer.source_ranges:
        lines.append(
            f"    tcp-request connection reject unless {{ src {' '.join(map(_safe, balancer.source_ranges))} }}"
        )
    if balancer.sticky_seconds:
        lines += [
            "    balance leastconn",
            f"    stick-table type ip size 100k expire {balancer.sticky_seconds}s",
            "    stick on src",
        ]
    else:
        lines.append("    balance roundrobin")
    lines += [f"    server {_safe(node)} {_safe(node)}:{port.node_port}" for node in sorted(balancer.backends)]
    return "\n".join([*lines, ""])


def _safe(word: str) -> str:
    """Text from the API that must stay one word on one line."""
    return "".join(c for c in word if c.isalnum() or c in "./:-_")
