"""UDP has no goodbye: the kernel keeps sending a flow to an endpoint that has gone until the flow is forgotten for it.

The plan is pure; carrying it out needs the program `conntrack`, without which flows end by their own time-out (30 to 120 s).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from client.command import CommandError, Commands
from proxy.services import ServicePort


@dataclass(frozen=True, slots=True)
class Flow:
    """UDP flows to `address` (any if empty) and `port`, those that were rewritten to `endpoint` (any if empty)."""

    port: int
    address: str = ""
    endpoint: str = ""


def stale(old: Iterable[ServicePort], new: Iterable[ServicePort]) -> set[Flow]:
    """The flows to forget when a Service's ports change from `old` to `new`.

    An endpoint that left takes its flows along; a Service that gets its first endpoint must not find flows that were let
    through without one.
    """
    before = {(p.service, p.name, p.port): p for p in old if p.protocol == "udp"}
    after = {(p.service, p.name, p.port): p for p in new if p.protocol == "udp"}
    flows: set[Flow] = set()
    for identity, port in before.items():
        left = _addresses(port) - _addresses(after.get(identity))
        for endpoint in left:
            flows |= {Flow(p, address, endpoint) for address, p in _fronts(port)}
    for identity, port in after.items():
        if _addresses(port) and not _addresses(before.get(identity)):
            flows |= {Flow(p, address) for address, p in _fronts(port)}
    return flows


def _addresses(port: ServicePort | None) -> set[str]:
    return {e.address for e in port.everywhere.usable} if port else set()


def _fronts(port: ServicePort) -> set[tuple[str, int]]:
    fronts = {(ip, port.port) for ip in port.cluster_ips + port.external_ips + port.load_balancer_ips}
    return fronts | ({("", port.node_port)} if port.node_port else set())


class Conntrack:
    """Forgets flows, if it can."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._able = True
        self._log = structlog.get_logger("conntrack")

    async def forget(self, flows: Iterable[Flow]) -> None:
        """Forget the flows; failures are logged."""
        for flow in sorted(flows, key=str):
            if not self._able:
                return
            argv = ["conntrack", "-D", "-p", "udp", "--orig-port-dst", str(flow.port)]
            argv += ["--orig-dst", flow.address] if flow.address else []
            argv += ["--reply-src", flow.endpoint] if flow.endpoint else []
            try:
                await self._commands.run(*argv)
            except CommandError as error:
                if error.code is None:
                    self._able = False
                    self._log.warning("stale UDP flows end by their time-out only", error=str(error))
                elif "0 flow entries" not in error.stderr:
                    self._log.warning("flow not forgotten", error=str(error))
