"""Introduces a new node's machine: provider id, addresses, labels; then takes away the taint that kept pods off it.

Source: KEP-2392 (cloud controller manager). A node without the taint was not started with an external cloud provider and is
left alone.
"""

from __future__ import annotations

from copy import deepcopy

from api import meta, resources
from api.types import Object
from client.controller import Context, Controller
from controllers.cloud.provider import Instance, Instances

TAINT = "node.cloudprovider.kubernetes.io/uninitialized"


def is_new(node: Object) -> bool:
    """Whether the node waits to be introduced."""
    return any(t.get("key") == TAINT for t in (node.get("spec") or {}).get("taints") or ())


def introduced(node: Object, instance: Instance) -> Object:
    """The node with what its machine says, without the taint. Pure; returns a copy."""
    node = deepcopy(node)
    spec = node.setdefault("spec", {})
    spec["providerID"] = spec.get("providerID") or instance.provider_id
    spec["taints"] = [t for t in spec.get("taints") or () if t.get("key") != TAINT]
    labels = {
        "node.kubernetes.io/instance-type": instance.kind,
        "topology.kubernetes.io/zone": instance.zone,
        "topology.kubernetes.io/region": instance.region,
    }
    node["metadata"]["labels"] = {**{k: v for k, v in labels.items() if v}, **meta.labels(node)}
    return node


class CloudNodes(Controller):
    """Keys are nodes."""

    name = "cloud-node"
    workers = 1

    def __init__(self, ctx: Context, instances: Instances) -> None:
        super().__init__(ctx)
        nodes = ctx.informers.informer(resources.NODES)
        self.nodes, self.instances = nodes.lister, instances
        nodes.add_handler(self.enqueue, lambda _, new: self.enqueue(new))

    async def reconcile(self, key: str) -> None:
        """Introduce one node."""
        node = self.nodes.get(key)
        if node is None or not is_new(node):
            return
        instance = await self.instances.find(node)
        if instance is None:
            self.recorder.event(
                node, "Warning", "InstanceNotFound", "The machine of this node is not known to the provider"
            )
            return
        node = await self.client.update(resources.NODES, introduced(node, instance))
        listed = [{"type": kind, "address": address} for kind, address in instance.addresses]
        if listed and listed != ((node.get("status") or {}).get("addresses") or []):
            patch = {"status": {"addresses": listed}}
            await self.client.patch(resources.NODES, key, patch, subresource="status", kind="strategic")
        self.recorder.event(node, "Normal", "Synced", "Node synced successfully")
