"""What the server makes of an empty store."""

from collections.abc import Callable
from typing import Any

from api.resources import CLUSTERROLES
from api.types import Object, Resource
from apiserver import bootstrap
from tests.unit.apiserver.fakes import FakeLookup


class FakeCore:
    """The roles of a store, and how often one was written."""

    def __init__(self, *roles: Object) -> None:
        self.lookup = self.feed = FakeLookup()
        self.writes = 0
        for role in roles:
            self.lookup.put(CLUSTERROLES, role)

    async def update(self, resource: Resource, namespace: str, name: str, mutate: Callable[[Object], Object]) -> Object:
        self.writes += 1
        return self.lookup.put(resource, mutate(self.lookup.objects[resource.qualified, namespace, name]))

    def rules(self, name: str) -> Any:
        return self.lookup.objects[CLUSTERROLES.qualified, "", name]["rules"]


def selecting(name: str, label: str, **labels: str) -> Object:
    rule = {"clusterRoleSelectors": [{"matchLabels": {"to": label}}]}
    return {"metadata": {"name": name, "labels": labels}, "aggregationRule": rule}


async def test_aggregated_roles_are_complete_at_the_start_and_written_only_when_they_differ() -> None:
    part = {"metadata": {"name": "part", "labels": {"to": "view"}}, "rules": [{"verbs": ["get"]}]}
    core: Any = FakeCore(selecting("admin", "edit"), selecting("edit", "view", to="edit"), part)
    await bootstrap.aggregate(core)
    assert core.rules("edit") == core.rules("admin") == part["rules"] and core.writes == 2
    await bootstrap.aggregate(core)
    assert core.writes == 2
