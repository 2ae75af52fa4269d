"""Every active namespace has the ConfigMap `kube-root-ca.crt`, by which pods verify the API server."""

from __future__ import annotations

from pathlib import Path

from api import meta, resources
from api.errors import AlreadyExists, Forbidden, NotFound
from client.controller import Context
from controllers.bundle import BundleController
from controllers.podcontrol import namespace_terminating
from controllers.serviceaccounts import is_active

NAME = "kube-root-ca.crt"
_ABOUT = "Contains the CA certificates by which the API server can be verified inside the cluster."


class RootCAPublisher(BundleController):
    """Keys are namespace names. Whatever else stands in the ConfigMap is put right."""

    name = "root-ca-publisher"

    def __init__(self, ctx: Context, path: Path) -> None:
        super().__init__(ctx, path)
        namespaces = ctx.informers.informer(resources.NAMESPACES)
        maps = ctx.informers.informer(resources.CONFIGMAPS, field_selector=f"metadata.name={NAME}")
        self.namespaces, self.maps = namespaces.lister, maps.lister
        namespaces.add_handler(self.enqueue, lambda _, new: self.enqueue(new))
        maps.add_handler(
            on_update=lambda _, new: self.queue.add(meta.namespace(new)),
            on_delete=lambda old: self.queue.add(meta.namespace(old)),
        )

    def bundle_changed(self) -> None:
        for namespace in self.namespaces.list():
            self.enqueue(namespace)

    async def reconcile(self, key: str) -> None:
        """Create the ConfigMap, or restore its content."""
        namespace = self.namespaces.get(key)
        if namespace is None or not is_active(namespace):
            return
        data = {"ca.crt": self.bundle}
        present = self.maps.get(f"{key}/{NAME}")
        if present is not None:
            if present.get("data") != data:
                await self.client.update(resources.CONFIGMAPS, {**present, "data": data})
            return
        metadata = {"name": NAME, "namespace": key, "annotations": {"kubernetes.io/description": _ABOUT}}
        try:
            await self.client.create(resources.CONFIGMAPS, {"metadata": metadata, "data": data})
        except (AlreadyExists, NotFound):
            return
        except Forbidden as error:
            if not namespace_terminating(error):
                raise
