"""Keeps as many pods as an owner asks for.

Promises: never acts on a cache that has not seen its own last creations and deletions (expectations); never touches a pod that
another controller owns; creates in growing batches; deletes the pods that are missed least.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from api import meta, resources, selectors
from api.errors import ApiError
from api.selectors import LabelSelector
from api.types import Object
from controllers import ownership
from controllers.podowner import PodOwnerController
from controllers.podstate import available_in, is_active, wall
from controllers.replicas import status
from controllers.replicas.ranking import pods_to_delete
from controllers.scale import replicas_wanted
from controllers.status import write_status
from controllers.templates import pod_from

BURST = 500
"""The most pods created or deleted in one go."""


class ReplicaController(PodOwnerController):
    """What both kinds share; a subclass names itself, its resource, and how its selector reads."""

    workers = 5

    async def reconcile(self, key: str) -> None:
        """Create or delete pods until there are `spec.replicas` of them, and tell the status."""
        owner = self.owners.get(key)
        if owner is None:
            self.expectations.forget(key)
            return
        settled = self.expectations.satisfied(key)
        mine = await self.pods_of(owner)
        active = [pod for pod in mine if is_active(pod)]
        error: ApiError | None = None
        if settled and not meta.is_deleting(owner):
            error = await self._manage(key, owner, active, wall())
        now = wall()
        await write_status(self.client, self.resource, owner, status.compute(owner, mine, error, now))
        if error is not None:
            raise error
        delay = int(owner["spec"].get("minReadySeconds") or 0)
        waits = [wait for pod in active if (wait := available_in(pod, delay, now)) is not None]
        if waits:
            self.queue.add_after(key, min(waits) + 0.1)

    async def _manage(self, key: str, owner: Object, active: Sequence[Object], now: datetime) -> ApiError | None:
        missing = replicas_wanted(owner) - len(active)
        if missing > 0:
            template = owner["spec"]["template"]
            _, error = await self.control.create(
                key, owner, min(missing, BURST), lambda _: pod_from(template, self.resource, owner)
            )
            return error
        if missing < 0:
            doomed = pods_to_delete(active, self._related(owner, active), min(-missing, BURST), now)
            _, error = await self.control.delete(key, owner, doomed)
            return error
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


class ReplicaSetController(ReplicaController):
    """apps/v1 ReplicaSets."""

    name = "replicaset"
    resource = resources.REPLICASETS


class ReplicationControllerController(ReplicaController):
    """core/v1 ReplicationControllers."""

    name = "replicationcontroller"
    resource = resources.REPLICATIONCONTROLLERS

    def selector_of(self, owner: Object) -> LabelSelector:
        return selectors.from_map(owner["spec"].get("selector"))
