"""What all controllers of pods share: which owner a pod's change concerns.

A pod with a controller concerns that owner alone; one without concerns every owner that might adopt it; one that changes hands
concerns both. A pod that is being deleted counts as gone from the moment its deletion was accepted.
"""

from __future__ import annotations

from typing import ClassVar

from api import meta, resources, selectors
from api.selectors import LabelSelector
from api.types import Object, Resource
from client.controller import Context, Controller
from controllers import ownership
from controllers.podcontrol import PodControl


class PodOwnerController(Controller):
    """Keys are owners of one kind. A subclass names `resource` and writes `reconcile`; the hooks below are its to refine."""

    resource: ClassVar[Resource]

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.control = PodControl(ctx)
        self.expectations = self.control.expectations
        self.claimer = ownership.Claimer(ctx.client, resources.PODS, self.resource)
        owners = ctx.informers.informer(self.resource)
        pods = ctx.informers.informer(resources.PODS)
        ownership.index_by_controller(owners)
        ownership.index_by_controller(pods)
        self.owners, self.pods = owners.lister, pods.lister
        owners.add_handler(self.enqueue, lambda _, new: self.enqueue(new), self.owner_gone)
        pods.add_handler(self._pod_added, self._pod_changed, self._pod_deleted)

    def selector_of(self, owner: Object) -> LabelSelector:
        """Which pods an owner wants."""
        return selectors.from_object(owner["spec"].get("selector"))

    def may_adopt(self, owner: Object, pod: Object) -> bool:
        """Whether an owner would take a pod that has no controller."""
        return self.selector_of(owner).matches(meta.labels(pod))

    def queue_owner(self, owner: Object) -> None:
        """A pod of the owner has changed."""
        self.enqueue(owner)

    def owner_gone(self, owner: Object) -> None:
        """Forget what is remembered of it."""
        self.expectations.forget(meta.key(owner))
        self.enqueue(owner)

    def pod_noted(self, owner: Object, old: Object | None, pod: Object, *, gone: bool) -> None:
        """A pod of the owner was seen; `gone` when it is no more. For bookkeeping of a subclass."""

    def pod_unowned(self, pod: Object) -> None:
        """A pod was seen that no known owner controls; by default whoever may adopt it is queued."""
        if meta.controller_of(pod) is None:
            for owner in self.owners.list(meta.namespace(pod)):
                if self.may_adopt(owner, pod):
                    self.queue_owner(owner)

    def owner_of(self, pod: Object) -> Object | None:
        """The cached owner that controls the pod."""
        return ownership.resolve(self.owners, self.resource, pod)

    async def pods_of(self, owner: Object, finalizers: tuple[str, ...] = ()) -> list[Object]:
        """The owner's pods, after orphans were adopted and strays released (which lose `finalizers`). Raises ApiError."""
        return await self.claimer.claim(
            owner,
            self.selector_of(owner),
            ownership.candidates(self.pods, owner),
            accepts=lambda pod: self.may_adopt(owner, pod),
            finalizers=finalizers,
        )

    def _pod_added(self, pod: Object) -> None:
        owner = self.owner_of(pod)
        if owner is None:
            self.pod_unowned(pod)
            return
        if meta.is_deleting(pod):
            self.expectations.deletion_observed(meta.key(owner), meta.key(pod))
        else:
            self.expectations.creation_observed(meta.key(owner))
        self.pod_noted(owner, None, pod, gone=False)
        self.queue_owner(owner)

    def _pod_changed(self, old: Object, new: Object) -> None:
        before, after = self.owner_of(old), self.owner_of(new)
        if before is not None and before is not after:
            self.queue_owner(before)
        if after is None:
            if meta.labels(old) != meta.labels(new) or meta.controller_of(old) is not None:
                self.pod_unowned(new)
            return
        if meta.is_deleting(new):
            self.expectations.deletion_observed(meta.key(after), meta.key(new))
        self.pod_noted(after, old, new, gone=False)
        self.queue_owner(after)

    def _pod_deleted(self, pod: Object) -> None:
        owner = self.owner_of(pod)
        if owner is not None:
            self.expectations.deletion_observed(meta.key(owner), meta.key(pod))
            self.pod_noted(owner, None, pod, gone=True)
            self.queue_owner(owner)
