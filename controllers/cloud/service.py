"""Gives Services of type LoadBalancer what their name promises, and takes it away again.

The finalizer is set before anything is made outside the API and removed after it is gone, so that nothing is left behind by a
crash in between. Source: Kubernetes' service controller, KEP-980 (finalizer), KEP-1959 (loadBalancerClass), KEP-1860 (ipMode).
"""

from __future__ import annotations

from collections.abc import Iterable

from api import meta, resources
from api.meta import is_deleting, uid
from api.types import Object
from client.controller import Context, Controller
from controllers.cloud.provider import Balancer, BalancerPort, CloudError, LoadBalancers, Unsupported
from controllers.volumes.protection import with_finalizer, without_finalizer

FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
EXCLUDE_LABEL = "node.kubernetes.io/exclude-from-external-load-balancers"
ADDRESS_ANNOTATION = "cloudlet.dev/load-balancer-ip"
OUR_CLASS = "cloudlet.dev/local"


def is_ours(service: Object) -> bool:
    """Whether the Service's class of load balancer, if it has one, is the one we serve."""
    return (service.get("spec") or {}).get("loadBalancerClass") in (None, "", OUR_CLASS)


def is_wanted(service: Object) -> bool:
    """Whether the Service should have a load balancer of ours."""
    return (service.get("spec") or {}).get("type") == "LoadBalancer" and is_ours(service) and not is_deleting(service)


def backends(nodes: Iterable[Object]) -> tuple[str, ...]:
    """The addresses of the nodes that may take traffic: Ready, not excluded, not going away."""
    found = []
    for node in nodes:
        ready = meta.get_condition(node, "Ready")
        if not ready or ready["status"] != "True" or EXCLUDE_LABEL in meta.labels(node) or is_deleting(node):
            continue
        listed = (node.get("status") or {}).get("addresses") or ()
        found += [a["address"] for a in listed if a.get("type") == "InternalIP" and ":" not in a["address"]][:1]
    return tuple(sorted(found))


def balancer_for(service: Object, nodes: Iterable[Object]) -> Balancer:
    """What the Service asks of the provider. Pure. An address it has already is asked for again."""
    spec = service["spec"]
    affinity = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds") or 10800
    return Balancer(
        uid=uid(service),
        service=meta.key(service),
        ports=tuple(
            BalancerPort(p["port"], p.get("nodePort") or 0, p.get("protocol") or "TCP") for p in spec.get("ports") or ()
        ),
        backends=backends(nodes),
        requested_ip=meta.annotations(service).get(ADDRESS_ANNOTATION) or spec.get("loadBalancerIP") or "",
        source_ranges=tuple(r.strip() for r in spec.get("loadBalancerSourceRanges") or ()),
        sticky_seconds=affinity if spec.get("sessionAffinity") == "ClientIP" else 0,
    )


def addresses(service: Object) -> list[str]:
    """The addresses its status names."""
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return [i["ip"] for i in ingress if i.get("ip")]


