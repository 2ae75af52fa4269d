"""What a firewall does with a packet, read from `nft -j list ruleset`.

Conditions that cannot be judged from the text (marks, limits, extensions of iptables) may be met or not, so the answer is
a set: one verdict is certain, two are not. Source of the form: libnftables-json(5).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

_FAMILIES = ("ip", "inet")
_DEPTH = 16
_REFUSALS = ("REJECT", "DROP")
_ENDS = {"accept": "accept", "drop": "drop", "reject": "drop", "return": "return", "queue": "accept"}

Expression = dict[str, Any]
Verdicts = frozenset[str]
"""Of "accept", "drop" and, inside a chain, "return"."""


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a connection. What is None is not known."""

    protocol: str
    port: int
    source: str | None = None
    destination: str | None = None
    entry: str | None = None
    exit: str | None = None

    def value(self, left: Expression) -> str | int | None:
        """The value of a field that a rule asks for."""
        known: dict[tuple[str, str], str | int | None] = {
            ("ip", "saddr"): self.source,
            ("ip", "daddr"): self.destination,
            ("ip", "protocol"): self.protocol,
            (self.protocol, "dport"): self.port,
            ("th", "dport"): self.port,
            ("meta", "iifname"): self.entry,
            ("meta", "iif"): self.entry,
            ("meta", "oifname"): self.exit,
            ("meta", "oif"): self.exit,
            ("meta", "l4proto"): self.protocol,
            ("meta", "nfproto"): "ipv4",
            ("ct", "state"): "new",
            ("ct", "status"): "none",
        }
        for kind, body in left.items():
            if isinstance(body, dict):
                of, name = (body.get("protocol"), body.get("field")) if kind == "payload" else (kind, body.get("key"))
                return known.get((str(of), str(name)))
        return None

    def lacks(self, left: Expression) -> bool:
        """Whether the field is of a protocol that this packet is not of: `tcp dport` of a packet of UDP, `ip6 saddr`."""
        protocol = (left.get("payload") or {}).get("protocol")
        return protocol in {"tcp", "udp", "icmp", "icmpv6", "ip6", "sctp"} - {self.protocol}


@dataclass(slots=True)
class Chain:
    """A chain: its rules in order; `hook` and `policy` are empty unless it is a base chain."""

    table: str
    name: str
    hook: str = ""
    policy: str = "accept"
    rules: list[list[Expression]] = field(default_factory=list)


