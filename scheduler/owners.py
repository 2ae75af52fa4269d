"""The affinity terms that running pods carry themselves: they bind newcomers too (the symmetry of inter-pod affinity)."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from scheduler.podinfo import PodInfo
from scheduler.template import Template
from scheduler.terms import AffinityTerm, NamespaceLabels, TermIndex
from scheduler.vectors import Pool, Vector


class Kind(Enum):
    """What the pods that carry a term want of others."""

    ANTI = "required anti-affinity"
    NEAR = "required affinity"
    PREFERRED = "preferred, by weight; anti-affinity negative"


class Owned:
    """One distinct term: `weights.a[row]` sums what the pods on the row that carry it give it."""

    __slots__ = ("carriers", "term", "weights")

    def __init__(self, term: AffinityTerm, weights: Vector) -> None:
        self.term, self.weights, self.carriers = term, weights, 0


def _carried(template: Template) -> Iterator[tuple[Kind, AffinityTerm, int]]:
    for term in template.anti_affinity:
        yield Kind.ANTI, term, 1
    for term in template.affinity:
        yield Kind.NEAR, term, 1
    for weighted in template.preferred:
        yield Kind.PREFERRED, weighted.term, weighted.weight
    for weighted in template.preferred_anti:
        yield Kind.PREFERRED, weighted.term, -weighted.weight


class OwnedTerms:
    """All terms carried by assigned pods, findable by the labels of a newcomer."""

    def __init__(self, pool: Pool, spaces: NamespaceLabels) -> None:
        self._pool, self._spaces = pool, spaces
        self._owned: dict[Kind, dict[AffinityTerm, Owned]] = {kind: {} for kind in Kind}
        self._index: dict[Kind, TermIndex[AffinityTerm]] = {kind: TermIndex() for kind in Kind}

    def add(self, pod: PodInfo, row: int, sign: int = 1) -> None:
        """Count a pod's own terms on its row, or with sign -1 no longer."""
        template = pod.template
        if not (template.anti_affinity or template.affinity or template.preferred or template.preferred_anti):
            return
        for kind, term, weight in _carried(template):
            owned = self._owned[kind].get(term)
            if owned is None:
                owned = self._owned[kind][term] = Owned(term, self._pool.new())
                self._index[kind].add(term, term.pods.selector)
            owned.weights.a[row] += sign * weight
            owned.carriers += sign
            if not owned.carriers:
                del self._owned[kind][term]
                self._index[kind].remove(term, term.pods.selector)

    def any(self, kind: Kind) -> bool:
        """Whether anybody carries such a term."""
        return bool(self._owned[kind])

    def about(self, template: Template, kind: Kind) -> list[Owned]:
        """The terms of that kind that speak of pods of this template."""
        owned = self._owned[kind]
        if not owned:
            return []
        return [
            owned[term]
            for term in self._index[kind].candidates(template.labels)
            if term.pods.matches(template.namespace, template.labels, self._spaces)
        ]
