"""A hand-written nftables: understands the proxy's commands, is atomic, and refuses what the real one refuses."""

from __future__ import annotations

import copy
import re
from collections.abc import Collection

from client.command import CommandError
from proxy.rules import Chain, Plain, Rule
from proxy.ruleset import TABLE, Present, Ruleset


class NftError(CommandError):
    def __init__(self, why: str) -> None:
        super().__init__(("nft", "-f", "-"), 1, why)


class FakeKernel:
    def __init__(self) -> None:
        self.chains: dict[str, list[str]] = {}
        self.sets: dict[str, str] = {}
        self.elements: dict[tuple[str, str], str] = {}
        self.exists = False
        self.applied: list[str] = []
        self.failures = 0

    async def apply(self, commands: str) -> None:
        if self.failures:
            self.failures -= 1
            raise NftError("no luck today")
        self.run(commands)
        self.applied.append(commands)

    async def present(self) -> Present:
        return self._present()

    def present_now(self) -> Present:
        return self._present()

    def _present(self) -> Present:
        dynamic = {n for n, text in self.sets.items() if "dynamic" in text}
        maps = {n for n, text in self.sets.items() if " : " in text}
        return Present(
            frozenset(self.chains), frozenset(maps), frozenset(self.sets.keys() - dynamic - maps), frozenset(dynamic)
        )

    def run(self, commands: str) -> None:
        """All or nothing. Raises NftError."""
        before = copy.deepcopy((self.chains, self.sets, self.elements, self.exists))
        try:
            for line in commands.splitlines():
                self._do(line)
            self._check_references()
        except NftError:
            self.chains, self.sets, self.elements, self.exists = before
            raise

    def _do(self, line: str) -> None:
        verb, kind, rest = line.split(" ", 2)
        rest = rest.removeprefix(TABLE).strip()
        name, _, body = rest.partition(" ")
        if kind == "table":
            if verb == "delete":
                _need(self.exists, line)
                self.__init__()  # type: ignore[misc]
            self.exists = verb == "add"
            return
        _need(self.exists, line)
        getattr(self, f"_{verb}_{kind}")(name, body, line)

    def _add_chain(self, name: str, body: str, line: str) -> None:
        self.chains.setdefault(name, [])

    def _flush_chain(self, name: str, body: str, line: str) -> None:
        _need(name in self.chains, line)
        self.chains[name] = []

    def _delete_chain(self, name: str, body: str, line: str) -> None:
        _need(self.chains.get(name) == [], line)
        del self.chains[name]

    def _add_rule(self, name: str, body: str, line: str) -> None:
        _need(name in self.chains, line)
        self.chains[name].append(body)

    def _add_set(self, name: str, body: str, line: str) -> None:
        self.sets.setdefault(name, body.strip("{} "))

    _add_map = _add_set

    def _flush_map(self, name: str, body: str, line: str) -> None:
        _need(name in self.sets, line)
        self.elements = {e: v for e, v in self.elements.items() if e[0] != name}

    _flush_set = _flush_map

    def _delete_set(self, name: str, body: str, line: str) -> None:
        _need(name in self.sets, line)
        del self.sets[name]

    def _add_element(self, name: str, body: str, line: str) -> None:
        _need(name in self.sets, line)
        for item in body.strip("{} ").split(", "):
            key, _, value = item.partition(" : ")
            _need(self.elements.get((name, key), value) == value, line)
            self.elements[name, key] = value

    def _delete_element(self, name: str, body: str, line: str) -> None:
        for key in body.strip("{} ").split(", "):
            _need((name, key) in self.elements, line)
            del self.elements[name, key]

    def _check_references(self) -> None:
        texts = [text for rules in self.chains.values() for text in rules] + list(self.elements.values())
        for text in texts:
            for chain in re.findall(r"(?:goto|jump) ([^ ,}]+)", text):
                _need(chain in self.chains, f"reference to chain {chain}")
            for table in re.findall(r"@([^ ]+)", text):
                _need(table in self.sets, f"reference to set {table}")

    def ruleset(self, without: Collection[str] = ()) -> Ruleset:
        """What is there, with each rule as its text."""
        chains = {n: _texts(rules) for n, rules in self.chains.items() if n not in without or rules}
        sets = {n: text for n, text in self.sets.items() if n not in without or self._used(n)}
        return Ruleset(chains, sets, dict(self.elements))

    def _used(self, name: str) -> bool:
        return any(f"@{name} " in f"{text} " for rules in self.chains.values() for text in rules)

    def normal(self, wanted: Ruleset) -> Ruleset:
        """A wanted ruleset in the form that `ruleset` has."""
        chains = {n: _texts([r.text for r in c.rules]) for n, c in wanted.chains.items()}
        return Ruleset(chains, {n: t.strip() for n, t in wanted.sets.items()}, dict(wanted.elements))


def _texts(rules: list[str]) -> Chain:
    return Chain(tuple(Rule((), Plain(text, text)) for text in rules))


def _need(condition: bool, line: str) -> None:
    if not condition:
        raise NftError(f"No such file or directory: {line}")
