"""How many pods of a kind run on each node, kept as one vector for each question anybody has asked.

A question is a `PodTerm` (or a conjunction of them): "pods in this namespace with these labels". Pods with the same
namespace and labels form a class; each class knows which counters it feeds, so a pod that comes or goes costs one
addition for each of them. A question that is new is answered from the classes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scheduler.podinfo import PodInfo
from scheduler.terms import NamespaceLabels, PodTerm, TermIndex
from scheduler.vectors import Pool, Vector

_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Question:
    """Pods that match all of `terms`; `living` leaves out pods that are being deleted."""

    terms: tuple[PodTerm, ...]
    living: bool = False


class _Class:
    __slots__ = ("counters", "labels", "namespace", "rows", "terminating")

    def __init__(self, namespace: str, labels: Mapping[str, str], terminating: bool) -> None:
        self.namespace, self.labels, self.terminating = namespace, labels, terminating
        self.rows: dict[int, int] = {}
        self.counters: list[Vector] = []

    def answers(self, question: Question, spaces: NamespaceLabels) -> bool:
        if question.living and self.terminating:
            return False
        return all(t.matches(self.namespace, self.labels, spaces) for t in question.terms)


_ClassKey = tuple[str, frozenset[tuple[str, str]], bool]


class PodCounters:
    """The counts for all questions asked lately. `spaces` is read live: call `namespaces_changed` when it changes."""

    def __init__(self, pool: Pool, spaces: NamespaceLabels) -> None:
        self._pool = pool
        self._spaces = spaces
        self._classes: dict[_ClassKey, _Class] = {}
        self._counters: OrderedDict[Question, Vector] = OrderedDict()
        self._index: TermIndex[Question] = TermIndex()

    def add(self, pod: PodInfo, row: int, sign: int = 1) -> None:
        """Count a pod on a row, or with sign -1 no longer."""
        template = pod.template
        key = (template.namespace, template.label_key, pod.terminating)
        members = self._classes.get(key)
        if members is None:
            members = self._classes[key] = self._new_class(template.namespace, template.labels, pod.terminating)
        left = members.rows.get(row, 0) + sign
        if left:
            members.rows[row] = left
        else:
            members.rows.pop(row, None)
            if not members.rows:
                del self._classes[key]
        for counter in members.counters:
            counter.a[row] += sign

    def _new_class(self, namespace: str, labels: Mapping[str, str], terminating: bool) -> _Class:
        members = _Class(namespace, labels, terminating)
        for question in self._index.candidates(labels):
            if members.answers(question, self._spaces):
                members.counters.append(self._counters[question])
        return members

    def count(self, question: Question) -> Vector:
        """The number of matching pods on each row. Read-only; stays correct until the next change of any pod."""
        counter = self._counters.get(question)
        if counter is not None:
            self._counters.move_to_end(question)
            return counter
        counter = self._pool.new(np.int32)
        for members in self._classes.values():
            if members.answers(question, self._spaces):
                members.counters.append(counter)
                for row, number in members.rows.items():
                    counter.a[row] += number
        self._counters[question] = counter
        self._index.add(question, question.terms[0].selector)
        if len(self._counters) > max(256, _BYTES // (4 * self._pool.capacity)):
            self._forget(next(iter(self._counters)))
        return counter

    def _forget(self, question: Question) -> None:
        counter = self._counters.pop(question)
        self._index.remove(question, question.terms[0].selector)
        for members in self._classes.values():
            members.counters = [c for c in members.counters if c is not counter]

    def namespaces_changed(self) -> None:
        """Forget every answer that depends on the labels of namespaces."""
        for question in [q for q in self._counters if any(t.namespace_selector is not None for t in q.terms)]:
            self._forget(question)
