"""Watches over the nodes: marks the silent ones, taints what must not be scheduled on or must be left, marks their pods.

A node that has not been heard for `node_monitor_grace_period` gets Ready=Unknown. NoSchedule taints follow the conditions at
once. NoExecute taints, which evict, are rate limited, and when no node at all is ready none is set, because then it is probably
we who are cut off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from api import meta, resources, timestamp
from api.errors import ApiError, Conflict, NotFound
from api.types import Object
from client.controller import Context, Controller
from controllers.nodes import health, taints
from controllers.nodes.health import Disruption, Heartbeats, eviction_rate, readiness
from controllers.podstate import is_ready, is_terminal
from controllers.settings import Settings
from controllers.status import write_status

BY_NODE = "node"
_LEASES = "kube-node-lease"


def pods_by_node(pod: Object) -> Iterable[str]:
    """Index function: the node a pod is bound to."""
    name = pod["spec"].get("nodeName")
    return (str(name),) if name else ()


class NodeLifecycleController(Controller):
    """Keys are node names; a monitor beside the workers looks at every node each `node_monitor_period`."""

    name = "node-lifecycle"
    workers = 4

    def __init__(self, ctx: Context, settings: Settings) -> None:
        super().__init__(ctx)
        self.settings = settings
        self.heartbeats = Heartbeats()
        self.last_eviction = float("-inf")
        self.cut_off = False
        self.was_ready: dict[str, bool] = {}
        nodes = ctx.informers.informer(resources.NODES)
        pods = ctx.informers.informer(resources.PODS)
        self.nodes, self.pods = nodes.lister, pods.lister
        self.leases = ctx.informers.informer(resources.LEASES, namespace=_LEASES).lister
        pods.add_index(BY_NODE, pods_by_node)
        nodes.add_handler(self._added, lambda _, new: self.enqueue(new), self._gone)

    def _added(self, node: Object) -> None:
        message = f"Node {meta.name(node)} event: Registered Node {meta.name(node)} in Controller"
        self.recorder.event(node, "Normal", "RegisteredNode", message)
        self.enqueue(node)

    def _gone(self, node: Object) -> None:
        name = meta.name(node)
        self.heartbeats.forget(name)
        self.was_ready.pop(name, None)
        self.recorder.event(node, "Normal", "RemovingNode", f"Node {name} event: Removing Node {name} from Controller")

    async def run(self) -> None:
        """Work and monitor until cancelled."""
        await self.context.informers.wait_synced()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(super().run())
            tasks.create_task(self._monitor())

    async def _monitor(self) -> None:
        while True:
            for node in self.nodes.list():
                try:
                    await self.observe(node)
                except (NotFound, Conflict):
                    continue  # the node changed or went; the next round sees it anew
                except ApiError as error:
                    self.log.warning("node not updated", node=meta.name(node), error=error.message)
            try:
                await self.evict_from_failed()
            except ApiError as error:
                self.log.warning("node not tainted", error=error.message)
            await self.clock.sleep(self.settings.node_monitor_period)

    async def observe(self, node: Object) -> None:
        """Note the node's heartbeat; mark it Unknown when it has been silent too long. Raises ApiErrors."""
        name = meta.name(node)
        heard = self.heartbeats.heard(node, self.leases.get(f"{_LEASES}/{name}"), self.clock.now())
        never = health.never_reported(node)
        grace = self.settings.node_startup_grace_period if never else self.settings.node_monitor_grace_period
        if self.clock.now() - heard > grace:
            conditions = health.unknown_conditions(node, timestamp.now())
            if conditions is not None:
                status = {**(node.get("status") or {}), "conditions": conditions}
                node = await write_status(self.client, resources.NODES, node, status)
        ready = readiness(node) == "True"
        if self.was_ready.get(name) and not ready:
            self.log.info("node is not ready", node=name)
            message = f"Node {name} status is now: NodeNotReady"
            self.recorder.event(node, "Normal", "NodeNotReady", message)
        if not ready and self.was_ready.get(name, True):
            await self._mark_pods(name)
        self.was_ready[name] = ready

    async def _mark_pods(self, node: str) -> None:
        """Services must not send traffic to pods whose node cannot be trusted."""
        for pod in self.pods.by_index(BY_NODE, node):
            if not is_ready(pod) or is_terminal(pod):
                continue
            conditions = [dict(c) for c in pod["status"]["conditions"]]
            meta.set_condition(conditions, "Ready", "False", now=timestamp.now())
            self.recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")
            try:
                await write_status(self.client, resources.PODS, pod, {**pod["status"], "conditions": conditions})
            except NotFound:
                continue

    async def evict_from_failed(self) -> None:
        """Taint nodes that are not ready NoExecute, as fast as the state of the whole cluster allows."""
        nodes = self.nodes.list()
        states = [readiness(node) for node in nodes]
        state = Disruption(states.count("True"), len(states) - states.count("True"))
        if state.full() != self.cut_off:
            await self._set_cut_off(nodes, state.full())
        rate = eviction_rate(
            state,
            normal=self.settings.node_eviction_rate,
            secondary=self.settings.secondary_node_eviction_rate,
            threshold=self.settings.unhealthy_zone_threshold,
            large=self.settings.large_cluster_size_threshold,
        )
        for node in nodes:
            key = taints.ready_key(node)
            wanted = taints.with_no_execute(node, key, timestamp.now()) if key else None
            if wanted is None:
                continue
            swap = len(wanted) == len(
                taints.taints_of(node)
            )  # from not-ready to unreachable or back: nobody new is evicted
            if not swap:
                if not rate or self.clock.now() - self.last_eviction < 1 / rate:
                    continue
                self.last_eviction = self.clock.now()
            await self._taint(node, wanted)

    async def _set_cut_off(self, nodes: list[Object], cut_off: bool) -> None:
        self.cut_off = cut_off
        self.log.warning("no node is ready, evictions stop" if cut_off else "a node is ready again, evictions resume")
        for node in nodes:
            if cut_off:
                wanted = taints.with_no_execute(node, None, timestamp.now())
                if wanted is not None:
                    await self._taint(node, wanted)
            else:
                # silence while we were cut off proves nothing: every node gets a full grace period again
                self.heartbeats.forget(meta.name(node))

    async def reconcile(self, key: str) -> None:
        """Bring the NoSchedule taints in line with the conditions; take the NoExecute ones off a node that is ready."""
        node = self.nodes.get(key)
        if node is None:
            return
        now = timestamp.now()
        wanted = taints.with_no_schedule(node, now)
        if taints.ready_key(node) is None and readiness(node) == "True":
            changed = node if wanted is None else {**node, "spec": {**taints.spec_of(node), "taints": wanted}}
            cleared = taints.with_no_execute(changed, None, now)
            wanted = wanted if cleared is None else cleared
        if wanted is not None:
            await self._taint(node, wanted)

    async def _taint(self, node: Object, wanted: list[Object]) -> None:
        """Guarded by the resourceVersion, because taints are a list that others write, too."""
        patch = {"metadata": {"resourceVersion": meta.resource_version(node)}, "spec": {"taints": wanted or None}}
        await self.client.patch(resources.NODES, meta.name(node), patch, kind="merge")
