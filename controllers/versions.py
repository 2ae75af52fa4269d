"""A guard against acting on an object that is older in the cache than what we ourselves wrote last."""

from __future__ import annotations

from api import meta
from api.types import Object


class Written:
    """Remembers the newest version written of each object. resourceVersions grow and may be compared (KEP-5504)."""

    def __init__(self) -> None:
        self._newest: dict[str, tuple[str, int]] = {}

    def wrote(self, obj: Object) -> None:
        """`obj` is the server's answer to a write."""
        self._newest[meta.key(obj)] = (meta.uid(obj), int(meta.resource_version(obj)))

    def is_stale(self, cached: Object) -> bool:
        """Whether the cache has yet to see our last write; the event that brings it will queue the key again."""
        known = self._newest.get(meta.key(cached))
        if known is None or known[0] != meta.uid(cached):
            return False
        return int(meta.resource_version(cached)) < known[1]

    def forget(self, key: str) -> None:
        """The object is gone."""
        self._newest.pop(key, None)