class ServiceLoadBalancers(Controller):
    """Keys are Services."""

    name = "service-lb"

    def __init__(self, ctx: Context, balancers: LoadBalancers) -> None:
        super().__init__(ctx)
        services = ctx.informers.informer(resources.SERVICES)
        nodes = ctx.informers.informer(resources.NODES)
        services.add_index("uid", lambda s: (uid(s),))
        self.services, self.nodes, self.balancers = services.lister, nodes.lister, balancers
        self._done: dict[str, Balancer] = {}
        self._uids: dict[str, str] = {}
        services.add_handler(self.enqueue, lambda _, new: self.enqueue(new), self.enqueue)
        nodes.add_handler(self._on_node, self._on_node_change, self._on_node)

    def _on_node(self, node: Object) -> None:
        for service in self.services.list():
            if is_wanted(service):
                self.enqueue(service)

    def _on_node_change(self, old: Object, new: Object) -> None:
        if backends((old,)) != backends((new,)):
            self._on_node(new)

    async def run(self) -> None:
        """Work until cancelled; first learn which addresses are taken and remove balancers whose Service has gone."""
        await self.context.informers.wait_synced()
        held = {
            uid(s): ips[0]
            for s in self.services.list()
            if is_ours(s) and FINALIZER in _finalizers(s) and (ips := addresses(s))
        }
        await self.balancers.restore(held, self._on_lost)
        for known in self.balancers.known():
            if not self.services.by_index("uid", known):
                await self.balancers.delete(known)
        await super().run()

    def _on_lost(self, lost: str) -> None:
        for service in self.services.by_index("uid", lost):
            self._done.pop(meta.key(service), None)
            self.enqueue(service)

    async def reconcile(self, key: str) -> None:
        """Bring one Service's load balancer to what its spec asks for."""
        service = self.services.get(key)
        before = self._uids.get(key)
        if before and (service is None or uid(service) != before):
            await self.balancers.delete(before)
            self._forget(key)
        if service is None:
            return
        if is_wanted(service):
            await self._ensure(key, service)
        elif is_ours(service) and FINALIZER in _finalizers(service):
            await self._release(key, service)

    async def _ensure(self, key: str, service: Object) -> None:
        wanted = balancer_for(service, self.nodes.list())
        done = self._done.get(key)
        if done == wanted and addresses(service):
            return
        if changed := with_finalizer(service, FINALIZER):
            service = await self.client.update(resources.SERVICES, changed)
        is_update = done is not None and done.ports == wanted.ports and done.requested_ip == wanted.requested_ip
        if not is_update:
            self.recorder.event(service, "Normal", "EnsuringLoadBalancer", "Ensuring load balancer")
        self._uids[key] = uid(service)
        try:
            ingress = await self.balancers.ensure(wanted)
        except CloudError as error:
            message = f"Error syncing load balancer: failed to ensure load balancer: {error}"
            self.recorder.event(service, "Warning", "SyncLoadBalancerFailed", message)
            if not isinstance(error, Unsupported):
                self.queue.add_rate_limited(key)
            return
        if not wanted.backends:
            message = "There are no available nodes for LoadBalancer"
            self.recorder.event(service, "Warning", "UnAvailableLoadBalancer", message)
        await self._write(service, [i.as_status() for i in ingress])
        self._done[key] = wanted
        if is_update:
            self.recorder.event(service, "Normal", "UpdatedLoadBalancer", "Updated load balancer with new hosts")
        else:
            self.recorder.event(service, "Normal", "EnsuredLoadBalancer", "Ensured load balancer")

    async def _release(self, key: str, service: Object) -> None:
        self.recorder.event(service, "Normal", "DeletingLoadBalancer", "Deleting load balancer")
        try:
            await self.balancers.delete(uid(service))
        except CloudError as error:
            message = f"Error syncing load balancer: failed to delete load balancer: {error}"
            self.recorder.event(service, "Warning", "SyncLoadBalancerFailed", message)
            self.queue.add_rate_limited(key)
            return
        self._forget(key)
        if addresses(service) and not is_deleting(service):
            service = await self._write(service, [])
        if changed := without_finalizer(service, FINALIZER):
            await self.client.update(resources.SERVICES, changed)
        self.recorder.event(service, "Normal", "DeletedLoadBalancer", "Deleted load balancer")

    def _forget(self, key: str) -> None:
        self._done.pop(key, None)
        self._uids.pop(key, None)

    async def _write(self, service: Object, ingress: list[Object]) -> Object:
        status = service.get("status") or {}
        if ((status.get("loadBalancer") or {}).get("ingress") or []) == ingress:
            return service
        balancer = {"ingress": ingress} if ingress else {}
        patched = {**service, "status": {**status, "loadBalancer": balancer}}
        return await self.client.update(resources.SERVICES, patched, subresource="status")


def _finalizers(obj: Object) -> list[str]:
    return obj["metadata"].get("finalizers") or []
