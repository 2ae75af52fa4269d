"""Node labels as columns of small integers, and node selectors evaluated on them.

A key becomes a column when the first pod asks for it: nodes carry many labels, pods ask for few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from api.selectors import Requirement
from api.types import Object
from scheduler.vectors import BoolArray, IntArray, Pool, Rows

NAME_FIELD = "\0metadata.name"
"""The key under which a node's name stands among its labels, for `matchFields`; no label can have it."""
ABSENT = -1


class LabelColumn:
    """One label key: `ids.a[row]` is the index of the row's value in `values`, or ABSENT."""

    __slots__ = ("_index", "ids", "values")

    def __init__(self, pool: Pool) -> None:
        self.ids = pool.new(np.int32, ABSENT)
        self.values: list[str] = []
        self._index: dict[str, int] = {}

    def put(self, row: int, value: str | None) -> None:
        """Set one row."""
        if value is None:
            self.ids.a[row] = ABSENT
            return
        number = self._index.get(value)
        if number is None:
            number = self._index[value] = len(self.values)
            self.values.append(value)
        self.ids.a[row] = number

    def number(self, value: str) -> int:
        """The id of a value, or -2 if no node has ever had it."""
        return self._index.get(value, -2)

    def mask(self, requirement: Requirement, rows: Rows) -> BoolArray:
        """Which of `rows` satisfy the requirement on this key."""
        ids = self.ids.a[rows]
        operator = requirement.operator
        if operator == "Exists":
            return np.asarray(ids >= 0)
        if operator == "DoesNotExist":
            return np.asarray(ids < 0)
        if operator in ("In", "NotIn"):
            wanted = [self.number(v) for v in requirement.values]
            found = np.asarray(ids == wanted[0]) if len(wanted) == 1 else np.isin(ids, wanted)
            return found if operator == "In" else ~found
        # Gt and Lt: decide once for every distinct value; the extra last place answers for ABSENT.
        verdict = np.zeros(len(self.values) + 1, dtype=np.bool_)
        verdict[:-1] = [requirement.matches({requirement.key: v}) for v in self.values]
        return np.asarray(verdict[ids])


class LabelColumns:
    """The labels of all nodes. `version` counts the changes."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._labels: list[dict[str, str]] = []
        self._columns: dict[str, LabelColumn] = {}

    def put(self, row: int, labels: dict[str, str], name: str = "") -> None:
        """Replace the labels of a row."""
        while len(self._labels) <= row:
            self._labels.append({})
        present = {**labels, NAME_FIELD: name} if name else {}
        self._labels[row] = present
        for key, column in list(self._columns.items()):
            column.put(row, present.get(key))
            if len(column.values) > 2 * len(self._labels) + 64:
                del self._columns[key]  # mostly values of nodes that are gone: build it anew when asked

    def column(self, key: str) -> LabelColumn:
        """The column of a key; do not keep it across changes of nodes."""
        column = self._columns.get(key)
        if column is None:
            column = self._columns[key] = LabelColumn(self._pool)
            for row, labels in enumerate(self._labels):
                column.put(row, labels.get(key))
        return column

    def ids(self, key: str, rows: Rows) -> IntArray:
        """The value ids of a key on `rows`, ABSENT where the label is missing."""
        return self.column(key).ids.a[rows]

    def matching(self, requirements: Sequence[Requirement], rows: Rows) -> BoolArray:
        """Which of `rows` satisfy all requirements (at least one must be given)."""
        mask = self.column(requirements[0].key).mask(requirements[0], rows)
        for requirement in requirements[1:]:
            mask = mask & self.column(requirement.key).mask(requirement, rows)
        return mask


@dataclass(frozen=True, slots=True)
class NodeTerms:
    """A node selector: any of `terms`, each a conjunction. No term, or an empty one, matches nothing."""

    terms: tuple[tuple[Requirement, ...], ...]

    def mask(self, labels: LabelColumns, rows: Rows, size: int) -> BoolArray:
        """Which of `rows` (there are `size`) match."""
        mask = np.zeros(size, dtype=np.bool_)
        for term in self.terms:
            if term:
                mask |= labels.matching(term, rows)
        return mask

    def names(self) -> frozenset[str] | None:
        """The only nodes that could match by name, or None if a term leaves the name open."""
        found: set[str] = set()
        for term in self.terms:
            named = [r for r in term if r.key == NAME_FIELD and r.operator == "In"]
            if not named:
                return None
            allowed = named[0].values
            for requirement in named[1:]:
                allowed &= requirement.values
            found |= allowed
        return frozenset(found)


def node_term(term: Object) -> tuple[Requirement, ...]:
    """A NodeSelectorTerm as requirements: matchExpressions, and matchFields on metadata.name."""
    wanted = [_requirement(e, e["key"]) for e in term.get("matchExpressions") or ()]
    wanted += [_requirement(e, "\0" + e["key"]) for e in term.get("matchFields") or ()]
    return tuple(wanted)


def _requirement(expression: Object, key: str) -> Requirement:
    return Requirement(key, expression["operator"], frozenset(expression.get("values") or ()))


def node_terms(selector: Object | None) -> NodeTerms | None:
    """A NodeSelector object (`nodeSelectorTerms`), or None where there is none."""
    if not selector:
        return None
    return NodeTerms(tuple(node_term(t) for t in selector.get("nodeSelectorTerms") or ()))
