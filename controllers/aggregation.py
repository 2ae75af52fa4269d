"""Gathers the rules of ClusterRoles with an `aggregationRule` from the ClusterRoles that it selects.

Source: the Kubernetes documentation, "Using RBAC: Aggregated ClusterRoles".
"""

from __future__ import annotations

from collections.abc import Iterable

from api import meta, resources, selectors
from api.types import Object
from client.controller import Context, Controller


def gathered(role: Object, others: Iterable[Object]) -> list[Object]:
    """The rules of all selected roles, each once, in the order of the roles' names."""
    rules: list[Object] = []
    chosen = [selectors.from_object(s) for s in role["aggregationRule"].get("clusterRoleSelectors") or ()]
    for other in sorted(others, key=meta.name):
        if meta.name(other) != meta.name(role) and any(s.matches(meta.labels(other)) for s in chosen):
            rules += [rule for rule in other.get("rules") or () if rule not in rules]
    return rules


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
        rules = gathered(role, self.roles.list())
        if rules != (role.get("rules") or []):
            await self.client.update(resources.CLUSTERROLES, {**role, "rules": rules})
