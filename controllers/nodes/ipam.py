"""Gives every node its own pod range (`spec.podCIDR`) out of `--cluster-cidr`; never the same to two nodes.

What was handed out is kept by node name in memory until the node is gone, so that a slow cache or a failed write cannot lead to a
second, different range.
"""

from __future__ import annotations

from api import meta, resources
from api.errors import Conflict, Invalid, NotFound
from api.types import Object
from client.controller import Context, Controller
from controllers.nodes.cidrs import CidrPool, RangeFull
from controllers.nodes.taints import spec_of


class NodeIpamController(Controller):
    """Keys are node names."""

    name = "node-ipam"
    workers = 1

    def __init__(self, ctx: Context, cluster_cidr: str, mask: int) -> None:
        super().__init__(ctx)
        self.pool = CidrPool(cluster_cidr, mask)
        self.held: dict[str, str] = {}
        self.nodes = ctx.informers.informer(resources.NODES)
        self.nodes.add_handler(self._seen, lambda _, new: self._seen(new), self._gone)

    def _seen(self, node: Object) -> None:
        cidr = spec_of(node).get("podCIDR")
        if not cidr:
            self.enqueue(node)
        elif self.held.get(meta.name(node)) != cidr:
            self._hold(meta.name(node), cidr)

    def _hold(self, name: str, cidr: str) -> None:
        if before := self.held.pop(name, None):
            self.pool.release(before)
        self.held[name] = cidr
        self.pool.occupy(cidr)

    def _gone(self, node: Object) -> None:
        cidr = self.held.pop(meta.name(node), None)
        if cidr is not None:
            self.pool.release(cidr)

    async def reconcile(self, key: str) -> None:
        """Write a range into a node that has none."""
        node = self.nodes.lister.get(key)
        if node is None or spec_of(node).get("podCIDR"):
            return
        cidr = self.held.get(key)
        if cidr is None:
            try:
                cidr = self.pool.take()
            except RangeFull as error:
                message = f"Node {key} status is now: CIDRNotAvailable"
                self.recorder.event(node, "Normal", "CIDRNotAvailable", message)
                self.log.error("no pod range left", node=key, error=str(error))
                self.queue.add_after(key, 30)
                return
            self.held[key] = cidr
        patch = {"metadata": {"uid": meta.uid(node)}, "spec": {"podCIDR": cidr, "podCIDRs": [cidr]}}
        try:
            await self.client.patch(resources.NODES, key, patch, kind="strategic")
        except NotFound:
            self._gone(node)
        except (Invalid, Conflict):
            # somebody gave the node a range in the meantime, or it is another node of the same name; the watch tells which
            self._gone(node)
            raise
