"""Keeps as many pods as an owner asks for.

Promises: never acts on a cache that has not seen its own last creations and deletions (expectations); never touches a pod that
another controller owns; creates in growing batches; deletes the pods that are missed least.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from api import meta, resources, selectors
from api.errors import ApiError, NotFound
from api.selectors import LabelSelector
from api.types import Object, Resource
from client.controller import Context, Controller
from client.expectations import Expectations
from controllers import ownership
from controllers.podcontrol import PodControl, namespace_terminating
from controllers.podstate import available_in, is_active, wall
from controllers.replicas import status
from controllers.replicas.ranking import pods_to_delete
from controllers.slowstart import slow_start
from controllers.status import write_status
from controllers.templates import pod_from

BURST = 500
"""The most pods created or deleted in one go."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What tells the kinds apart: the resource and how its selector is written."""

    resource: Resource
    selector: Callable[[Object], LabelSelector]


class ReplicaController(Controller):
    """What both kinds share; a subclass names itself and its kind."""

    workers = 5
    kind: ClassVar[Kind]

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        kind = self.kind
        self.control = PodControl(ctx)
        self.claimer = ownership.Claimer(ctx.client, resources.PODS, kind.resource)
        self.expectations = Expectations(ctx.clock)
        owners = ctx.informers.informer(kind.resource)
        pods = ctx.informers.informer(resources.PODS)
        ownership.index_by_controller(owners)
        ownership.index_by_controller(pods)
        self.owners, self.pods = owners.lister, pods.lister
        owners.add_handler(self._enqueue, lambda _, new: self._enqueue(new), self._owner_deleted)
        pods.add_handler(self._pod_added, self._pod_updated, self._pod_deleted)

    def _enqueue(self, owner: Object) -> None:
        self.queue.add(meta.key(owner))

    def _owner_deleted(self, owner: Object) -> None:
        self.expectations.forget(meta.key(owner))
        self._enqueue(owner)

    def _owner_of(self, pod: Object) -> Object | None:
        return ownership.resolve(self.owners, self.kind.resource, pod)

    def _pod_added(self, pod: Object) -> None:
        if meta.is_deleting(pod):
            self._pod_deleted(pod)
        elif owner := self._owner_of(pod):
            self.expectations.creation_observed(meta.key(owner))
            self._enqueue(owner)
        elif meta.controller_of(pod) is None:
            self._enqueue_adopters(pod)

    def _pod_updated(self, old: Object, new: Object) -> None:
        if meta.is_deleting(new):
            self._pod_deleted(new)
            if meta.labels(old) != meta.labels(new):
                self._pod_deleted(old)
            return
        before, after = self._owner_of(old), self._owner_of(new)
        if before is not None and before is not after:
            self._enqueue(before)
        if after is not None:
            self._enqueue(after)
            if delay := int(after["spec"].get("minReadySeconds") or 0):
                waiting = available_in(new, delay, wall())
                if waiting is not None:
                    self.queue.add_after(meta.key(after), waiting + 1)
        elif meta.controller_of(new) is None and (
            meta.labels(old) != meta.labels(new) or meta.controller_of(old) is not None
        ):
            self._enqueue_adopters(new)

    def _pod_deleted(self, pod: Object) -> None:
        if owner := self._owner_of(pod):
            self.expectations.deletion_observed(meta.key(owner), meta.key(pod))
            self._enqueue(owner)

    def _enqueue_adopters(self, pod: Object) -> None:
        for owner in self.owners.list(meta.namespace(pod)):
            if self.kind.selector(owner).matches(meta.labels(pod)):
                self._enqueue(owner)

    async def reconcile(self, key: str) -> None:
        """Create or delete pods until there are `spec.replicas` of them, and tell the status."""
        owner = self.owners.get(key)
        if owner is None:
            self.expectations.forget(key)
            return
        selector = self.kind.selector(owner)
        settled = self.expectations.satisfied(key)
        mine = await self.claimer.claim(owner, selector, ownership.candidates(self.pods, owner))
        active = [pod for pod in mine if is_active(pod)]
        error: ApiError | None = None
        if settled and not meta.is_deleting(owner):
            error = await self._manage(key, owner, active, wall())
        now = wall()
        fresh = await write_status(self.client, self.kind.resource, owner, status.compute(owner, mine, error, now))
        if error is not None:
            raise error
        self._wait_for_availability(key, fresh, active, now)

    def _wait_for_availability(self, key: str, owner: Object, active: Sequence[Object], now: datetime) -> None:
        delay = int(owner["spec"].get("minReadySeconds") or 0)
        if not delay:
            return
        waits = [wait for pod in active if (wait := available_in(pod, delay, now)) is not None]
        if waits:
            self.queue.add_after(key, min(waits) + 0.1)

    async def _manage(self, key: str, owner: Object, active: Sequence[Object], now: datetime) -> ApiError | None:
        missing = status.replicas_wanted(owner) - len(active)
        if missing > 0:
            return await self._create(key, owner, min(missing, BURST))
        if missing < 0:
            count = min(-missing, BURST)
            return await self._delete(key, owner, pods_to_delete(active, self._related(owner, active), count, now))
        return None

    def _related(self, owner: Object, active: Sequence[Object]) -> list[Object]:
        """Active pods of all owners that share this owner's controller, for instance of all ReplicaSets of a Deployment."""
        ref = meta.controller_of(owner)
        if ref is None:
            return list(active)
        siblings = self.owners.by_index(ownership.BY_CONTROLLER, str(ref.get("uid")))
        pods = {meta.uid(pod): pod for pod in active}
        for sibling in siblings:
            pods |= {meta.uid(pod): pod for pod in ownership.controlled(self.pods, sibling) if is_active(pod)}
        return list(pods.values())

    async def _create(self, key: str, owner: Object, count: int) -> ApiError | None:
        self.expectations.expect_creations(key, count)

        async def create(_: int) -> None:
            pod = pod_from(owner["spec"]["template"], self.kind.resource, owner)
            try:
                await self.control.create(pod, owner)
            except ApiError as error:
                if not namespace_terminating(error):
                    raise
                self.expectations.creation_observed(key)

        succeeded, error = await slow_start(count, create)
        for _ in range(count - succeeded):
            self.expectations.creation_observed(key)
        return error

    async def _delete(self, key: str, owner: Object, doomed: Sequence[Object]) -> ApiError | None:
        self.expectations.expect_deletions(key, [meta.key(pod) for pod in doomed])

        async def delete(pod: Object) -> None:
            try:
                await self.control.delete(pod, owner)
            except NotFound:
                self.expectations.deletion_observed(key, meta.key(pod))
            except ApiError:
                self.expectations.deletion_observed(key, meta.key(pod))
                raise

        results = await asyncio.gather(*(delete(pod) for pod in doomed), return_exceptions=True)
        errors = [r for r in results if isinstance(r, BaseException)]
        for failure in errors:
            if not isinstance(failure, ApiError):
                raise failure
            return failure
        return None


class ReplicaSetController(ReplicaController):
    """apps/v1 ReplicaSets."""

    name = "replicaset"
    kind = Kind(resources.REPLICASETS, lambda rs: selectors.from_object(rs["spec"].get("selector")))


class ReplicationControllerController(ReplicaController):
    """core/v1 ReplicationControllers."""

    name = "replicationcontroller"
    kind = Kind(resources.REPLICATIONCONTROLLERS, lambda rc: selectors.from_map(rc["spec"].get("selector")))
