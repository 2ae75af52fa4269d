"""The whole ruleset as data, and the difference of two of them as the fewest nft commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from proxy.rules import Chain

TABLE = "inet cloudlet"
Element = tuple[str, str]
"""A map's (or set's) name, and the key in it."""


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Chains by name; sets and maps by name with their declaration; elements with their value (empty in a set)."""

    chains: Mapping[str, Chain] = field(default_factory=dict)
    sets: Mapping[str, str] = field(default_factory=dict)
    elements: Mapping[Element, str] = field(default_factory=dict)


@dataclass(slots=True)
class Change:
    """One transaction: `commands` in order, and what is empty and unused after it.

    Kernels before 6.2 do not let go of a chain in the transaction that removes the last map element naming it, so that what
    is stale is deleted in a later one.
    """

    commands: list[str] = field(default_factory=list)
    stale_chains: list[str] = field(default_factory=list)
    stale_sets: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(f"{command}\n" for command in self.commands)


def diff(old: Ruleset, new: Ruleset) -> Change:
    """What turns `old` into `new`; empty when they are equal. Every command succeeds if the kernel holds `old`."""
    change = Change()
    say = change.commands.append
    for name, declaration in new.sets.items():
        if name not in old.sets:
            say(_declare_set(name, declaration))
    changed = [name for name, chain in new.chains.items() if old.chains.get(name) != chain]
    for name in changed:
        if name not in old.chains:
            say(f"add chain {TABLE} {name}" + (f" {{ {new.chains[name].hook} }}" if new.chains[name].hook else ""))
    gone = [e for e, value in old.elements.items() if new.elements.get(e) != value]
    change.commands += _element_commands("delete", gone, {})
    change.stale_chains = [name for name in old.chains if name not in new.chains]
    for name in change.stale_chains + [name for name in changed if name in old.chains]:
        say(f"flush chain {TABLE} {name}")
    for name in changed:
        change.commands += [f"add rule {TABLE} {name} {rule.text}" for rule in new.chains[name].rules]
    added = [e for e, value in new.elements.items() if old.elements.get(e) != value]
    change.commands += _element_commands("add", added, new.elements)
    change.stale_sets = [name for name in old.sets if name not in new.sets]
    return change


@dataclass(frozen=True, slots=True)
class Present:
    """The names that the kernel's table holds. `dynamic` are the sets that packets fill."""

    chains: frozenset[str] = frozenset()
    maps: frozenset[str] = frozenset()
    sets: frozenset[str] = frozenset()
    dynamic: frozenset[str] = frozenset()


def rebuild(new: Ruleset, present: Present) -> Change:
    """What makes the kernel hold `new` whatever its chains and maps hold now.

    Dynamic sets keep their elements, so that clients keep their endpoint over a restart of the proxy.
    """
    change = Change([f"add table {TABLE}"])
    change.commands += [f"flush chain {TABLE} {name}" for name in sorted(present.chains)]
    change.commands += [f"flush map {TABLE} {name}" for name in sorted(present.maps)]
    change.commands += [f"flush set {TABLE} {name}" for name in sorted(present.sets)]
    change.commands += diff(Ruleset(), new).commands
    change.stale_chains = sorted(present.chains - new.chains.keys())
    change.stale_sets = sorted((present.sets | present.dynamic) - new.sets.keys())
    return change


def recreate(new: Ruleset) -> Change:
    """The table thrown away and made anew in one transaction: the answer to anything that `rebuild` cannot mend."""
    head = [f"add table {TABLE}", f"delete table {TABLE}", f"add table {TABLE}"]
    return Change(head + diff(Ruleset(), new).commands)


def deletions(chains: Iterable[str], sets: Iterable[str]) -> Change:
    """Delete chains and sets that are empty and unused."""
    commands = [f"delete chain {TABLE} {name}" for name in chains]
    return Change(commands + [f"delete set {TABLE} {name}" for name in sets])


def _declare_set(name: str, declaration: str) -> str:
    return f"add {'map' if ' : ' in declaration else 'set'} {TABLE} {name} {{ {declaration} }}"


def _element_commands(verb: str, elements: list[Element], values: Mapping[Element, str]) -> list[str]:
    commands = []
    for table, group in groupby(sorted(elements), key=lambda e: e[0]):
        items = [f"{e[1]} : {values[e]}" if values.get(e) else e[1] for e in group]
        commands.append(f"{verb} element {TABLE} {table} {{ {', '.join(items)} }}")
    return commands
