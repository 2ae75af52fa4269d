"""Removes pods that nobody else will: orphans of vanished nodes, unscheduled ones that are being deleted, too many ended ones.

Source: the Kubernetes documentation, "Pod Lifecycle: Garbage collection of Pods".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from api import meta, resources, timestamp
from api.errors import NotFound
from api.types import Object
from client.controller import Context, Controller
from controllers.nodes.lifecycle import BY_NODE, pods_by_node
from controllers.podstate import created_at, is_terminal, node_of
from controllers.status import write_status

_QUARANTINE_SECONDS = 40.0
_SWEEP = "sweep"
_NODE_MESSAGE = "PodGC: node no longer exists"


def surplus(ended: Iterable[Object], threshold: int) -> list[Object]:
    """The ended pods beyond the threshold, oldest first; none for a threshold of 0. Evicted ones go before all others."""
    pods = sorted(ended, key=lambda pod: (not _evicted(pod), created_at(pod), meta.key(pod)))
    return pods[: max(0, len(pods) - threshold)] if threshold > 0 else []


def _evicted(pod: Object) -> bool:
    return (pod.get("status") or {}).get("reason") == "Evicted"


def unscheduled_leaving(pods: Iterable[Object]) -> list[Object]:
    """Pods that are being deleted and have no kubelet that could finish it."""
    return [pod for pod in pods if meta.is_deleting(pod) and not node_of(pod)]


class PodGC(Controller):
    """Keys: a node's name (gone since its quarantine began) or `sweep`, for the other two rules."""

    name = "pod-gc"
    workers = 1

    def __init__(self, ctx: Context, threshold: int) -> None:
        super().__init__(ctx)
        self.threshold = threshold
        self.ended: set[str] = set()
        nodes = ctx.informers.informer(resources.NODES)
        pods = ctx.informers.informer(resources.PODS)
        pods.add_index(BY_NODE, pods_by_node)
        self.nodes, self.pods = nodes.lister, pods.lister
        nodes.add_handler(on_delete=lambda node: self._suspect(meta.name(node)))
        pods.add_handler(self._seen, lambda _, new: self._seen(new), self._gone)

    def _suspect(self, node: str) -> None:
        """A node may only have registered late: its pods get a quarantine."""
        self.queue.add_after(f"node/{node}", _QUARANTINE_SECONDS)

    def _seen(self, pod: Object) -> None:
        node = node_of(pod)
        if node and self.nodes.get(node) is None:
            self._suspect(node)
        if meta.is_deleting(pod) and not node:
            self.queue.add(_SWEEP)
        if is_terminal(pod):
            self.ended.add(meta.key(pod))
            if 0 < self.threshold < len(self.ended):
                self.queue.add_after(_SWEEP, 1.0)

    def _gone(self, pod: Object) -> None:
        self.ended.discard(meta.key(pod))

    async def reconcile(self, key: str) -> None:
        """Apply the rule that the key stands for."""
        kind, _, node = key.partition("/")
        if kind == "node":
            await self._empty_node(node)
            return
        pods = self.pods.list()
        for pod in unscheduled_leaving(pods):
            await self._remove(pod, None)
        for pod in surplus((p for p in pods if is_terminal(p)), self.threshold):
            await self._remove(pod, None)

    async def _empty_node(self, name: str) -> None:
        orphans: Sequence[Object] = self.pods.by_index(BY_NODE, name)
        if not orphans or self.nodes.get(name) is not None:
            return
        try:
            await self.client.get(resources.NODES, name)
        except NotFound:
            for pod in orphans:
                await self._remove(pod, _NODE_MESSAGE)

    async def _remove(self, pod: Object, disruption: str | None) -> None:
        """Delete at once, since no kubelet will; a pod that had not ended ends as Failed first, so that its Job counts it."""
        try:
            if not is_terminal(pod):
                status = {**(pod.get("status") or {}), "phase": "Failed"}
                if disruption:
                    conditions = [dict(c) for c in status.get("conditions") or ()]
                    meta.set_condition(
                        conditions, "DisruptionTarget", "True", "DeletionByPodGC", disruption, now=timestamp.now()
                    )
                    status["conditions"] = conditions
                await write_status(self.client, resources.PODS, pod, status)
            await self.client.delete(
                resources.PODS, meta.name(pod), meta.namespace(pod), grace_period_seconds=0, uid=meta.uid(pod)
            )
        except NotFound:
            return
