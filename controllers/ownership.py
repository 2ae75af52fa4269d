"""Who controls what: finding, adopting and releasing an owner's objects through their controller reference.

Promises: an object with another controller is never touched; an orphan is adopted only after a live read has shown that the
owner still exists and is not being deleted; the patches name the object's uid, so that a namesake is never adopted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from api import meta
from api.errors import ApiError, Conflict, Invalid, NotFound
from api.selectors import LabelSelector
from api.types import Object, Resource
from client.informer import Informer
from client.lister import Lister
from client.rest import ApiClient

BY_CONTROLLER = "controller"


def index_by_controller(informer: Informer) -> None:
    """Index the objects by their controller's uid, and those without one under `orphans/<namespace>`."""
    informer.add_index(BY_CONTROLLER, _controller_key)


def _controller_key(obj: Object) -> Iterable[str]:
    for ref in obj["metadata"].get("ownerReferences") or ():
        if ref.get("controller"):
            return (str(ref.get("uid")),)
    return (f"orphans/{meta.namespace(obj)}",)


def candidates(lister: Lister, owner: Object) -> list[Object]:
    """The cached objects that the owner controls or might adopt."""
    orphans = lister.by_index(BY_CONTROLLER, f"orphans/{meta.namespace(owner)}")
    return [*lister.by_index(BY_CONTROLLER, meta.uid(owner)), *orphans]


def controlled(lister: Lister, owner: Object) -> list[Object]:
    """The cached objects that the owner controls now."""
    return lister.by_index(BY_CONTROLLER, meta.uid(owner))


def resolve(lister: Lister, resource: Resource, obj: Object) -> Object | None:
    """The cached owner that controls `obj`, if it is of `resource`'s kind and the uid is right."""
    ref = meta.controller_of(obj)
    if ref is None or ref.get("kind") != resource.kind:
        return None
    if str(ref.get("apiVersion", "")).rpartition("/")[0] != resource.group:
        return None
    space = meta.namespace(obj)
    owner = lister.get(f"{space}/{ref['name']}" if space else str(ref["name"]))
    return owner if owner is not None and meta.uid(owner) == ref.get("uid") else None


class Claimer:
    """Adopts and releases objects of one kind for owners of one kind."""

    def __init__(self, client: ApiClient, owned: Resource, owners: Resource) -> None:
        self.client = client
        self.owned = owned
        self.owners = owners

    async def claim(
        self,
        owner: Object,
        selector: LabelSelector,
        objects: Iterable[Object],
        *,
        accepts: Callable[[Object], bool] = lambda _: True,
        finalizers: tuple[str, ...] = (),
    ) -> list[Object]:
        """Those of `objects` that belong to the owner after this call.

        `accepts` narrows what may be adopted; `finalizers` are removed from what is released. ApiErrors of the patches are
        raised after all objects have been looked at, but a vanished object is no error.
        """
        mine: list[Object] = []
        errors: list[ApiError] = []
        live: bool | None = None
        for obj in objects:
            matches = selector.matches(meta.labels(obj)) and accepts(obj)
            ref = meta.controller_of(obj)
            try:
                if ref is not None:
                    if ref.get("uid") != meta.uid(owner):
                        continue
                    if matches:
                        mine.append(obj)
                    elif not meta.is_deleting(owner):
                        await self.release(owner, obj, finalizers)
                elif matches and not meta.is_deleting(owner) and not meta.is_deleting(obj):
                    live = await self._may_adopt(owner) if live is None else live
                    if live:
                        mine.append(await self.adopt(owner, obj))
            except NotFound:
                continue
            except ApiError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return mine

    async def _may_adopt(self, owner: Object) -> bool:
        fresh = await self.client.get(self.owners, meta.name(owner), meta.namespace(owner) or None)
        return meta.uid(fresh) == meta.uid(owner) and not meta.is_deleting(fresh)

    async def adopt(self, owner: Object, obj: Object) -> Object:
        """Make the owner the object's controller; raises Conflict when the name now belongs to another object."""
        reference = meta.owner_reference(self.owners, owner)
        patch = {"metadata": {"ownerReferences": [reference], "uid": meta.uid(obj)}}
        return await self.client.patch(self.owned, meta.name(obj), patch, meta.namespace(obj) or None, kind="strategic")

    async def release(self, owner: Object, obj: Object, finalizers: tuple[str, ...] = ()) -> None:
        """Take the owner's reference off the object."""
        metadata: Object = {
            "ownerReferences": [{"$patch": "delete", "uid": meta.uid(owner)}],
            "uid": meta.uid(obj),
        }
        if finalizers:
            metadata["$deleteFromPrimitiveList/finalizers"] = list(finalizers)
        try:
            await self.client.patch(
                self.owned, meta.name(obj), {"metadata": metadata}, meta.namespace(obj) or None, kind="strategic"
            )
        except (NotFound, Conflict, Invalid):
            # gone, replaced by a namesake, or no longer ours: each means there is nothing left to release
            return
