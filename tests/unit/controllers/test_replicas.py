"""Ranking for deletion, status, slow start."""

from typing import Any

import pytest

from api.errors import Forbidden
from controllers.replicas.ranking import DELETION_COST, pods_to_delete
from controllers.replicas.status import compute
from controllers.slowstart import slow_start
from tests.unit.controllers.objects import NOW, owned, pod


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"node": ""}, {"node": "a"}),
        ({"node": "a", "phase": "Pending", "ready": None}, {"node": "a", "ready": None}),
        ({"node": "a", "ready": None}, {"node": "a"}),
        ({"node": "a", "notes": {DELETION_COST: "-1"}}, {"node": "a"}),
        ({"node": "a", "notes": {DELETION_COST: "-1"}}, {"node": "a", "notes": {DELETION_COST: "nonsense"}}),
        ({"node": "a", "ready": 5}, {"node": "a", "ready": 500}),
        ({"node": "a", "ready": None, "restarts": 3}, {"node": "a", "ready": None}),
        ({"node": "a", "ready": None, "age": 5}, {"node": "a", "ready": None, "age": 5000}),
    ],
    ids=["unassigned", "pending", "unready", "cheap", "nonsense costs 0", "newly ready", "restarted", "young"],
)
def test_which_pod_goes_first(first: dict[str, Any], second: dict[str, Any]) -> None:
    victim, other = pod("victim", **first), pod("other", **second)
    assert pods_to_delete([other, victim], [other, victim], 1, NOW) == [victim]


def test_a_crowded_node_loses_first() -> None:
    a, b, c = pod("a", node="one"), pod("b", node="one"), pod("c", node="two")
    assert pods_to_delete([c, a, b], [a, b, c], 1, NOW)[0] in (a, b)


def test_neighbours_of_other_sets_count_too() -> None:
    a, b, other = pod("a", node="one"), pod("b", node="two"), pod("other", node="two")
    assert pods_to_delete([a, b], [a, b, other], 1, NOW) == [b]


def test_the_status_counts() -> None:
    pods = [
        pod(labels={"app": "web"}, ready=100),
        pod(labels={"app": "web"}, ready=5),
        pod(ready=None),
        pod(phase="Failed", ready=None),
        pod(deleting=True),
    ]
    status = compute(owned("ReplicaSet", minReadySeconds=10), pods, None, NOW)
    assert status == {
        "replicas": 3,
        "fullyLabeledReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 1,
        "terminatingReplicas": 1,
        "observedGeneration": 1,
    }


def test_a_failure_is_told_and_taken_back() -> None:
    owner = owned("ReplicaSet", replicas=2)
    failed = compute(owner, [], Forbidden("exceeded quota"), NOW)
    [condition] = failed["conditions"]
    assert (condition["type"], condition["reason"]) == ("ReplicaFailure", "FailedCreate")
    assert condition["message"] == "exceeded quota"
    assert "conditions" not in compute({**owner, "status": failed}, [], None, NOW)


async def test_slow_start_doubles_and_stops_at_the_first_error() -> None:
    calls: list[int] = []

    async def create(index: int) -> None:
        calls.append(index)
        if index == 4:
            raise Forbidden("no")

    succeeded, error = await slow_start(20, create)
    assert calls == list(range(7)) and succeeded == 6
    assert isinstance(error, Forbidden)
    assert await slow_start(0, create) == (0, None)


async def test_slow_start_raises_what_is_no_api_error() -> None:
    async def broken(_: int) -> None:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        await slow_start(1, broken)
