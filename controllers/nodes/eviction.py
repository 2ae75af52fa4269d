"""Deletes pods from nodes with NoExecute taints that they do not tolerate, or not for ever.

Keys are pods. The time a pod may stay counts from when we first saw it on the tainted node; it is forgotten when the taints go.
"""

from __future__ import annotations

from api import meta, resources, timestamp
from api.errors import NotFound
from api.types import Object
from client.controller import Context, Controller
from controllers.nodes import taints
from controllers.nodes.lifecycle import BY_NODE, pods_by_node
from controllers.podstate import is_terminal, node_of
from controllers.status import write_status

_REASON = "DeletionByTaintManager"
_MESSAGE = "Taint manager: deleting due to NoExecute taint"


class TaintEvictionController(Controller):
    """Also marks what it deletes with the condition DisruptionTarget."""

    name = "taint-eviction"
    workers = 8

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.since: dict[str, tuple[str, float]] = {}
        nodes = ctx.informers.informer(resources.NODES)
        pods = ctx.informers.informer(resources.PODS)
        pods.add_index(BY_NODE, pods_by_node)
        self.nodes, self.pods = nodes.lister, pods.lister
        nodes.add_handler(lambda node: self._node_changed(None, node), self._node_changed)
        pods.add_handler(self._pod_seen, self._pod_changed, self._pod_gone)

    def _node_changed(self, old: Object | None, new: Object) -> None:
        before = taints.no_execute(taints.taints_of(old)) if old is not None else []
        if before != taints.no_execute(taints.taints_of(new)):
            for pod in self.pods.by_index(BY_NODE, meta.name(new)):
                self.enqueue(pod)

    def _pod_seen(self, pod: Object) -> None:
        if node_of(pod):
            self.enqueue(pod)

    def _pod_changed(self, old: Object, new: Object) -> None:
        if node_of(old) != node_of(new) or old["spec"].get("tolerations") != new["spec"].get("tolerations"):
            self.enqueue(new)

    def _pod_gone(self, pod: Object) -> None:
        self.since.pop(meta.key(pod), None)

    async def reconcile(self, key: str) -> None:
        """Delete the pod if its time on the tainted node is over, else come back when it is."""
        pod = self.pods.get(key)
        node = self.nodes.get(node_of(pod)) if pod is not None and node_of(pod) else None
        if pod is None or node is None or meta.is_deleting(pod) or is_terminal(pod):
            self.since.pop(key, None)
            return
        evicting = taints.no_execute(taints.taints_of(node))
        if not evicting:
            if self.since.pop(key, None):
                self.recorder.event(pod, "Normal", "TaintManagerEviction", f"Cancelling deletion of Pod {key}")
            return
        delay = taints.eviction_delay(pod, evicting)
        if delay is None:
            self.since.pop(key, None)
            return
        known = self.since.get(key)
        if known is None or known[0] != meta.uid(pod):
            known = self.since[key] = (meta.uid(pod), self.clock.now())
        left = known[1] + delay - self.clock.now()
        if left > 0:
            self.queue.add_after(key, left)
            return
        await self._evict(pod)

    async def _evict(self, pod: Object) -> None:
        key = meta.key(pod)
        self.recorder.event(pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {key}")
        conditions = [dict(c) for c in (pod.get("status") or {}).get("conditions") or ()]
        meta.set_condition(conditions, "DisruptionTarget", "True", _REASON, _MESSAGE, now=timestamp.now())
        try:
            status = {**(pod.get("status") or {}), "conditions": conditions}
            await write_status(self.client, resources.PODS, pod, status)
            await self.client.delete(resources.PODS, meta.name(pod), meta.namespace(pod), uid=meta.uid(pod))
        except NotFound:
            return
