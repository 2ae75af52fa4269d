"""How authenticators, authorizers and admission see stored objects: from memory, never waiting."""

from collections.abc import Iterable
from typing import Protocol

from api.types import Object, Resource


class Lookup(Protocol):
    """Reads the watch cache. What it returns is read-only."""

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """Return one object; namespace is "" for cluster-scoped kinds. None when the cache has none."""
        ...

    def list(self, resource: Resource, namespace: str = "") -> Iterable[Object]:
        """Return all objects of a kind, of one namespace if given."""
        ...


class Freshness(Protocol):
    """Brings the cache up to date with the store."""

    async def fresh(self) -> int:
        """Wait until the cache holds everything written before this call; return the revision."""
        ...


class Waiter(Protocol):
    """Waits for objects that a controller is about to make."""

    async def wait_for(self, resource: Resource, namespace: str, name: str, seconds: float) -> Object | None:
        """Return the object as soon as the cache has it; None when it has not come within `seconds`."""
        ...
