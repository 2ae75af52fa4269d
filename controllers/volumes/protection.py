"""Keeps claims that pods use and volumes that are bound from vanishing: a finalizer that goes only when nobody needs them."""

from __future__ import annotations

from collections.abc import Iterable

from api import resources
from api.meta import is_deleting, name, namespace
from api.pods import is_terminal
from api.types import Object
from client.controller import Context, Controller
from controllers.volumes.names import claim_keys, claims_of

CLAIM_FINALIZER, VOLUME_FINALIZER = "kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"


def with_finalizer(obj: Object, finalizer: str) -> Object | None:
    """A copy that has the finalizer; None if the object has it."""
    present = obj["metadata"].get("finalizers") or []
    if finalizer in present:
        return None
    return {**obj, "metadata": {**obj["metadata"], "finalizers": [*present, finalizer]}}


def without_finalizer(obj: Object, finalizer: str) -> Object | None:
    """A copy that lacks the finalizer; None if the object does."""
    present = obj["metadata"].get("finalizers") or []
    if finalizer not in present:
        return None
    return {**obj, "metadata": {**obj["metadata"], "finalizers": [f for f in present if f != finalizer]}}


def users(claim: Object, pods: Iterable[Object]) -> list[str]:
    """The pods that use a claim. One without a node does not: no kubelet starts a pod whose claim is being deleted."""
    return [
        name(pod)
        for pod in pods
        if namespace(pod) == namespace(claim)
        and (pod.get("spec") or {}).get("nodeName")
        and not is_terminal(pod)
        and name(claim) in claims_of(pod)
    ]


class ClaimProtection(Controller):
    """Keys are claims."""

    name = "persistentvolumeclaim-protection"
    workers = 1

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        claims = ctx.informers.informer(resources.PERSISTENTVOLUMECLAIMS)
        pods = ctx.informers.informer(resources.PODS)
        pods.add_index("claim", claim_keys)
        self.claims, self.pods = claims.lister, pods.lister
        claims.add_handler(self.enqueue, lambda _, new: self.enqueue(new))
        pods.add_handler(on_update=lambda _, new: self._pod(new), on_delete=self._pod)

    def _pod(self, pod: Object) -> None:
        for claim in claim_keys(pod):
            self.queue.add(claim)

    async def reconcile(self, key: str) -> None:
        """Give a claim the finalizer; take it away from one that is being deleted and unused."""
        claim = self.claims.get(key)
        if claim is None:
            return
        if not is_deleting(claim):
            changed = with_finalizer(claim, CLAIM_FINALIZER)
        elif users(claim, self.pods.by_index("claim", key)):
            return
        else:
            changed = without_finalizer(claim, CLAIM_FINALIZER)
            if changed:
                # The cache may be behind a pod that has just been bound to a node.
                live = await self.client.list(resources.PODS, namespace(claim))
                if users(claim, live.get("items") or ()):
                    self.queue.add_after(key, 5)
                    return
        if changed:
            await self.client.update(resources.PERSISTENTVOLUMECLAIMS, changed)


class VolumeProtection(Controller):
    """Keys are volumes."""

    name = "persistentvolume-protection"
    workers = 1

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        volumes = ctx.informers.informer(resources.PERSISTENTVOLUMES)
        self.volumes = volumes.lister
        volumes.add_handler(self.enqueue, lambda _, new: self.enqueue(new))

    async def reconcile(self, key: str) -> None:
        """Give a volume the finalizer; take it away from one that is being deleted and not bound."""
        volume = self.volumes.get(key)
        if volume is None:
            return
        changed = None
        if not is_deleting(volume):
            changed = with_finalizer(volume, VOLUME_FINALIZER)
        elif (volume.get("status") or {}).get("phase") != "Bound":
            changed = without_finalizer(volume, VOLUME_FINALIZER)
        if changed:
            await self.client.update(resources.PERSISTENTVOLUMES, changed)
