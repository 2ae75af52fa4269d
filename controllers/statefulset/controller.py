"""Keeps a StatefulSet's pods: creates, deletes and updates them in their order, with their claims.

Names are fixed, so a stale cache cannot lead to a second pod of a kind: the API server refuses it, and the key is tried again.
"""

from __future__ import annotations

from collections.abc import Sequence

from api import meta, resources
from api.errors import AlreadyExists, ApiError, NotFound
from api.types import Object
from client.controller import Context
from controllers.history import History, applied
from controllers.podcontrol import namespace_terminating
from controllers.podowner import PodOwnerController
from controllers.podstate import available_in, wall
from controllers.slowstart import slow_start
from controllers.statefulset import identity
from controllers.statefulset.claims import Claims
from controllers.statefulset.plan import Plan, Revisions, min_ready, plan, status_of
from controllers.status import write_status
from controllers.versions import Written

_HASH = "controller.kubernetes.io/hash"


class StatefulSetController(PodOwnerController):
    """Keys are StatefulSets."""

    name = "statefulset"
    resource = resources.STATEFULSETS

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.history = History(ctx, resources.STATEFULSETS, _HASH)
        self.claims = Claims(ctx)
        self.written = Written()

    def owner_gone(self, owner: Object) -> None:
        super().owner_gone(owner)
        self.written.forget(meta.key(owner))

    def may_adopt(self, owner: Object, pod: Object) -> bool:
        return identity.is_member(owner, pod) and super().may_adopt(owner, pod)

    async def reconcile(self, key: str) -> None:
        """Take the next steps, write the status, thin out the history."""
        owner = self.owners.get(key)
        if owner is None or self.written.is_stale(owner):
            return
        pods = await self.pods_of(owner)
        known = await self.history.list(owner, self.selector_of(owner))
        status = owner.get("status") or {}
        update, collisions = await self.history.current(owner, known, status.get("collisionCount"))
        current = next((r for r in known if meta.name(r) == status.get("currentRevision")), update)
        revisions = Revisions(meta.name(current), meta.name(update))
        now = wall()
        try:
            templates = {revisions.current: applied(owner, current), revisions.update: applied(owner, update)}
            await self._carry_out(owner, plan(owner, pods, revisions, now), templates)
        finally:
            wanted = status_of(owner, pods, revisions, collisions, now)
            written = await write_status(self.client, resources.STATEFULSETS, owner, wanted)
            self.written.wrote(written)
        waits = [w for pod in pods if (w := available_in(pod, min_ready(owner), now)) is not None]
        if waits:
            self.queue.add_after(key, min(waits) + 0.1)
        live = {identity.revision_of(pod) for pod in pods} | {revisions.current, revisions.update}
        limit = owner["spec"].get("revisionHistoryLimit")
        await self.history.thin_out(known, live, 10 if limit is None else int(limit))

    async def _carry_out(self, owner: Object, steps: Plan, templates: dict[str, Object]) -> None:
        for pod in steps.ended:
            word = "failed" if pod["status"]["phase"] == "Failed" else "terminated"
            reason = "RecreatingFailedPod" if word == "failed" else "RecreatingTerminatedPod"
            message = f"StatefulSet {meta.key(owner)} is recreating {word} Pod {meta.name(pod)}"
            self.recorder.event(owner, "Warning" if word == "failed" else "Normal", reason, message)
            await self._delete(owner, pod)
        for pod in steps.keep:
            await self._keep(owner, pod)
        if steps.create:
            await self._create(owner, steps.create, templates)
        for pod in steps.delete:
            await self.claims.own(owner, pod)
            await self._delete(owner, pod)

    async def _create(self, owner: Object, wanted: Sequence[tuple[int, str]], templates: dict[str, Object]) -> None:
        async def create(position: int) -> None:
            ordinal, revision = wanted[position]
            pod = identity.pod_for(templates[revision], ordinal, revision)
            await self.claims.ensure(owner, pod)
            what = f"Pod {meta.name(pod)} in StatefulSet {meta.name(owner)}"
            try:
                await self.client.create(resources.PODS, pod)
            except AlreadyExists:
                raise
            except ApiError as error:
                if not namespace_terminating(error):
                    self.recorder.event(
                        owner, "Warning", "FailedCreate", f"create {what} failed error: {error.message}"
                    )
                raise
            self.recorder.event(owner, "Normal", "SuccessfulCreate", f"create {what} successful")

        _, error = await slow_start(len(wanted), create)
        if error is not None and not namespace_terminating(error):
            raise error

    async def _keep(self, owner: Object, pod: Object) -> None:
        """Restore what makes the pod this very member of the set."""
        if meta.is_deleting(pod):
            return
        await self.claims.own(owner, pod)
        if pod["status"].get("phase") == "Pending":
            await self.claims.ensure(owner, pod)
        labels = meta.labels(identity.with_identity(owner, pod))
        if labels != meta.labels(pod):
            patch = {"metadata": {"uid": meta.uid(pod), "labels": labels}}
            await self.client.patch(resources.PODS, meta.name(pod), patch, meta.namespace(pod), kind="merge")

    async def _delete(self, owner: Object, pod: Object) -> None:
        what = f"Pod {meta.name(pod)} in StatefulSet {meta.name(owner)}"
        try:
            await self.client.delete(resources.PODS, meta.name(pod), meta.namespace(pod), uid=meta.uid(pod))
        except NotFound:
            return
        except ApiError as error:
            self.recorder.event(owner, "Warning", "FailedDelete", f"delete {what} failed error: {error.message}")
            raise
        self.recorder.event(owner, "Normal", "SuccessfulDelete", f"delete {what} successful")
