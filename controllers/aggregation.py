"""Gathers the rules of ClusterRoles with an `aggregationRule` from the ClusterRoles that it selects.

Source: the Kubernetes documentation, "Using RBAC: Aggregated ClusterRoles".
"""

from __future__ import annotations

from api import resources
from api.roles import aggregated
from api.types import Object
from client.controller import Context, Controller


class AggregationController(Controller):
    """Keys are ClusterRoles with an aggregation rule; any ClusterRole's change queues them all."""

    name = "clusterrole-aggregation"
    workers = 1

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        roles = ctx.informers.informer(resources.CLUSTERROLES)
        self.roles = roles.lister
        roles.add_handler(self._changed, lambda _, new: self._changed(new), self._changed)

    def _changed(self, _: Object) -> None:
        for role in self.roles.list():
            if role.get("aggregationRule"):
                self.enqueue(role)

    async def reconcile(self, key: str) -> None:
        """Write the rules if they differ."""
        role = self.roles.get(key)
        if role is None or not role.get("aggregationRule"):
            return
        rules = aggregated(role, self.roles.list())
        if rules != (role.get("rules") or []):
            await self.client.update(resources.CLUSTERROLES, {**role, "rules": rules})
