"""Aggregated ClusterRoles."""

from api.roles import aggregated
from api.types import Object


def role(name: str, label: str, *verbs: str) -> Object:
    return {"metadata": {"name": name, "labels": {"part": label}}, "rules": [{"verbs": [verb]} for verb in verbs]}


WHOLE: Object = {
    **role("whole", "yes", "old"),
    "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"part": "yes"}}]},
}


def test_an_aggregated_role_has_the_rules_it_selects_by_name_each_once() -> None:
    roles = [role("b", "yes", "list", "get"), role("a", "yes", "get"), role("c", "no", "delete"), WHOLE]
    assert aggregated(WHOLE, roles) == [{"verbs": ["get"]}, {"verbs": ["list"]}]


def test_an_aggregated_role_that_selects_nothing_has_no_rules() -> None:
    assert aggregated(WHOLE, [role("c", "no", "delete"), WHOLE]) == []
