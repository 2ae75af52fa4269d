"""Writes the Endpoints and the EndpointSlices of every Service that has a selector."""

from __future__ import annotations

from api import meta, resources
from api.errors import AlreadyExists, Forbidden, NotFound
from api.services import is_headless
from api.types import Object
from client.controller import Context
from controllers.endpoints import members, subsets
from controllers.endpoints.slices import MANAGED_BY, SERVICE_NAME, Group, group_of, plan
from controllers.endpoints.watching import ServiceController, SliceWriter
from controllers.podcontrol import namespace_terminating
from controllers.status import same

_PER_SLICE = 100
_SLICE_MANAGER = "endpointslice-controller.k8s.io"


class EndpointsController(ServiceController):
    """One Endpoints object per Service, of the same name."""

    name = "endpoints"

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        endpoints = ctx.informers.informer(resources.ENDPOINTS)
        self.endpoints = endpoints.lister
        endpoints.add_handler(on_delete=self.enqueue)

    async def reconcile(self, key: str) -> None:
        """Create, update, or, when the Service is gone, delete the Endpoints."""
        namespace, name = meta.split_key(key)
        service = self.services.get(key)
        present = self.endpoints.get(key)
        if service is None:
            if present is not None:
                await self._delete(namespace, name)
            return
        if not members.has_endpoints(service):
            return
        found, cut = subsets.truncated(subsets.subsets(service, self.pods_of(service)))
        labels = subsets.labels_of(service)
        if present is not None and same(present.get("subsets"), found) and meta.labels(present) == labels:
            return
        annotations = dict(meta.annotations(present)) if present is not None else {}
        annotations.pop(subsets.OVER_CAPACITY, None)
        if cut:
            annotations[subsets.OVER_CAPACITY] = "truncated"
        metadata: Object = {
            **(present["metadata"] if present is not None else {"name": name, "namespace": namespace}),
            "labels": labels,
            "annotations": annotations,
        }
        await self._write({**(present or {}), "metadata": metadata, "subsets": found}, service)

    async def _write(self, obj: Object, service: Object) -> None:
        if meta.resource_version(obj):
            await self.client.update(resources.ENDPOINTS, obj)
            return
        try:
            await self.client.create(resources.ENDPOINTS, obj)
        except Forbidden as error:
            if namespace_terminating(error):
                return
            message = f"Failed to create endpoint for service {meta.key(service)}: {error.message}"
            self.recorder.event(service, "Warning", "FailedToCreateEndpoint", message)
            raise

    async def _delete(self, namespace: str | None, name: str) -> None:
        try:
            await self.client.delete(resources.ENDPOINTS, name, namespace)
        except NotFound:
            return


class EndpointSliceController(ServiceController):
    """Slices of at most a hundred endpoints per Service, address family and set of ports."""

    name = "endpointslice"

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.slices = SliceWriter(ctx, _SLICE_MANAGER, self.queue.add)
        self.nodes = ctx.informers.informer(resources.NODES).lister

    async def reconcile(self, key: str) -> None:
        """Bring the slices in line with the Service and its pods."""
        service = self.services.get(key)
        if service is None:
            self.slices.tracker.forget(key)
            return
        if not members.has_endpoints(service) or meta.is_deleting(service):
            return
        existing = self.slices.existing(key)
        if existing is None:
            return
        changes = plan(existing, self._desired(service), self._labels(service), _PER_SLICE)
        owner = meta.owner_reference(resources.SERVICES, service)
        try:
            await self.slices.carry_out(key, changes, owner, meta.name(service))
        except (NotFound, AlreadyExists):
            self.queue.add_rate_limited(key)
        except Forbidden as error:
            if not namespace_terminating(error):
                raise

    def _desired(self, service: Object) -> dict[Group, list[Object]]:
        desired: dict[Group, list[Object]] = {}
        nodes = {meta.name(node): node for node in self.nodes.list()}
        pods = [pod for pod in self.pods_of(service) if members.belongs(pod, terminating=True)]
        for family in members.families(service):
            for pod in pods:
                entry = members.endpoint(pod, service, family, nodes)
                if entry is not None:
                    desired.setdefault(group_of(family, members.ports_of(pod, service)), []).append(entry)
            if not any(group[0] == family for group in desired):
                desired[group_of(family, [])] = []  # an empty slice says: known, and nobody there
        return desired

    @staticmethod
    def _labels(service: Object) -> dict[str, str]:
        reserved = (SERVICE_NAME, MANAGED_BY, subsets.HEADLESS)
        labels = {k: v for k, v in meta.labels(service).items() if k not in reserved}
        labels |= {SERVICE_NAME: meta.name(service), MANAGED_BY: _SLICE_MANAGER}
        return labels | {subsets.HEADLESS: ""} if is_headless(service) else labels
