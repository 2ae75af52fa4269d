"""The local copy of a resource's objects: by key, by namespace, by index. Objects handed out are read-only."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from api.meta import key as key_of
from api.selectors import LabelSelector
from api.types import Object

# `Lister.list` hides the builtin's name inside the class.
Objects = list[Object]
Names = list[str]
IndexFunction = Callable[[Object], Iterable[str]]


class Lister:
    """Reads of a cache. Only the informer writes to it (`put`, `remove`)."""

    def __init__(self) -> None:
        self._objects: dict[str, Object] = {}
        self._namespaces: dict[str, dict[str, Object]] = {}
        self._functions: dict[str, IndexFunction] = {}
        self._indexes: dict[str, dict[str, dict[str, Object]]] = {}

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, key: str) -> Object | None:
        """The object with that `namespace/name` or `name`, or None."""
        return self._objects.get(key)

    def keys(self) -> Names:
        """The keys of all objects."""
        return list(self._objects)

    def list(self, namespace: str | None = None, selector: LabelSelector | None = None) -> Objects:
        """All objects, or those of a namespace, or those whose labels match."""
        found = self._objects if namespace is None else self._namespaces.get(namespace, {})
        if selector is None or selector.is_everything:
            return list(found.values())
        return [o for o in found.values() if selector.matches(o["metadata"].get("labels") or {})]

    def by_index(self, index: str, value: str) -> Objects:
        """The objects for which the index's function gave `value`. Raises KeyError for an index nobody added."""
        return list(self._indexes[index].get(value, {}).values())

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Keep an index; a name that is there already keeps its function."""
        if name in self._functions:
            return
        self._functions[name] = function
        self._indexes[name] = {}
        for key, obj in self._objects.items():
            self._file(name, key, obj)

    def put(self, obj: Object) -> Object | None:
        """Add or replace an object; returns the one it replaces."""
        key = key_of(obj)
        old = self.remove(key)
        self._objects[key] = obj
        self._namespaces.setdefault(obj["metadata"].get("namespace", ""), {})[key] = obj
        for name in self._functions:
            self._file(name, key, obj)
        return old

    def remove(self, key: str) -> Object | None:
        """Take an object out; returns it, or None if it was not there."""
        old = self._objects.pop(key, None)
        if old is None:
            return None
        _take(self._namespaces, old["metadata"].get("namespace", ""), key)
        for name, function in self._functions.items():
            for value in function(old):
                _take(self._indexes[name], value, key)
        return old

    def _file(self, name: str, key: str, obj: Object) -> None:
        for value in self._functions[name](obj):
            self._indexes[name].setdefault(value, {})[key] = obj


def _take(shelves: dict[str, dict[str, Object]], value: str, key: str) -> None:
    shelf = shelves.get(value)
    if shelf is not None:
        shelf.pop(key, None)
        if not shelf:
            del shelves[value]
