"""nftables rules as data: every kind of rule that the proxy writes, and its text.

Being data they can be compared (a change becomes the fewest commands) and evaluated (tests ask where a packet goes).
Source of the syntax: nft(8).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

# The bit of the packet mark that says "masquerade me on the way out", as kube-proxy's.
MASQUERADE_BIT = 0x4000
SERVICE_KEY = ("ip daddr", "meta l4proto", "th dport")
PORT_KEY = ("meta l4proto", "th dport")


class Action(Protocol):
    """What a rule does with a packet that it matches."""

    @property
    def text(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Match:
    """One condition: `field` is nft's own words, `value` a literal or `@set`."""

    field: str
    value: str
    negate: bool = False

    @property
    def text(self) -> str:
        return f"{self.field} {'!= ' if self.negate else ''}{self.value}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """accept, drop, return; or jump and goto with a chain."""

    kind: str
    chain: str = ""

    @property
    def text(self) -> str:
        return f"{self.kind} {self.chain}".strip()


@dataclass(frozen=True, slots=True)
class Dnat:
    """Send the connection to an endpoint."""

    address: str
    port: int

    @property
    def text(self) -> str:
        return f"dnat ip to {self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class Balance:
    """Go to one of the chains, each with the same chance."""

    chains: tuple[str, ...]

    @property
    def text(self) -> str:
        arms = ", ".join(f"{i} : goto {chain}" for i, chain in enumerate(self.chains))
        return f"numgen random mod {len(self.chains)} vmap {{ {arms} }}"


@dataclass(frozen=True, slots=True)
class Lookup:
    """Take the verdict that a map holds for the packet; fall through when it holds none."""

    key: tuple[str, ...]
    table: str

    @property
    def text(self) -> str:
        return f"{' . '.join(self.key)} vmap @{self.table}"


@dataclass(frozen=True, slots=True)
class Remember:
    """Put the packet's source into a dynamic set, or renew it there."""

    table: str

    @property
    def text(self) -> str:
        return f"update @{self.table} {{ ip saddr }}"


@dataclass(frozen=True, slots=True)
class Plain:
    """A statement without parts: mark, unmark, masquerade, reject."""

    name: str
    text: str = field(compare=False)


MARK = Plain("mark", f"meta mark set mark | {MASQUERADE_BIT:#x}")
UNMARK = Plain("unmark", f"meta mark set mark & {0xFFFFFFFF ^ MASQUERADE_BIT:#x}")
MASQUERADE = Plain("masquerade", "masquerade fully-random")
REJECT_TCP = Plain("reject", "reject with tcp reset")
REJECT = Plain("reject", "reject")
DROP, RETURN, ACCEPT = Verdict("drop"), Verdict("return"), Verdict("accept")


@dataclass(frozen=True, slots=True)
class Rule:
    """Conditions that must all hold, and what is done then."""

    when: tuple[Match, ...]
    then: Action

    @property
    def text(self) -> str:
        return " ".join([*(m.text for m in self.when), self.then.text])


def rule(*parts: Match | Action) -> Rule:
    """A rule from its conditions followed by its action."""
    *when, then = parts
    return Rule(tuple(m for m in when if isinstance(m, Match)), then)


@dataclass(frozen=True, slots=True)
class Chain:
    """Rules in order. `hook` is the declaration of a base chain, empty for a regular one."""

    rules: tuple[Rule, ...]
    hook: str = ""
