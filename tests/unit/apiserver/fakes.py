"""A cache of plain objects, for tests of what reads it."""

from collections.abc import Iterable

from api.types import Object, Resource


class FakeLookup:
    """Holds objects by resource, namespace and name."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.refreshed = 0

    def put(self, resource: Resource, obj: Object) -> Object:
        meta = obj.setdefault("metadata", {})
        meta.setdefault("uid", f"uid-{meta['name']}")
        self.objects[resource.qualified, meta.get("namespace", ""), meta["name"]] = obj
        return obj

    def drop(self, resource: Resource, namespace: str, name: str) -> None:
        del self.objects[resource.qualified, namespace, name]

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        return self.objects.get((resource.qualified, namespace, name))

    def list(self, resource: Resource, namespace: str = "") -> Iterable[Object]:
        return [
            obj
            for (qualified, space, _), obj in self.objects.items()
            if qualified == resource.qualified and namespace in ("", space)
        ]

    async def fresh(self) -> int:
        self.refreshed += 1
        return self.refreshed

    async def wait_for(self, resource: Resource, namespace: str, name: str, seconds: float) -> Object | None:
        return self.get(resource, namespace, name)


class Clock:
    """A clock that moves only when told to."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
