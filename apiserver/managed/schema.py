"""How an applier may own the parts of a kind: which structs, maps and lists are owned piece by piece, which as a whole.

Read from the marks of the models (`api.kinds.base`). Source: "Server-Side Apply", section "Merge strategy".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from api.kinds.base import Atomic, ListMap, ListSet, Mark, MergeKey, Model
from api.kinds.walk import Shape, fields

LEAF, STRUCT, MAP, KEYED, SET, FREE = "leaf", "struct", "map", "keyed", "set", "free"


@dataclass(frozen=True, slots=True)
class Node:
    """One place of an object: `kind` says how it is owned, the rest what stands below it."""

    kind: str
    model: type[Model] | None = None
    item: Node | None = None
    keys: tuple[str, ...] = ()

    def field(self, name: str) -> Node:
        """The place of a struct's field or a map's value."""
        if self.kind == STRUCT and self.model is not None:
            return _fields(self.model).get(name, ANY)
        return self.item or ANY


ANY = Node(FREE)
"""Free-form data: objects are owned key by key, everything else as a whole."""
_LEAF = Node(LEAF)
_SET = Node(SET)


@cache
def _fields(model: type[Model]) -> dict[str, Node]:
    return {name: _node(field.shape, field.marks) for name, field in fields(model).items()}


@cache
def root(model: type[Model]) -> Node:
    """The place of a whole object."""
    return Node(STRUCT, model)


def _node(shape: Shape, marks: tuple[Mark, ...]) -> Node:
    if any(isinstance(mark, Atomic) for mark in marks):
        return _LEAF
    if shape.kind == "model" and shape.model is not None:
        return _LEAF if shape.model.ATOMIC_MAP else Node(STRUCT, shape.model)
    if shape.kind == "map" and shape.item is not None:
        return Node(MAP, item=_node(shape.item, ()))
    if shape.kind == "list" and shape.item is not None:
        return _list(shape.item, marks)
    return ANY if shape.kind == "any" else _LEAF


def _list(item: Shape, marks: tuple[Mark, ...]) -> Node:
    for mark in marks:
        if isinstance(mark, ListSet):
            return _SET
        if isinstance(mark, ListMap):
            return Node(KEYED, item=_node(item, ()), keys=mark.keys)
        if isinstance(mark, MergeKey) and mark.list_type == "map":
            return Node(KEYED, item=_node(item, ()), keys=mark.keys or (mark.key,))
    return _LEAF


def default_key(name: str) -> object:
    """The value a list key has when an applier leaves it out (`protocol` of ports), or None."""
    return "TCP" if name == "protocol" else None
