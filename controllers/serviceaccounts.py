"""Every active namespace has the ServiceAccount `default`; it comes back when it is deleted."""

from __future__ import annotations

from api import meta, resources
from api.errors import AlreadyExists, Forbidden, NotFound
from api.types import Object
from client.controller import Context, Controller
from controllers.podcontrol import namespace_terminating

_NAME = "default"


def is_active(namespace: Object) -> bool:
    """Whether objects may still be created in the namespace."""
    return not meta.is_deleting(namespace) and (namespace.get("status") or {}).get("phase") != "Terminating"


class ServiceAccountController(Controller):
    """Keys are namespace names."""

    name = "serviceaccount"

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        namespaces = ctx.informers.informer(resources.NAMESPACES)
        accounts = ctx.informers.informer(resources.SERVICEACCOUNTS)
        self.namespaces, self.accounts = namespaces.lister, accounts.lister
        namespaces.add_handler(self.enqueue, lambda _, new: self.enqueue(new))
        accounts.add_handler(on_delete=lambda account: self.queue.add(meta.namespace(account)))

    async def reconcile(self, key: str) -> None:
        """Create the account if it is missing."""
        namespace = self.namespaces.get(key)
        if namespace is None or not is_active(namespace) or self.accounts.get(f"{key}/{_NAME}"):
            return
        try:
            await self.client.create(resources.SERVICEACCOUNTS, {"metadata": {"name": _NAME, "namespace": key}})
        except (AlreadyExists, NotFound):
            return
        except Forbidden as error:
            if not namespace_terminating(error):
                raise
