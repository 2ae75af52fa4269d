"""Inter-pod terms: which pods an affinity term or a spread constraint speaks of, and an index to find terms by labels."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from api.selectors import LabelSelector

NamespaceLabels = Mapping[str, Mapping[str, str]]
"""Labels of every namespace, by its name."""


@dataclass(frozen=True, slots=True)
class PodTerm:
    """A set of pods: in `namespaces` or in a namespace whose labels match, with labels that match `selector`."""

    selector: LabelSelector
    namespaces: frozenset[str]
    namespace_selector: LabelSelector | None = None

    def matches(self, namespace: str, labels: Mapping[str, str], spaces: NamespaceLabels) -> bool:
        if namespace not in self.namespaces and not (
            self.namespace_selector is not None and self.namespace_selector.matches(spaces.get(namespace, {}))
        ):
            return False
        return self.selector.matches(labels)


@dataclass(frozen=True, slots=True)
class AffinityTerm:
    """A PodAffinityTerm: the pods it speaks of, and the label that says which nodes are one place."""

    pods: PodTerm
    topology_key: str


T = TypeVar("T", bound=Hashable)


class TermIndex(Generic[T]):
    """Finds the entries that could match a set of labels without asking every one of them.

    An entry stands under each `key=value` of its first In requirement; those without one are always candidates.
    """

    def __init__(self) -> None:
        self._by_pair: dict[tuple[str, str], dict[T, None]] = {}
        self._general: dict[T, None] = {}

    @staticmethod
    def _pairs(selector: LabelSelector) -> list[tuple[str, str]]:
        for requirement in selector.requirements:
            if requirement.operator == "In":
                return [(requirement.key, value) for value in requirement.values]
        return []

    def add(self, entry: T, selector: LabelSelector) -> None:
        """File an entry."""
        pairs = self._pairs(selector)
        for pair in pairs:
            self._by_pair.setdefault(pair, {})[entry] = None
        if not pairs:
            self._general[entry] = None

    def remove(self, entry: T, selector: LabelSelector) -> None:
        """Take it out again."""
        self._general.pop(entry, None)
        for pair in self._pairs(selector):
            entries = self._by_pair.get(pair)
            if entries is not None:
                entries.pop(entry, None)
                if not entries:
                    del self._by_pair[pair]

    def candidates(self, labels: Mapping[str, str]) -> Iterator[T]:
        """Entries that may match; each still has to be asked."""
        yield from self._general
        if self._by_pair:
            for pair in labels.items():
                entries = self._by_pair.get(pair)
                if entries:
                    yield from entries
