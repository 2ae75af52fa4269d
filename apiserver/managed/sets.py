"""Sets of fields in the form they are stored in (FieldsV1), and what is done with them.

A set is a tree of path elements: `f:name` a field or map key, `k:{"name":"c"}` a list element by its keys, `v:"x"` a
set's value. A leaf is a member; an inner node is one only if it holds `.`. Functions return new sets and share subtrees.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

Fields = dict[str, Any]
SELF = "."


def union(left: Fields, right: Fields) -> Fields:
    """Members of either."""
    if not left or not right:
        # A leaf is a member itself: next to children it is written as `.`.
        whole = left or right
        return whole if not whole or SELF in whole else {SELF: {}, **whole}
    merged = dict(left)
    for name, sub in right.items():
        merged[name] = union(merged[name], sub) if name in merged else sub
    return merged


def join(left: Fields, right: Fields) -> Fields:
    """`union` for whole sets, where an empty tree is the empty set and not a member."""
    if not left or not right:
        return left or right
    return union(left, right)


def difference(left: Fields, right: Fields) -> Fields:
    """Members of `left` that are not in `right`; a whole set, so an empty tree is the empty set."""
    kept: Fields = {}
    for name, sub in left.items():
        other = right.get(name)
        if other is None:
            kept[name] = sub
            continue
        rest = _members_less(sub, other)
        if rest is not None:
            kept[name] = rest
    return kept


def _members_less(sub: Fields, other: Fields) -> Fields | None:
    """What is left of one element, None when nothing is."""
    own = not sub or SELF in sub
    gone = not other or SELF in other
    below = difference({k: v for k, v in sub.items() if k != SELF}, other)
    if own and not gone:
        return {SELF: {}, **below} if below else {}
    return below or None


def intersection(left: Fields, right: Fields) -> Fields:
    """Members of both; a whole set."""
    kept: Fields = {}
    for name, sub in left.items():
        other = right.get(name)
        if other is None or name == SELF:
            continue
        own = (not sub or SELF in sub) and (not other or SELF in other)
        below = intersection(sub, other)
        if own:
            kept[name] = {SELF: {}, **below} if below else {}
        elif below:
            kept[name] = below
    return kept


def paths(tree: Fields, prefix: str = "") -> Iterator[str]:
    """The members as text: `.spec.containers[name="c"].image`."""
    for name, sub in tree.items():
        if name == SELF:
            yield prefix
            continue
        path = prefix + _text(name)
        if sub:
            yield from paths(sub, path)
        else:
            yield path


def _text(name: str) -> str:
    kind, value = name[:2], name[2:]
    if kind == "f:":
        return f".{value}"
    if kind == "k:":
        keys = orjson.loads(value)
        return "[" + ",".join(f"{key}={orjson.dumps(each).decode()}" for key, each in sorted(keys.items())) + "]"
    return f"[{value}]"
