"""The ConfigMaps, Secrets and other single objects that pods of this node refer to, each followed by a watch of its own.

A node may read an object only while one of its pods refers to it (the Node authorizer holds it to that), so there is one
single-object watch per reference, shared by the pods that have it and ended a while after the last of them is gone.
What has to do with storage a node may get but not watch; it is asked for again with back-off until it is as a pod needs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from api import resources
from api.errors import ApiError, Forbidden, NotFound
from api.types import Object, Resource
from client.backoff import Backoff
from client.reflector import Reflector
from client.rest import ApiClient

_LINGER_SECONDS = 30.0
_SETTLED_SECONDS = 60.0


def _is_bound(claim: Object) -> bool:
    return (claim.get("status") or {}).get("phase") == "Bound"


_GET_ONLY: dict[Resource, Callable[[Object], bool]] = {
    resources.PERSISTENTVOLUMECLAIMS: _is_bound,
    resources.PERSISTENTVOLUMES: lambda _: True,
}
"""Resources that a node cannot watch, and when such an object is as a pod needs it."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One object; `namespace` is empty for a cluster-scoped one."""

    resource: Resource
    namespace: str
    name: str


class _Followed:
    """One object and its watch."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self.object: Object | None = None
        self.known = asyncio.Event()
        self.users: set[str] = set()
        self.task: asyncio.Task[None] | None = None
        self.ending: asyncio.TimerHandle | None = None
        self._changed = changed

    def replace(self, objects: list[Object]) -> None:
        self._set(objects[0] if objects else None)

    def apply(self, kind: str, obj: Object) -> None:
        self._set(None if kind == "DELETED" else obj)

    def _set(self, obj: Object | None) -> None:
        first = not self.known.is_set()
        before, self.object = self.object, obj
        self.known.set()
        if not first and before != obj:
            self._changed()


class References:
    """Follows what pods refer to. `on_change` gets the uid of each pod whose reference changed."""

    def __init__(self, client: ApiClient, on_change: Callable[[str], None]) -> None:
        self._client, self._on_change = client, on_change
        self._log = structlog.get_logger("references")
        self._followed: dict[Reference, _Followed] = {}
        self._wanted: dict[str, frozenset[Reference]] = {}

    def want(self, uid: str, references: Iterable[Reference]) -> None:
        """Say what a pod refers to now; what it no longer refers to is let go."""
        wanted = frozenset(references)
        for gone in self._wanted.get(uid, frozenset()) - wanted:
            self._drop(uid, gone)
        if wanted:
            self._wanted[uid] = wanted
        else:
            self._wanted.pop(uid, None)
        for reference in wanted:
            self._follow(reference).users.add(uid)

    def is_known(self, uid: str) -> bool:
        """Whether everything the pod refers to has been looked up once."""
        return all(self._followed[reference].known.is_set() for reference in self._wanted.get(uid, frozenset()))

    async def known(self, uid: str, timeout: float) -> None:
        """Wait until everything the pod refers to has been looked up once. Raises TimeoutError."""
        async with asyncio.timeout(timeout):
            for reference in self._wanted.get(uid, frozenset()):
                await self._followed[reference].known.wait()

    def get(self, reference: Reference) -> Object | None:
        """The object, or None if it is not there (or not wanted by any pod)."""
        followed = self._followed.get(reference)
        return followed.object if followed else None

    def _follow(self, reference: Reference) -> _Followed:
        followed = self._followed.get(reference)
        if followed is None:
            followed = _Followed(lambda: self._tell(reference))
            follow = self._ask if reference.resource in _GET_ONLY else self._watch
            followed.task = asyncio.create_task(
                follow(reference, followed), name=f"follow {reference.resource.plural}/{reference.name}"
            )
            self._followed[reference] = followed
        if followed.ending:
            followed.ending.cancel()
            followed.ending = None
        return followed

    async def _watch(self, reference: Reference, followed: _Followed) -> None:
        selector = f"metadata.name={reference.name}"
        namespace = reference.namespace or None
        reflector = Reflector(self._client, reference.resource, followed, namespace=namespace, field_selector=selector)
        await reflector.run()

    async def _ask(self, reference: Reference, followed: _Followed) -> None:
        is_settled, backoff = _GET_ONLY[reference.resource], Backoff(first=0.05, longest=1.0)
        while True:
            settled = False
            try:
                found = await self._client.get(reference.resource, reference.name, reference.namespace or None)
                settled = is_settled(found)
                followed.replace([found])
            except (NotFound, Forbidden):
                # A node may not even ask for a volume before a claim of its pods names it.
                followed.replace([])
            except ApiError as error:
                self._log.warning("lookup failed", reference=reference.name, error=error.message)
            await asyncio.sleep(_SETTLED_SECONDS if settled else backoff.next())

    def _tell(self, reference: Reference) -> None:
        for uid in tuple(self._followed[reference].users):
            self._on_change(uid)

    def _drop(self, uid: str, reference: Reference) -> None:
        followed = self._followed[reference]
        followed.users.discard(uid)
        if not followed.users and reference.resource in _GET_ONLY:
            self._end(reference)
        elif not followed.users and not followed.ending:
            followed.ending = asyncio.get_running_loop().call_later(_LINGER_SECONDS, self._end, reference)

    def _end(self, reference: Reference) -> None:
        followed = self._followed.pop(reference, None)
        if followed and followed.task:
            followed.task.cancel()

    async def close(self) -> None:
        """End every watch."""
        tasks = [f.task for f in self._followed.values() if f.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._followed.clear()
