"""Deletes objects whose owners are all gone; carries out foreground deletion and orphaning.

Promises: nothing is deleted on the word of a cache alone: the object and each of its owners are read live first, and the
deletion names the uid and resourceVersion that were read. Workers start when every resource has been listed.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from api import meta, resources
from api.errors import ApiError, NotFound
from api.types import Object, Resource
from client.controller import Context, Controller
from client.informer import Informer
from controllers.discovery import discover
from controllers.garbage.graph import FOREGROUND, ORPHAN, Graph, Node, Owner, node_from, owners_of

_REDISCOVER_SECONDS = 30.0
_SYNC_SECONDS = 30.0
_REMEMBERED_ABSENT = 500
_IGNORED = {("", "events"), ("events.k8s.io", "events")}
_VERBS = {"delete", "list", "watch"}


class UnknownOwnerKind(ApiError):
    """An owner reference names a kind that the server does not have (yet)."""

    code, reason = 404, "NotFound"


@dataclass(slots=True)
class Owners:
    """An object's owner references as the live owners make them."""

    solid: list[Owner] = field(default_factory=list)
    dangling: list[Owner] = field(default_factory=list)
    waiting: list[Owner] = field(default_factory=list)
    """Owners that are being deleted in the foreground and wait for this object."""


class GarbageCollector(Controller):
    """Keys are uids."""

    name = "garbage-collector"
    workers = 10

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.graph = Graph()
        self.listed = False
        self.monitored: dict[Resource, Informer] = {}
        self.absent: OrderedDict[tuple[str, Owner], None] = OrderedDict()

    async def run(self) -> None:
        """Find the resources, list them all, then work until cancelled; resources that appear later are taken up."""
        await self._discover_first()
        self.listed = True
        for uid in self.graph.unowned() | self.graph.in_transition():
            self.queue.add(uid)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(super().run())
            tasks.create_task(self._keep_discovering())

    async def _discover_first(self) -> None:
        while True:
            try:
                await self.monitor_resources()
                return
            except (ApiError, TimeoutError) as error:
                self.log.warning("resources not listed yet", error=str(error))
                await self.clock.sleep(1.0)

    async def _keep_discovering(self) -> None:
        while True:
            await self.clock.sleep(_REDISCOVER_SECONDS)
            try:
                await self.monitor_resources()
            except (ApiError, TimeoutError) as error:
                self.log.warning("discovery failed", error=str(error))

    async def monitor_resources(self) -> None:
        """Watch every resource of the server that can be deleted. Raises ApiError, or TimeoutError when one is not listed."""
        found = await discover(self.client)
        wanted = {r for r in found.resources if set(r.verbs) >= _VERBS and (r.group, r.plural) not in _IGNORED}
        fresh = [self._monitor(resource) for resource in wanted - self.monitored.keys()]
        async with asyncio.timeout(_SYNC_SECONDS):
            for informer in fresh:
                await informer.synced.wait()

    def _monitor(self, resource: Resource) -> Informer:
        informers = self.context.informers
        informer = informers.existing(resource) or informers.informer(resource, metadata_only=True)
        self.monitored[resource] = informer
        informer.add_handler(
            lambda obj: self._changed(resource, obj), lambda _, obj: self._changed(resource, obj), self._gone
        )
        return informer

    def _changed(self, resource: Resource, obj: Object) -> None:
        self._look(self.graph.put(node_from(resource, obj)))

    def _gone(self, obj: Object) -> None:
        self._look(self.graph.remove(meta.uid(obj)))

    def _look(self, uids: set[str]) -> None:
        if self.listed:
            for uid in uids:
                self.queue.add(uid)

    async def reconcile(self, key: str) -> None:
        """Orphan its dependents, finish its foreground deletion, or delete it because nobody owns it."""
        node = self.graph.nodes.get(key)
        if node is None or (node.deleting and not node.foreground and not node.orphaning):
            return
        live = await self._live(node)
        if live is None:
            return
        if node.orphaning:
            await self._orphan(node, live)
        elif node.foreground:
            await self._finish_foreground(node, live)
        elif not meta.is_deleting(live):
            await self._judge(node, live)

    async def _live(self, node: Node) -> Object | None:
        try:
            live = await self.client.get(node.resource, node.name, node.namespace or None)
        except NotFound:
            live = None
        if live is not None and meta.uid(live) == node.uid:
            return live
        self._look(self.graph.remove(node.uid))
        return None

    async def _orphan(self, node: Node, live: Object) -> None:
        for dependent in self.graph.dependents(node.uid):
            present = await self._live(dependent)
            if present is not None:
                await self._keep_owners(dependent, present, {o.uid for o in owners_of(present)} - {node.uid})
        await self._remove_finalizer(node, live, ORPHAN)

    async def _finish_foreground(self, node: Node, live: Object) -> None:
        blocking = self.graph.blocking(node.uid)
        if not blocking:
            await self._remove_finalizer(node, live, FOREGROUND)
        for dependent in blocking:
            if not dependent.foreground:
                self.queue.add(dependent.uid)

    async def _judge(self, node: Node, live: Object) -> None:
        owners = await self._classify(node, live)
        lost = owners.dangling + owners.waiting
        if owners.solid or not lost:
            if lost:
                await self._keep_owners(node, live, {o.uid for o in owners.solid})
            return
        dependents = self.graph.dependents(node.uid)
        if owners.waiting and dependents:
            if any(d.foreground for d in dependents):
                # a cycle of owners, each of which waits for the next: this one stops holding up its owner
                live = await self._patch(node, live, {"ownerReferences": _unblocked(live)})
            policy = "Foreground"
        else:
            finalizers = live["metadata"].get("finalizers") or ()
            policy = "Orphan" if ORPHAN in finalizers else "Foreground" if FOREGROUND in finalizers else "Background"
        await self._delete(node, live, policy)

    async def _classify(self, node: Node, live: Object) -> Owners:
        result = Owners()
        for owner in owners_of(live):
            found = await self._owner(node, owner)
            if found is None:
                result.dangling.append(owner)
            elif meta.is_deleting(found) and FOREGROUND in (found["metadata"].get("finalizers") or ()):
                result.waiting.append(owner)
            else:
                result.solid.append(owner)
        return result

    async def _owner(self, node: Node, owner: Owner) -> Object | None:
        """The live owner, or None when it does not exist (any more)."""
        identity = (node.namespace, owner)
        if identity in self.absent:
            return None
        resource = self._resource_of(owner)
        if resource.namespaced and not node.namespace:
            self.log.warning("a cluster-scoped object names a namespaced owner", object=node.name, owner=owner.name)
            return {"metadata": {"name": owner.name, "uid": owner.uid}}  # can be judged by nobody, so it stays
        try:
            found = await self.client.get(resource, owner.name, node.namespace if resource.namespaced else None)
            if meta.uid(found) == owner.uid:
                return found
        except NotFound:
            pass
        self.absent[identity] = None
        while len(self.absent) > _REMEMBERED_ABSENT:
            self.absent.popitem(last=False)
        return None

    def _resource_of(self, owner: Owner) -> Resource:
        group, _, version = owner.api_version.rpartition("/")
        known = resources.by_kind(group, version, owner.kind)
        if known is not None:
            return known
        for resource in self.monitored:
            if (resource.group, resource.kind) == (group, owner.kind):
                return resource
        raise UnknownOwnerKind(f"no resource for owner {owner.kind} of {owner.api_version}")

    async def _keep_owners(self, node: Node, live: Object, keep: set[str]) -> None:
        present = live["metadata"].get("ownerReferences") or []
        kept = [r for r in present if r["uid"] in keep]
        if len(kept) != len(present):
            await self._patch(node, live, {"ownerReferences": kept or None})

    async def _remove_finalizer(self, node: Node, live: Object, finalizer: str) -> None:
        present = live["metadata"].get("finalizers") or []
        if finalizer in present:
            await self._patch(node, live, {"finalizers": [f for f in present if f != finalizer] or None})

    async def _patch(self, node: Node, live: Object, metadata: Object) -> Object:
        """Change the metadata of exactly the version that was read; a Conflict means: look again."""
        guarded = {**metadata, "uid": node.uid, "resourceVersion": meta.resource_version(live)}
        try:
            return await self.client.patch(node.resource, node.name, {"metadata": guarded}, node.namespace or None)
        except NotFound:
            return live

    async def _delete(self, node: Node, live: Object, policy: str) -> None:
        try:
            await self.client.delete(
                node.resource,
                node.name,
                node.namespace or None,
                propagation_policy=policy,
                uid=node.uid,
                resource_version=meta.resource_version(live),
            )
        except NotFound:
            self._look(self.graph.remove(node.uid))


def _unblocked(live: Object) -> list[Object]:
    return [{**r, "blockOwnerDeletion": False} for r in live["metadata"].get("ownerReferences") or ()]
