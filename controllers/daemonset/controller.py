"""Runs one pod of a DaemonSet on every eligible node, bound by the scheduler through a node affinity on the node's name."""

from __future__ import annotations

from api import meta, resources
from api.errors import ApiError
from api.types import Object
from client.controller import Context
from controllers.daemonset import placement, rollout, status
from controllers.daemonset.rollout import ByNode, Steps
from controllers.history import History
from controllers.nodes.taints import taints_of
from controllers.podowner import PodOwnerController
from controllers.podstate import available_in, wall
from controllers.status import write_status
from controllers.templates import REVISION_LABEL

BURST = 250
_FIRST_BACKOFF, _LONGEST_BACKOFF = 1.0, 900.0


class DaemonSetController(PodOwnerController):
    """Keys are DaemonSets."""

    name = "daemonset"
    resource = resources.DAEMONSETS

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.history = History(ctx, resources.DAEMONSETS, REVISION_LABEL)
        self.backoff: dict[tuple[str, str], tuple[float, float]] = {}
        nodes = ctx.informers.informer(resources.NODES)
        self.nodes = nodes.lister
        nodes.add_handler(lambda _: self._all(), self._node_changed, lambda _: self._all())

    def owner_gone(self, owner: Object) -> None:
        super().owner_gone(owner)
        self.backoff = {k: v for k, v in self.backoff.items() if k[0] != meta.key(owner)}

    def _all(self) -> None:
        for key in list(self.owners.keys()):
            self.queue.add(key)

    def _node_changed(self, old: Object, new: Object) -> None:
        if meta.labels(old) != meta.labels(new) or taints_of(old) != taints_of(new):
            self._all()

    async def reconcile(self, key: str) -> None:
        """Create and delete pods by the standing rule, then take the next step of an update; count; thin out history."""
        daemon = self.owners.get(key)
        if daemon is None or meta.is_deleting(daemon):
            return
        selector = self.selector_of(daemon)
        if selector.is_everything:
            message = "This daemon set is selecting all pods. A non-empty selector is required."
            self.recorder.event(daemon, "Warning", "SelectingAll", message)
            return
        known = await self.history.list(daemon, selector)
        present = (daemon.get("status") or {}).get("collisionCount")
        revision, collisions = await self.history.current(daemon, known, present)
        digest = meta.labels(revision).get(REVISION_LABEL, "")
        error: ApiError | None = None
        settled = self.expectations.satisfied(key)
        if settled:
            error = await self._act(key, daemon, digest)
        nodes, by_node = self.nodes.list(), await self._by_node(daemon)
        now = wall()
        computed = status.compute(daemon, nodes, by_node, digest, now, collisions=collisions, observed=settled)
        await write_status(self.client, resources.DAEMONSETS, daemon, computed)
        if error is not None:
            raise error
        self._wait_for_availability(key, daemon, by_node)
        if settled:
            live = {revision_name(daemon, pod) for pods in by_node.values() for pod in pods} | {meta.name(revision)}
            limit = daemon["spec"].get("revisionHistoryLimit")
            await self.history.thin_out(known, live, 10 if limit is None else int(limit))

    async def _by_node(self, daemon: Object) -> dict[str, list[Object]]:
        by_node: dict[str, list[Object]] = {}
        for pod in await self.pods_of(daemon):
            if target := placement.target_of(pod):
                by_node.setdefault(target, []).append(pod)
        return by_node

    async def _act(self, key: str, daemon: Object, digest: str) -> ApiError | None:
        nodes, by_node = self.nodes.list(), await self._by_node(daemon)

        def may_replace(pod: Object) -> bool:
            return self._backoff_over(key, daemon, placement.target_of(pod))

        steps = rollout.manage(daemon, nodes, by_node, digest, wall(), may_replace)
        self._tell_ended(daemon, steps)
        error = await self._carry_out(key, daemon, digest, steps)
        rolling = (daemon["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate"
        if error is None and rolling and self.expectations.satisfied(key):
            by_node = await self._by_node(daemon)
            error = await self._carry_out(key, daemon, digest, rollout.roll(daemon, nodes, by_node, digest, wall()))
        return error

    def _tell_ended(self, daemon: Object, steps: Steps) -> None:
        for pods, reason, word in (
            (steps.failed, "FailedDaemonPod", "failed"),
            (steps.succeeded, "SucceededDaemonPod", "succeeded"),
        ):
            for pod in pods:
                node = placement.target_of(pod)
                message = f"Found {word} daemon pod {meta.key(pod)} on node {node}, will try to kill it"
                self.recorder.event(daemon, "Warning" if word == "failed" else "Normal", reason, message)

    def _backoff_over(self, key: str, daemon: Object, node: str) -> bool:
        """Whether a failed pod on the node may be replaced now; each replacement doubles the wait before the next."""
        slot = (key, f"{daemon['metadata'].get('generation')}/{node}")
        now = self.clock.now()
        delay, until = self.backoff.get(slot, (0.0, now))
        if now < until:
            self.queue.add_after(key, until - now)
            return False
        quiet = now > until + 2 * _LONGEST_BACKOFF
        delay = _FIRST_BACKOFF if quiet or not delay else min(delay * 2, _LONGEST_BACKOFF)
        self.backoff[slot] = (delay, now + delay)
        return True

    async def _carry_out(self, key: str, daemon: Object, digest: str, steps: Steps) -> ApiError | None:
        create = steps.create[:BURST]
        delete = [*steps.failed, *steps.succeeded, *steps.delete][:BURST]
        if not create and not delete:
            return None
        _, failed = await self.control.create(
            key, daemon, len(create), lambda i: placement.pod_for(resources.DAEMONSETS, daemon, digest, create[i])
        )
        _, error = await self.control.delete(key, daemon, delete)
        return failed or error

    def _wait_for_availability(self, key: str, daemon: Object, by_node: ByNode) -> None:
        delay, now = rollout.delay_of(daemon), wall()
        waits = [w for pods in by_node.values() for p in pods if (w := available_in(p, delay, now)) is not None]
        if delay and waits:
            self.queue.add_after(key, min(waits) + 0.1)


def revision_name(daemon: Object, pod: Object) -> str:
    """The name of the ControllerRevision a pod was made from."""
    return f"{meta.name(daemon)}-{meta.labels(pod).get(REVISION_LABEL, '')}"
