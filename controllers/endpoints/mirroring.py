"""Mirrors Endpoints that people write for Services without a selector into EndpointSlices, which are all that proxies read.

Source: the Kubernetes documentation, "Services without selectors: EndpointSlice mirroring".
"""

from __future__ import annotations

from collections.abc import Mapping

from api import meta, resources
from api.errors import AlreadyExists, Forbidden, NotFound
from api.types import Object
from client.controller import Context, Controller
from controllers.endpoints import members
from controllers.endpoints.slices import MANAGED_BY, SERVICE_NAME, Group, Plan, group_of, plan
from controllers.endpoints.watching import SliceWriter
from controllers.podcontrol import namespace_terminating

_MANAGER = "endpointslicemirroring-controller.k8s.io"
_SKIP = "endpointslice.kubernetes.io/skip-mirror"
_LEADER = "control-plane.alpha.kubernetes.io/leader"
_LAST_CHANGE = "endpoints.kubernetes.io/last-change-trigger-time"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_PER_SUBSET = 1000


def is_mirrored(endpoints: Object | None, service: Object | None) -> bool:
    """Whether the Endpoints need slices from here."""
    if endpoints is None or service is None or meta.is_deleting(endpoints) or service["spec"].get("selector"):
        return False
    return meta.labels(endpoints).get(_SKIP) != "true" and _LEADER not in meta.annotations(endpoints)


def desired(endpoints: Object) -> dict[Group, list[Object]]:
    """The endpoints of all subsets, by address family and ports."""
    groups: dict[Group, list[Object]] = {}
    for subset in endpoints.get("subsets") or ():
        ports = [_port(port) for port in subset.get("ports") or ()]
        addresses = [(a, True) for a in subset.get("addresses") or ()]
        addresses += [(a, False) for a in subset.get("notReadyAddresses") or ()]
        for address, ready in addresses[:_PER_SUBSET]:
            groups.setdefault(group_of(members.family_of(address["ip"]), ports), []).append(_endpoint(address, ready))
    return groups


def _port(port: Object) -> Object:
    entry = {"name": port.get("name") or "", "port": port["port"], "protocol": port.get("protocol") or "TCP"}
    return entry | ({"appProtocol": port["appProtocol"]} if port.get("appProtocol") else {})


def _endpoint(address: Object, ready: bool) -> Object:
    entry: Object = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    return entry | {k: address[k] for k in ("hostname", "nodeName", "targetRef") if address.get(k)}


def labels_of(endpoints: Object) -> dict[str, str]:
    """The Endpoints' labels, whose Service it is and who manages the slice."""
    return {**meta.labels(endpoints), SERVICE_NAME: meta.name(endpoints), MANAGED_BY: _MANAGER}


def annotations_of(endpoints: Object) -> Mapping[str, str]:
    """The Endpoints' annotations but for those that speak of the Endpoints object itself."""
    return {k: v for k, v in meta.annotations(endpoints).items() if k not in (_LAST_CHANGE, _LAST_APPLIED)}


class EndpointSliceMirroringController(Controller):
    """Keys are Endpoints, which have their Service's name."""

    name = "endpointslicemirroring"
    workers = 5

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        endpoints = ctx.informers.informer(resources.ENDPOINTS)
        services = ctx.informers.informer(resources.SERVICES)
        self.endpoints, self.services = endpoints.lister, services.lister
        self.slices = SliceWriter(ctx, _MANAGER, self.queue.add)
        for informer in (endpoints, services):
            informer.add_handler(self.enqueue, lambda _, new: self.enqueue(new), self.enqueue)

    async def reconcile(self, key: str) -> None:
        """Bring the mirrored slices in line with the Endpoints; delete them when there is nothing to mirror."""
        endpoints = self.endpoints.get(key)
        existing = self.slices.existing(key)
        if existing is None:
            return
        if endpoints is None or not is_mirrored(endpoints, self.services.get(key)):
            changes, owner = Plan(delete=existing), {}
            if not existing:
                self.slices.tracker.forget(key)
                return
        else:
            changes = plan(existing, desired(endpoints), labels_of(endpoints), _PER_SUBSET, annotations_of(endpoints))
            owner = meta.owner_reference(resources.ENDPOINTS, endpoints)
        try:
            await self.slices.carry_out(key, changes, owner, meta.split_key(key)[1])
        except (NotFound, AlreadyExists):
            self.queue.add_rate_limited(key)
        except Forbidden as error:
            if not namespace_terminating(error):
                raise
