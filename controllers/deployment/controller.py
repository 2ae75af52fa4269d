"""Drives a Deployment: finds or creates the ReplicaSet of its template, scales new and old, reports, cleans up.

Every reconcile makes at most one step (scale up, or scale down) and reports; the ReplicaSets' own changes bring the next one.
"""

from __future__ import annotations

from datetime import datetime

from api import meta, resources, selectors, timestamp
from api.errors import AlreadyExists, ApiError, NotFound
from api.types import Object
from client.controller import Context, Controller
from controllers import ownership
from controllers.deployment import scaling, status
from controllers.deployment import sets as rs_sets
from controllers.deployment.sets import DESIRED, REVISION, Sets
from controllers.podcontrol import namespace_terminating
from controllers.podstate import is_terminal, wall
from controllers.scale import replicas_wanted
from controllers.status import write_status
from controllers.templates import fingerprint, same_template

_MOMENT = 1.0


class DeploymentController(Controller):
    """Rolling and recreating rollouts, scaling, pause, revision history."""

    name = "deployment"
    workers = 5

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.claimer = ownership.Claimer(ctx.client, resources.REPLICASETS, resources.DEPLOYMENTS)
        deployments = ctx.informers.informer(resources.DEPLOYMENTS)
        sets = ctx.informers.informer(resources.REPLICASETS)
        pods = ctx.informers.informer(resources.PODS)
        ownership.index_by_controller(sets)
        ownership.index_by_controller(pods)
        self.deployments, self.sets, self.pods = deployments.lister, sets.lister, pods.lister
        deployments.add_handler(self._enqueue, lambda _, new: self._enqueue(new), self._enqueue)
        sets.add_handler(self._set_seen, self._set_changed, self._set_seen)
        pods.add_handler(on_delete=self._pod_deleted)

    def _enqueue(self, deployment: Object) -> None:
        self.queue.add(meta.key(deployment))

    def _set_seen(self, rs: Object) -> None:
        owner = ownership.resolve(self.deployments, resources.DEPLOYMENTS, rs)
        if owner is not None:
            self._enqueue(owner)
        elif meta.controller_of(rs) is None:
            for deployment in self.deployments.list(meta.namespace(rs)):
                if selectors.from_object(deployment["spec"].get("selector")).matches(meta.labels(rs)):
                    self._enqueue(deployment)

    def _set_changed(self, old: Object, new: Object) -> None:
        before, after = meta.controller_of(old), meta.controller_of(new)
        if before and (not after or after.get("uid") != before.get("uid")):
            self._set_seen(old)
        self._set_seen(new)

    def _pod_deleted(self, pod: Object) -> None:
        """A Recreate rollout waits for the last old pod to be gone."""
        rs = ownership.resolve(self.sets, resources.REPLICASETS, pod)
        owner = ownership.resolve(self.deployments, resources.DEPLOYMENTS, rs) if rs is not None else None
        if owner is not None and rs_sets.strategy(owner) == "Recreate":
            self._enqueue(owner)

    async def reconcile(self, key: str) -> None:
        """One step of the rollout that the Deployment asks for."""
        deployment = self.deployments.get(key)
        if deployment is None:
            return
        selector = selectors.from_object(deployment["spec"].get("selector"))
        if selector.is_everything:
            message = "This deployment is selecting all pods. A non-empty selector is required."
            self.recorder.event(deployment, "Warning", "SelectingAll", message)
            return
        claimed = await self.claimer.claim(deployment, selector, ownership.candidates(self.sets, deployment))
        sets = rs_sets.split(deployment, claimed)
        if meta.is_deleting(deployment):
            await self._report(deployment, sets)
            return
        deployment = await self._note_pause(deployment)
        if deployment["spec"].get("paused"):
            deployment, sets = await self._sync_revision(deployment, sets)
            await self._resize(deployment, sets)
            await self._clean_up(deployment, sets)
        elif self._was_scaled(deployment, sets):
            deployment, sets = await self._sync_revision(deployment, sets)
            await self._resize(deployment, sets)
            await self._report(deployment, sets)
        elif rs_sets.strategy(deployment) == "Recreate":
            await self._recreate(deployment, sets)
        else:
            await self._roll(deployment, sets)

    async def _note_pause(self, deployment: Object) -> Object:
        changed = status.pause_condition(deployment)
        if changed is None:
            return deployment
        now = wall()
        conditions = list((deployment.get("status") or {}).get("conditions") or [])
        moment = timestamp.format(now)
        status.put_condition(conditions, status.PROGRESSING, "Unknown", changed[0], changed[1], moment)
        wanted = {**(deployment.get("status") or {}), "conditions": conditions}
        return await write_status(self.client, resources.DEPLOYMENTS, deployment, wanted)

    @staticmethod
    def _was_scaled(deployment: Object, sets: Sets) -> bool:
        wanted = str(replicas_wanted(deployment))
        noted = (meta.annotations(rs).get(DESIRED) for rs in rs_sets.active(sets.all))
        return any(text is not None and text != wanted for text in noted)

    async def _roll(self, deployment: Object, sets: Sets) -> None:
        deployment, sets = await self._ensure_new(deployment, sets)
        for sizes in (scaling.scale_new, scaling.scale_old):
            steps = sizes(deployment, sets)
            if steps:
                for rs, size in steps:
                    await self._scale(deployment, rs, size)
                await self._report(deployment, sets)
                return
        await self._finish(deployment, sets)

    async def _recreate(self, deployment: Object, sets: Sets) -> None:
        deployment, sets = await self._sync_revision(deployment, sets)
        active = sets.active_old
        for rs in active:
            await self._scale(deployment, rs, 0)
        if active or self._old_pods_run(sets):
            await self._report(deployment, sets)
            return
        deployment, sets = await self._ensure_new(deployment, sets)
        if sets.new is not None and replicas_wanted(sets.new) != replicas_wanted(deployment):
            await self._scale(deployment, sets.new, replicas_wanted(deployment))
        await self._finish(deployment, sets)

    def _old_pods_run(self, sets: Sets) -> bool:
        if rs_sets.total_reported(sets.old, "replicas"):
            return True
        pods = (pod for rs in sets.old for pod in ownership.controlled(self.pods, rs))
        return any(not is_terminal(pod) for pod in pods)

    async def _finish(self, deployment: Object, sets: Sets) -> None:
        if status.is_complete(deployment, deployment.get("status") or {}):
            await self._clean_up(deployment, sets, report=False)
        await self._report(deployment, sets)

    async def _resize(self, deployment: Object, sets: Sets) -> None:
        for rs, size in scaling.proportional(deployment, sets):
            await self._scale(deployment, rs, size)

    async def _scale(self, deployment: Object, rs: Object, size: int) -> None:
        present = replicas_wanted(rs)
        wanted = rs_sets.with_annotations(rs, rs_sets.size_annotations(deployment))
        if present == size and wanted is rs:
            return
        await self.client.update(resources.REPLICASETS, {**wanted, "spec": {**wanted["spec"], "replicas": size}})
        if present != size:
            direction = "up" if present < size else "down"
            message = f"Scaled {direction} replica set {meta.name(rs)} from {present} to {size}"
            self.recorder.event(deployment, "Normal", "ScalingReplicaSet", message)

    async def _sync_revision(self, deployment: Object, sets: Sets) -> tuple[Object, Sets]:
        """Bring the revision and annotations of an existing new ReplicaSet, and of the Deployment, up to date."""
        if sets.new is None:
            return deployment, sets
        new = sets.new
        wanted = rs_sets.annotated_new(deployment, new, rs_sets.next_revision(sets.old), exists=True)
        delay = int(deployment["spec"].get("minReadySeconds") or 0)
        if wanted is not new or int(new["spec"].get("minReadySeconds") or 0) != delay:
            wanted = {**wanted, "spec": {**wanted["spec"], "minReadySeconds": delay}}
            new = await self.client.update(resources.REPLICASETS, wanted)
        deployment = await self._note_revision(deployment, new)
        if meta.get_condition(deployment, status.PROGRESSING) is None:
            message = f'Found new replica set "{meta.name(new)}"'
            deployment = await self._note_progress(deployment, "True", "FoundNewReplicaSet", message)
        return deployment, sets.with_new(new)

    async def _ensure_new(self, deployment: Object, sets: Sets) -> tuple[Object, Sets]:
        if sets.new is not None:
            return await self._sync_revision(deployment, sets)
        collisions = (deployment.get("status") or {}).get("collisionCount")
        digest = fingerprint(deployment["spec"]["template"], collisions)
        size = scaling.new_size(deployment, sets, 0)
        owner = meta.owner_reference(resources.DEPLOYMENTS, deployment)
        rs = rs_sets.replica_set_for(deployment, digest, owner, size, rs_sets.next_revision(sets.old))
        try:
            created = await self.client.create(resources.REPLICASETS, rs)
        except AlreadyExists:
            created = await self._existing(deployment, rs)
        except ApiError as error:
            if not namespace_terminating(error):
                message = f'Failed to create new replica set "{meta.name(rs)}": {error.message}'
                self.recorder.event(deployment, "Warning", "ReplicaSetCreateError", message)
                await self._note_progress(deployment, "False", "ReplicaSetCreateError", message)
            raise
        else:
            if size:
                message = f"Scaled up replica set {meta.name(created)} from 0 to {size}"
                self.recorder.event(deployment, "Normal", "ScalingReplicaSet", message)
        deployment = await self._note_revision(deployment, created)
        message = f'Created new replica set "{meta.name(created)}"'
        deployment = await self._note_progress(deployment, "True", "NewReplicaSetCreated", message)
        return deployment, sets.with_new(created)

    async def _existing(self, deployment: Object, rs: Object) -> Object:
        """The ReplicaSet that has the name already, if it is ours; otherwise the hash collides: count that and try again."""
        found = await self.client.get(resources.REPLICASETS, meta.name(rs), meta.namespace(rs))
        template = deployment["spec"]["template"]
        if meta.is_controlled_by(found, deployment) and same_template(found["spec"]["template"], template):
            return found
        present = deployment.get("status") or {}
        count = int(present.get("collisionCount") or 0) + 1
        await write_status(self.client, resources.DEPLOYMENTS, deployment, {**present, "collisionCount": count})
        raise AlreadyExists(f"the name {meta.name(rs)} collides; trying again with collision count {count}")

    async def _note_revision(self, deployment: Object, rs: Object) -> Object:
        number = meta.annotations(rs).get(REVISION, "")
        if meta.annotations(deployment).get(REVISION) == number:
            return deployment
        patch = {"metadata": {"annotations": {REVISION: number}}}
        return await self.client.patch(resources.DEPLOYMENTS, meta.name(deployment), patch, meta.namespace(deployment))

    async def _note_progress(self, deployment: Object, state: str, reason: str, message: str) -> Object:
        if status.deadline_seconds(deployment) is None:
            return deployment
        conditions = list((deployment.get("status") or {}).get("conditions") or [])
        moment = timestamp.format(wall())
        status.put_condition(conditions, status.PROGRESSING, state, reason, message, moment)
        wanted = {**(deployment.get("status") or {}), "conditions": conditions}
        return await write_status(self.client, resources.DEPLOYMENTS, deployment, wanted)

    async def _report(self, deployment: Object, sets: Sets) -> None:
        now = wall()
        computed = status.compute(deployment, sets, now)
        if not deployment["spec"].get("paused") and not meta.is_deleting(deployment):
            computed = status.with_progress(deployment, sets, computed, now)
        await write_status(self.client, resources.DEPLOYMENTS, deployment, computed)
        self._watch_deadline(deployment, computed, now)

    def _watch_deadline(self, deployment: Object, computed: Object, now: datetime) -> None:
        condition = status.find(computed["conditions"], status.PROGRESSING)
        left = status.deadline_in(deployment, computed, now)
        if left is not None and condition is not None and condition.get("reason") != status.TIMED_OUT_REASON:
            self.queue.add_after(meta.key(deployment), max(left, 0.0) + _MOMENT)

    async def _clean_up(self, deployment: Object, sets: Sets, *, report: bool = True) -> None:
        for rs in rs_sets.to_clean_up(deployment, sets.old):
            try:
                await self.client.delete(resources.REPLICASETS, meta.name(rs), meta.namespace(rs), uid=meta.uid(rs))
            except NotFound:
                continue
        if report:
            await self._report(deployment, sets)
