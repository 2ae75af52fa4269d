"""What the kernel's table should hold, kept as parts (one per Service, pod, ...) so that a change costs what changed.

Two parts may claim the same map key (two Services with one external address): the part whose owner sorts first holds it, and
when it lets go the next one gets it.
"""

from __future__ import annotations

from collections.abc import Iterable

from proxy.rules import Chain
from proxy.ruleset import Change, Element, Present, Ruleset, diff, rebuild, recreate

_EMPTY = Ruleset()


class Table:
    """The desired ruleset and what of it has changed since the last `take`."""

    def __init__(self) -> None:
        self._parts: dict[str, Ruleset] = {}
        # Names of chains and sets are their owner's alone.
        self._chains: dict[str, Chain] = {}
        self._sets: dict[str, str] = {}
        self._claims: dict[Element, dict[str, str]] = {}
        self._before = _Touched()

    def owners(self) -> Iterable[str]:
        """Who has a part."""
        return list(self._parts)

    def holds(self, name: str) -> bool:
        """Whether a chain or set of that name is wanted."""
        return name in self._chains or name in self._sets

    def replace(self, owner: str, part: Ruleset = _EMPTY) -> None:
        """Set an owner's part; an empty one takes it out."""
        old = self._parts.get(owner, _EMPTY)
        if old == part:
            return
        for name in old.chains.keys() | part.chains.keys():
            self._before.chains.setdefault(name, old.chains.get(name))
            self._chains.pop(name, None)
        for name in old.sets.keys() | part.sets.keys():
            self._before.sets.setdefault(name, old.sets.get(name))
            self._sets.pop(name, None)
        for element in old.elements.keys() | part.elements.keys():
            self._before.elements.setdefault(element, self._value(element))
            self._claim(element, owner, part.elements.get(element))
        self._chains.update(part.chains)
        self._sets.update(part.sets)
        if part == _EMPTY:
            self._parts.pop(owner, None)
        else:
            self._parts[owner] = part

    def take(self) -> Change:
        """The commands for everything changed since the last call, which the caller must now apply."""
        touched, self._before = self._before, _Touched()
        chains = {n: self._chains[n] for n in touched.chains if n in self._chains}
        sets = {n: self._sets[n] for n in touched.sets if n in self._sets}
        elements = {e: v for e in touched.elements if (v := self._value(e)) is not None}
        return diff(touched.ruleset(), Ruleset(chains, sets, elements))

    def whole(self) -> Ruleset:
        """Everything."""
        return Ruleset(self._chains, self._sets, {e: v for e in self._claims if (v := self._value(e)) is not None})

    def take_all(self, present: Present) -> Change:
        """The commands that make the kernel hold the whole whatever it holds now."""
        self._before = _Touched()
        return rebuild(self.whole(), present)

    def take_afresh(self) -> Change:
        """The commands that throw the kernel's table away and make it anew."""
        self._before = _Touched()
        return recreate(self.whole())

    def _claim(self, element: Element, owner: str, value: str | None) -> None:
        claims = self._claims.setdefault(element, {})
        if value is None:
            claims.pop(owner, None)
        else:
            claims[owner] = value
        if not claims:
            del self._claims[element]

    def _value(self, element: Element) -> str | None:
        claims = self._claims.get(element)
        return claims[min(claims)] if claims else None


class _Touched:
    """What was there before for everything that has been touched; None where there was nothing."""

    def __init__(self) -> None:
        self.chains: dict[str, Chain | None] = {}
        self.sets: dict[str, str | None] = {}
        self.elements: dict[Element, str | None] = {}

    def ruleset(self) -> Ruleset:
        return Ruleset(
            {n: c for n, c in self.chains.items() if c is not None},
            {n: s for n, s in self.sets.items() if s is not None},
            {e: v for e, v in self.elements.items() if v is not None},
        )
