"""Objects as sets of fields: what an object holds, what differs between two, merging an applied one, taking fields out."""

from __future__ import annotations

from typing import Any

import orjson

from apiserver.managed import schema
from apiserver.managed.schema import FREE, KEYED, MAP, SET, STRUCT, Node, default_key
from apiserver.managed.sets import SELF, Fields


def _children(node: Node, value: Any) -> list[tuple[str, Node, Any]] | None:
    """The parts of a value that are owned apart, as (path element, place, value); None when it is owned as a whole."""
    if node.kind in (STRUCT, MAP, FREE):
        if not isinstance(value, dict) or not value:
            return None
        return [(f"f:{name}", node.field(name), each) for name, each in value.items()]
    if node.kind == KEYED and isinstance(value, list) and value:
        item = node.item or schema.ANY
        return [(element_key(node, each), item, each) for each in value]
    if node.kind == SET and isinstance(value, list) and value:
        return [(_value_key(each), schema.ANY, each) for each in value]
    return None


def element_key(node: Node, element: Any) -> str:
    """The path element of a keyed list's element."""
    keys = {}
    for name in node.keys:
        value = element.get(name, default_key(name)) if isinstance(element, dict) else None
        if value is not None:
            keys[name] = value
    return "k:" + orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode()


def _value_key(value: Any) -> str:
    return "v:" + orjson.dumps(value).decode()


def extract(node: Node, value: Any, *, containers: bool) -> Fields:
    """The fields of a value. With `containers` maps and list elements are members too, as an update owns them; without,
    only list elements are, as an applier does."""
    parts = _children(node, value)
    if parts is None:
        return {}
    found: Fields = {}
    for name, child, each in parts:
        if each is None:
            found[name] = {}
            continue
        sub = extract(child, each, containers=containers)
        if sub and (name[0] == "k" or (containers and child.kind == MAP)):
            sub = {SELF: {}, **sub}
        found[name] = sub
    return found


def compare(node: Node, old: Any, new: Any) -> tuple[Fields, Fields]:
    """(what is new or has changed, what has gone) from `old` to `new`."""
    if old == new:
        return {}, {}
    before, after = _children(node, old), _children(node, new)
    changed: Fields = {}
    removed: Fields = {}
    known = {name: each for name, _, each in before or ()}
    for name, child, each in after or ():
        if name not in known:
            changed[name] = _added(name, child, each)
            continue
        was = known.pop(name)
        if was == each:
            continue
        sub, gone = compare(child, was, each)
        if sub or not gone:
            changed[name] = sub
        if gone:
            removed[name] = gone
    for name, child, each in before or ():
        if name in known:
            removed[name] = _added(name, child, each)
    return changed, removed


def _added(name: str, child: Node, value: Any) -> Fields:
    sub = extract(child, value, containers=True)
    if sub and (name[0] == "k" or child.kind == MAP):
        return {SELF: {}, **sub}
    return sub


def merge(node: Node, live: Any, applied: Any) -> Any:
    """`live` with what an applier says: structs and maps piece by piece, keyed lists by their keys, sets united."""
    if node.kind in (STRUCT, MAP, FREE) and isinstance(live, dict) and isinstance(applied, dict):
        merged = dict(live)
        for name, value in applied.items():
            merged[name] = merge(node.field(name), live.get(name), value)
        return merged
    if node.kind == KEYED and isinstance(live, list) and isinstance(applied, list):
        return _merge_keyed(node, live, applied)
    if node.kind == SET and isinstance(live, list) and isinstance(applied, list):
        return [*live, *(each for each in applied if each not in live)]
    return applied


def _merge_keyed(node: Node, live: list[Any], applied: list[Any]) -> list[Any]:
    """Elements that are applied stand in the applied order; the others keep their places between them."""
    item = node.item or schema.ANY
    there = {element_key(node, each): each for each in live}
    wanted = {element_key(node, each): each for each in applied}
    ready = [(key, merge(item, there[key], each) if key in there else each) for key, each in wanted.items()]
    merged: list[Any] = []
    for key, each in there.items():
        if key not in wanted:
            merged.append(each)
            continue
        # everything applied up to and including this element comes first
        while ready and key in {name for name, _ in ready}:
            merged.append(ready.pop(0)[1])
    return [*merged, *(each for _, each in ready)]


def remove(node: Node, value: Any, fields: Fields, kept: Fields) -> Any:
    """A copy of `value` without the members of `fields`, but for those that `kept` still holds."""
    gone: set[str] = set()
    deeper: dict[str, Any] = {}
    for name, child, each in _children(node, value) or ():
        sub = fields.get(name)
        if sub is None:
            continue
        keep = kept.get(name)
        if keep is None:
            gone.add(name)
        elif sub:
            deeper[name] = remove(child, each, sub, keep)
    if not gone and not deeper:
        return value
    if isinstance(value, dict):
        return {name: deeper.get(f"f:{name}", each) for name, each in value.items() if f"f:{name}" not in gone}
    names = [_value_key(each) if node.kind == SET else element_key(node, each) for each in value]
    pairs = zip(names, value, strict=True)
    return [deeper.get(name, each) for name, each in pairs if name not in gone]