class Firewall:
    """The chains of a ruleset that IPv4 packets meet."""

    def __init__(self, ruleset: dict[str, Any]) -> None:
        self._chains: dict[tuple[str, str, str], Chain] = {}
        self._sets: dict[tuple[str, str, str], list[Any]] = {}
        for entry in ruleset.get("nftables") or ():
            for kind, body in entry.items():
                if body.get("family") in _FAMILIES:
                    self._add(kind, body)

    def _add(self, kind: str, body: dict[str, Any]) -> None:
        family, table = body["family"], body.get("table", "")
        if kind == "chain":
            filters = body.get("type") == "filter"
            self._chains[family, table, body["name"]] = Chain(
                f"{family} {table}",
                body["name"],
                body.get("hook", "") if filters else "",
                body.get("policy", "accept"),
            )
        elif kind == "set":
            self._sets[family, table, body["name"]] = body.get("elem") or []
        elif kind == "rule":
            self._chains[family, table, body["chain"]].rules.append(body.get("expr") or [])

    def names(self) -> set[str]:
        """The names of all chains."""
        return {name for _, _, name in self._chains}

    def verdicts(self, hook: str, packet: Packet) -> Iterator[tuple[Chain, Verdicts]]:
        """What each base chain of a hook may do with a packet. It passes when every one of them accepts it."""
        for key, chain in self._chains.items():
            if chain.hook == hook:
                found = self._walk(key, packet, 0)
                yield chain, frozenset(chain.policy if verdict == "return" else verdict for verdict in found)

    def _walk(self, key: tuple[str, str, str], packet: Packet, depth: int) -> Verdicts:
        chain = self._chains.get(key)
        if chain is None or depth > _DEPTH:
            return frozenset({"accept", "drop", "return"})
        found: set[str] = set()
        for rule in chain.rules:
            certain, verdicts = self._rule(rule, key, packet, depth)
            found |= verdicts - {"continue"}
            if certain and "continue" not in verdicts:
                return frozenset(found)
        return frozenset(found | {"return"})

    def _rule(
        self, rule: list[Expression], key: tuple[str, str, str], packet: Packet, depth: int
    ) -> tuple[bool, Verdicts]:
        """Whether the rule is met for certain, and what it may then do ("continue" to go on); nothing if it is not met."""
        certain = True
        for expression in rule:
            for kind, body in expression.items():
                met = self._condition(kind, body, key, packet, rule)
                if met is False:
                    return True, frozenset({"continue"})
                certain = certain and met is True
                verdicts = self._statement(kind, body, key, packet, depth)
                if verdicts:
                    return certain, verdicts
        return True, frozenset({"continue"})

    def _condition(
        self, kind: str, body: Any, key: tuple[str, str, str], packet: Packet, rule: list[Expression]
    ) -> bool | None:
        """Whether a condition is met, None if that cannot be told. What is no condition is met."""
        if kind == "match":
            return self._match(body, key, packet)
        if kind == "limit":
            return None
        if kind == "xt" and body and body.get("type") == "match":
            # Alone, iptables' conntrack condition is the usual one: established connections pass. Ours is new.
            others = [e for e in rule if "match" in e or (e.get("xt") or {}).get("type") == "match"]
            return False if body.get("name") in ("conntrack", "state") and len(others) == 1 else None
        return True

    def _match(self, body: dict[str, Any], key: tuple[str, str, str], packet: Packet) -> bool | None:
        left = body.get("left")
        if not isinstance(left, dict):
            return None
        if packet.lacks(left):
            return False
        value = packet.value(left)
        if value is None:
            return None
        met = self._among(value, body.get("right"), key)
        return met if met is None or body.get("op") != "!=" else not met

    def _among(self, value: str | int, right: Any, key: tuple[str, str, str]) -> bool | None:
        """Whether a value is the right side's, or one of them."""
        if isinstance(right, str) and right.startswith("@"):
            right = {"set": self._sets.get((*key[:2], right[1:]))}
        if isinstance(right, dict) and "set" in right:
            right = right["set"]
        if right is None:
            return None
        members = right if isinstance(right, list) else [right]
        return _any(_equal(value, member) for member in members)

    def _statement(self, kind: str, body: Any, key: tuple[str, str, str], packet: Packet, depth: int) -> Verdicts:
        """What a statement may do; nothing for one that leaves the packet alone."""
        if kind in _ENDS:
            return frozenset({_ENDS[kind]})
        if kind in ("jump", "goto"):
            inner = self._walk((*key[:2], body["target"]), packet, depth + 1)
            return inner if kind == "goto" else frozenset("continue" if v == "return" else v for v in inner)
        if kind == "xt" and body and body.get("type") == "target":
            return frozenset({"drop"}) if body.get("name") in _REFUSALS else frozenset()
        if kind == "vmap":
            return self._vmap(body, key, packet, depth)
        return frozenset()

    def _vmap(self, body: dict[str, Any], key: tuple[str, str, str], packet: Packet, depth: int) -> Verdicts:
        table = body.get("data")
        value = packet.value(body["key"]) if isinstance(body.get("key"), dict) else None
        if not isinstance(table, dict) or not isinstance(table.get("set"), list) or value is None:
            return frozenset({"accept", "drop", "continue"})
        found: set[str] = set()
        for member, verdict in table["set"]:
            met = _equal(value, member)
            if met is not False:
                for kind, target in verdict.items():
                    found |= self._statement(kind, target, key, packet, depth) or {"continue"}
            if met:
                return frozenset(found)
        return frozenset(found | {"continue"})


def _any(answers: Iterable[bool | None]) -> bool | None:
    """Of three values: true if one is, unknown if one is, else false."""
    found = list(answers)
    return True if True in found else None if None in found else False


def _equal(value: str | int, member: Any) -> bool | None:
    """Whether a value is a member of a set: itself, in a range, under a prefix, or under a name that ends with `*`."""
    if isinstance(member, dict):
        if "elem" in member:
            return _equal(value, member["elem"].get("val"))
        return _within(value, member)
    if isinstance(member, str) and member.endswith("*"):
        return str(value).startswith(member[:-1])
    return str(value) == str(member)


def _within(value: str | int, member: dict[str, Any]) -> bool | None:
    try:
        if "prefix" in member:
            return ip_address(value) in ip_network(
                f"{member['prefix']['addr']}/{member['prefix']['len']}", strict=False
            )
        if "range" in member:
            low, high = member["range"]
            if isinstance(value, int):
                return int(low) <= value <= int(high)
            return int(ip_address(low)) <= int(ip_address(value)) <= int(ip_address(high))
    except ValueError:
        return None
    return None
