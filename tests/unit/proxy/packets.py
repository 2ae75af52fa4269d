"""A small packet evaluator: where does the ruleset send a packet? Only what the proxy's rules use."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from proxy.rules import Action, Balance, Chain, Dnat, Lookup, Match, Plain, Remember, Rule, Verdict
from proxy.ruleset import Element, Ruleset


@dataclass(frozen=True)
class Packet:
    saddr: str
    daddr: str
    dport: int
    proto: str = "tcp"
    from_host: bool = False


@dataclass
class Fate:
    """`what` is "accept" (unchanged), "dnat", "reject" or "drop"."""

    what: str
    to: str = ""
    masquerade: bool = False


class _Ended(Exception):
    def __init__(self, what: str) -> None:
        self.what = what


class _Return(Exception):
    pass


@dataclass
class Network:
    """A kernel that holds a ruleset. `pick` chooses among n endpoints; `own` are the machine's addresses."""

    ruleset: Ruleset
    own: frozenset[str] = frozenset({"10.98.0.11", "10.98.0.12", "192.0.2.2", "127.0.0.1"})
    pick: Callable[[int], int] = lambda n: 0
    memory: dict[str, set[str]] = field(default_factory=dict)

    def send(self, packet: Packet) -> Fate:
        self._mark = False
        first, nat, after = (
            ("filter-output", "nat-output", "filter-output-after")
            if packet.from_host
            else ("filter-prerouting", "nat-prerouting", "filter-forward")
        )
        try:
            if not packet.from_host:
                self._run("raw-prerouting", packet)
            self._run(first, packet)
            before, packet = packet, self._translate(nat, packet)
            self._run(after, packet)
            masquerade = self._ends("nat-postrouting", packet) == "masquerade"
        except _Ended as end:
            return Fate(end.what)
        changed = packet != before
        return Fate("dnat" if changed else "accept", f"{packet.daddr}:{packet.dport}" if changed else "", masquerade)

    def targets(self, packet: Packet, most: int = 8) -> set[str]:
        """Everywhere the packet may go, by trying every choice."""
        seen = set()
        for choice in range(most):
            self.pick = lambda n, c=choice: c % n  # type: ignore[misc]
            seen.add(self.send(packet).to)
        return seen

    def _translate(self, chain: str, packet: Packet) -> Packet:
        end = self._ends(chain, packet)
        if end.startswith("dnat "):
            address, _, port = end[5:].partition(":")
            return replace(packet, daddr=address, dport=int(port))
        if end in ("drop", "reject"):
            raise _Ended(end)
        return packet

    def _ends(self, chain: str, packet: Packet) -> str:
        try:
            self._run(chain, packet)
        except _Ended as end:
            return end.what
        return "accept"

    def _run(self, name: str, packet: Packet) -> None:
        """Raises _Ended with a verdict; returns when the chain falls through."""
        chain: Chain = self.ruleset.chains[name]
        try:
            for rule in chain.rules:
                if all(self._holds(m, packet) for m in rule.when):
                    self._do(rule, rule.then, packet)
        except _Return:
            return

    def _do(self, rule: Rule, action: Action, packet: Packet) -> None:
        match action:
            case Verdict("accept" | "drop" as end):
                raise _Ended(end)
            case Verdict("return"):
                raise _Return
            case Verdict("jump", chain):
                self._run(chain, packet)
            case Verdict("goto", chain):
                self._run(chain, packet)
                raise _Return
            case Dnat(address, port):
                raise _Ended(f"dnat {address}:{port}")
            case Balance(chains):
                self._do(rule, Verdict("goto", chains[self.pick(len(chains))]), packet)
            case Lookup(key, table):
                element: Element = (table, " . ".join(self._field(k, packet) for k in key))
                value = self.ruleset.elements.get(element)
                if value:
                    kind, _, chain = value.partition(" ")
                    self._do(rule, Verdict(kind, chain), packet)
            case Remember(table):
                for sources in self.memory.values():
                    sources.discard(packet.saddr)
                self.memory.setdefault(table, set()).add(packet.saddr)
            case Plain(name=name):
                if name in ("mark", "unmark"):
                    self._mark = name == "mark"
                else:
                    raise _Ended(name)
            case _:
                raise AssertionError(f"unknown action {action}")

    def _field(self, name: str, packet: Packet) -> str:
        return {"ip daddr": packet.daddr, "meta l4proto": packet.proto, "th dport": str(packet.dport)}[name]

    def _holds(self, match: Match, packet: Packet) -> bool:
        return self._matches(match, packet) != match.negate

    def _matches(self, match: Match, packet: Packet) -> bool:
        match match.field:
            case "ip saddr":
                return self._in(packet.saddr, match.value)
            case "ip daddr":
                return self._in(packet.daddr, match.value)
            case "meta l4proto":
                return packet.proto == match.value
            case "fib saddr type":
                return packet.saddr in self.own
            case "iifname":
                return packet.from_host
            case "ct state":
                return True
            case field_ if field_.startswith("meta mark"):
                return self._mark
        raise AssertionError(f"unknown match {match}")

    def _in(self, address: str, value: str) -> bool:
        if value.startswith("@"):
            return (value[1:], address) in self.ruleset.elements or address in self.memory.get(value[1:], ())
        return any(
            ipaddress.ip_address(address) in ipaddress.ip_network(part) for part in re.findall(r"[\d./]+", value)
        )
