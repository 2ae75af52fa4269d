"""Empties a namespace that is being deleted, then lets it go.

Pods go first and the rest only when they are gone (KEP-5080), so that nothing a pod still relies on, such as a NetworkPolicy,
vanishes before it. Progress is told in the namespace's conditions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from api import meta, resources, timestamp
from api.errors import ApiError, MethodNotAllowed, NotFound
from api.types import Object, Resource
from client.controller import Context, Controller
from controllers.discovery import discover
from controllers.podstate import EPOCH, wall
from controllers.status import update_with_retry

FINALIZER = "kubernetes"
_PAGE = 500


@dataclass(slots=True)
class Remaining:
    """What one pass found: objects still there and their finalizers, by name; errors; the longest pod grace in seconds."""

    objects: dict[str, int] = field(default_factory=dict)
    finalizers: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    discovery: dict[str, str] = field(default_factory=dict)
    grace: float = 0.0

    @property
    def clean(self) -> bool:
        return not (self.objects or self.errors or self.discovery)


def conditions_of(left: Remaining) -> list[tuple[str, str, str, str]]:
    """(type, status, reason, message) of the five conditions that describe a deletion's progress."""
    failed = "; ".join(f"{name}: {why}" for name, why in sorted(left.discovery.items()))
    objects = ", ".join(f"{name} has {count} resource instances" for name, count in sorted(left.objects.items()))
    finalizers = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(left.finalizers.items()))
    errors = ", ".join(left.errors)
    rows = (
        ("NamespaceDeletionDiscoveryFailure", failed, "DiscoveryFailed", f"Discovery failed for some groups: {failed}",
         "ResourcesDiscovered", "All resources successfully discovered"),
        ("NamespaceDeletionGroupVersionParsingFailure", "", "", "",
         "ParsedGroupVersions", "All legacy kube types successfully parsed"),
        ("NamespaceDeletionContentFailure", errors, "ContentDeletionFailed",
         f"Failed to delete all resource types, {len(left.errors)} remaining: {errors}",
         "ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
        ("NamespaceContentRemaining", objects, "SomeResourcesRemain", f"Some resources are remaining: {objects}",
         "ContentRemoved", "All content successfully removed"),
        ("NamespaceFinalizersRemaining", finalizers, "SomeFinalizersRemain",
         f"Some content in the namespace has finalizers remaining: {finalizers}",
         "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
    )  # fmt: skip
    return [
        (kind, "True", bad, problem) if present else (kind, "False", good, fine)
        for kind, present, bad, problem, good, fine in rows
    ]


def with_conditions(namespace: Object, left: Remaining, now: datetime) -> Object | None:
    """A copy of the namespace whose status tells of `left`, or None when it does so already."""
    conditions = [dict(c) for c in (namespace.get("status") or {}).get("conditions") or ()]
    changed = [
        meta.set_condition(conditions, kind, state, reason, message, now=timestamp.format(now))
        for kind, state, reason, message in conditions_of(left)
    ]
    if not any(changed):
        return None
    return {**namespace, "status": {**(namespace.get("status") or {}), "conditions": conditions}}


class NamespaceController(Controller):
    """Keys are namespace names."""

    name = "namespace"
    workers = 5

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        namespaces = ctx.informers.informer(resources.NAMESPACES)
        pods = ctx.informers.informer(resources.PODS)
        self.namespaces = namespaces.lister
        namespaces.add_handler(self._seen, lambda _, new: self._seen(new))
        pods.add_handler(on_delete=self._pod_gone)

    def _seen(self, namespace: Object) -> None:
        if meta.is_deleting(namespace):
            self.enqueue(namespace)

    def _pod_gone(self, pod: Object) -> None:
        namespace = self.namespaces.get(meta.namespace(pod))
        if namespace is not None:
            self._seen(namespace)

    async def reconcile(self, key: str) -> None:
        """Delete all content; finalize when none is left, else look again."""
        try:
            namespace = await self.client.get(resources.NAMESPACES, key)
        except NotFound:
            return
        if not meta.is_deleting(namespace):
            return
        try:
            namespace = await update_with_retry(
                self.client, resources.NAMESPACES, namespace, _terminating, subresource="status"
            )
            if not ((namespace.get("spec") or {}).get("finalizers") or ()):
                return
            left = await self._empty(key)
            now = wall()
            namespace = await update_with_retry(
                self.client,
                resources.NAMESPACES,
                namespace,
                lambda ns: with_conditions(ns, left, now),
                subresource="status",
            )
            if left.clean:
                await update_with_retry(
                    self.client, resources.NAMESPACES, namespace, _without_finalizer, subresource="finalize"
                )
                return
        except NotFound:
            return
        if left.errors or left.discovery:
            raise ApiError(f"namespace {key} is not empty yet: {'; '.join([*left.errors, *left.discovery.values()])}")
        # Objects with finalizers vanish without an event that we watch; pods wake us when they go.
        self.queue.add_after(key, left.grace / 2 + 1 if left.grace else 1.0)

    async def _empty(self, namespace: str) -> Remaining:
        left = Remaining()
        pods = await self._delete_all(resources.PODS, namespace, left)
        if pods:
            left.grace = max(_grace(pod) for pod in pods)
            return left
        found = await discover(self.client)
        left.discovery |= found.failures
        for resource in found.resources:
            if resource.namespaced and {"delete", "list"} <= set(resource.verbs) and resource != resources.PODS:
                await self._delete_all(resource, namespace, left)
        return left

    async def _delete_all(self, resource: Resource, namespace: str, left: Remaining) -> list[Object]:
        """Delete a resource's objects and note in `left` those that remain, which are returned."""
        try:
            remaining = await self._list(resource, namespace)
            if not remaining:
                return []
            if "deletecollection" in resource.verbs:
                await self.client.delete_collection(resource, namespace, propagation_policy="Background")
            else:
                for obj in remaining:
                    await self._delete(resource, obj)
            remaining = await self._list(resource, namespace)
        except (NotFound, MethodNotAllowed):
            return []
        except ApiError as error:
            left.errors.append(f"{resource.qualified}: {error.message}")
            return []
        if remaining:
            left.objects[f"{resource.plural}.{resource.group}"] = len(remaining)
        for obj in remaining:
            for name in obj["metadata"].get("finalizers") or ():
                left.finalizers[name] = left.finalizers.get(name, 0) + 1
        return remaining

    async def _list(self, resource: Resource, namespace: str) -> list[Object]:
        items: list[Object] = []
        token = ""
        while True:
            page = await self.client.list(
                resource, namespace, limit=_PAGE, continue_token=token, metadata_only=resource != resources.PODS
            )
            items += page.get("items") or []
            token = page["metadata"].get("continue") or ""
            if not token:
                return items

    async def _delete(self, resource: Resource, obj: Object) -> None:
        try:
            await self.client.delete(
                resource, meta.name(obj), meta.namespace(obj), propagation_policy="Background", uid=meta.uid(obj)
            )
        except NotFound:
            return


def _terminating(namespace: Object) -> Object | None:
    status = namespace.get("status") or {}
    return None if status.get("phase") == "Terminating" else {**namespace, "status": {**status, "phase": "Terminating"}}


def _without_finalizer(namespace: Object) -> Object | None:
    finalizers = (namespace.get("spec") or {}).get("finalizers") or []
    if FINALIZER not in finalizers:
        return None
    return {**namespace, "spec": {**namespace["spec"], "finalizers": [f for f in finalizers if f != FINALIZER]}}


def _grace(pod: Object) -> float:
    """Seconds that a deleted pod may still take: its grace period counted from its deletion."""
    text = pod["metadata"].get("deletionTimestamp")
    until = timestamp.parse(text) if text else EPOCH
    return max(0.0, (until - wall()).total_seconds())
