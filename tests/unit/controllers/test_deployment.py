"""Rollout arithmetic, revisions, conditions."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import meta
from api.types import Object
from controllers.deployment import scaling, status
from controllers.deployment import sets as rs_sets
from controllers.deployment.sets import DESIRED, HISTORY, MAX, REVISION, Sets
from controllers.scale import replicas_wanted
from tests.unit.controllers.objects import NOW, ago, owned


def replica_set(
    name: str,
    size: int,
    available: int | None = None,
    *,
    image: str = "i:1",
    age: float = 50,
    notes: dict[str, str] | None = None,
) -> Object:
    made = owned("ReplicaSet", name, replicas=size)
    made["spec"]["template"]["spec"]["containers"][0]["image"] = image
    made["metadata"] |= {"creationTimestamp": ago(age), "annotations": notes or {}}
    up = size if available is None else available
    made["status"] = {"replicas": size, "readyReplicas": up, "availableReplicas": up, "observedGeneration": 1}
    return made


def deployment(size: int, surge: int | str = "25%", unavailable: int | str = "25%", **spec: Any) -> Object:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    return owned("Deployment", replicas=size, strategy=rolling, **spec)


def sizes(steps: list[tuple[Object, int]]) -> dict[str, int]:
    return {meta.name(rs): size for rs, size in steps}


@pytest.mark.parametrize(
    ("size", "surge", "unavailable", "bounds"),
    [
        (10, "25%", "25%", (3, 2)),
        (1, "25%", "25%", (1, 0)),
        (4, 0, 0, (0, 1)),
        (4, "0%", "10%", (0, 1)),
        (2, 1, 5, (1, 2)),
    ],
)
def test_bounds(size: int, surge: int | str, unavailable: int | str, bounds: tuple[int, int]) -> None:
    assert rs_sets.bounds(deployment(size, surge, unavailable)) == bounds


def test_recreate_has_no_bounds_and_starts_whole() -> None:
    recreate = owned("Deployment", replicas=5, strategy={"type": "Recreate"})
    assert rs_sets.bounds(recreate) == (0, 0)
    assert scaling.new_size(recreate, Sets(None, (replica_set("old", 5),)), 0) == 5


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [(0, 10, {"new": 3}), (3, 10, {}), (5, 5, {"new": 8}), (12, 0, {"new": 10}), (10, 0, {})],
)
def test_the_new_set_grows_into_the_surge(new: int, old: int, expected: dict[str, int]) -> None:
    sets = Sets(replica_set("new", new), (replica_set("old", old),))
    assert sizes(scaling.scale_new(deployment(10, 3, 2), sets)) == expected


@pytest.mark.parametrize(
    ("new", "new_up", "old", "old_up", "expected"),
    [
        (3, 3, 10, 10, {"old": 5}),
        (3, 0, 10, 10, {"old": 8}),
        (3, 0, 8, 8, {}),
        (3, 0, 10, 7, {"old": 8}),
        (10, 10, 3, 0, {"old": 0}),
        (10, 10, 0, 0, {}),
    ],
    ids=["healthy", "new not up yet", "at the minimum", "broken ones first", "the rest", "nothing old"],
)
def test_old_sets_shrink_to_the_minimum(new: int, new_up: int, old: int, old_up: int, expected: dict[str, int]) -> None:
    sets = Sets(replica_set("new", new, new_up), (replica_set("old", old, old_up),))
    assert sizes(scaling.scale_old(deployment(10, 3, 2), sets)) == expected


@given(
    size=st.integers(1, 20),
    surge=st.integers(0, 5),
    unavailable=st.integers(0, 5),
    new_up=st.floats(0, 1),
    old_up=st.floats(0, 1),
)
def test_a_step_never_leaves_the_bounds(size: int, surge: int, unavailable: int, new_up: float, old_up: float) -> None:
    wanted = deployment(size, surge, unavailable)
    most, less = rs_sets.bounds(wanted)
    new, old = 0, size
    for _ in range(100):
        up_new, up_old = int(new * new_up), round(old * old_up)
        sets = Sets(replica_set("new", new, up_new), (replica_set("old", old, up_old),))
        steps = scaling.scale_new(wanted, sets) or scaling.scale_old(wanted, sets)
        if not steps:
            break
        before = min(size - less, up_new + up_old)
        changed = sizes(steps)
        new, old = changed.get("new", new), changed.get("old", old)
        assert new + old <= size + most
        assert min(up_new, new) + min(up_old, old) >= before
    if new_up == old_up == 1:
        assert (new, old) == (size, 0)


def test_scaling_is_proportional_and_gives_the_rest_to_the_largest() -> None:
    wanted = deployment(30, 3, 2)
    notes = {MAX: "13", DESIRED: "10"}
    sets = Sets(replica_set("new", 5, 0, notes=notes), (replica_set("old", 8, notes=notes),))
    assert sizes(scaling.proportional(wanted, sets)) == {"old": 20, "new": 13}
    down = deployment(5, 0, 1)
    sets = Sets(replica_set("new", 4, notes={MAX: "10"}), (replica_set("old", 6, notes={MAX: "10"}),))
    assert sizes(scaling.proportional(down, sets)) == {"old": 3, "new": 2}
    assert sizes(scaling.proportional(deployment(0), sets)) == {"old": 0, "new": 0}


def test_a_lone_set_is_set_to_the_size() -> None:
    assert sizes(scaling.proportional(deployment(7), Sets(None, (replica_set("old", 3),)))) == {"old": 7}


def test_the_oldest_set_of_the_template_is_the_new_one() -> None:
    twins = [replica_set("young", 1, age=1), replica_set("old", 1, age=9), replica_set("other", 1, image="i:2")]
    twins[0]["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] = "x"
    found = rs_sets.split(deployment(1), twins)
    for rs in twins:
        rs["spec"]["template"]["metadata"]["labels"] |= {"app": "web"}
    found = rs_sets.split(deployment(1), twins)
    assert found.new is not None and meta.name(found.new) == "old"
    assert [meta.name(rs) for rs in found.old] == ["other", "young"]


def test_revisions_only_grow_and_leave_a_trace() -> None:
    rs = replica_set("web", 1, notes={REVISION: "1"})
    changed = rs_sets.annotated_new(deployment(1), rs, 3, exists=True)
    assert meta.annotations(changed) == {REVISION: "3", HISTORY: "1"}
    assert rs_sets.annotated_new(deployment(1), changed, 2, exists=True) is changed


def test_clean_up_spares_what_is_in_use() -> None:
    old = [replica_set(f"r{i}", 0, notes={REVISION: str(i)}) for i in range(1, 5)]
    busy = replica_set("busy", 0, notes={REVISION: "0"})
    busy["status"]["replicas"] = 1
    found = rs_sets.to_clean_up(deployment(1, revisionHistoryLimit=2), [*old, busy])
    assert [meta.name(rs) for rs in found] == ["r1", "r2"]


def progressing(reason: str, seconds: float) -> Object:
    made = deployment(2, progressDeadlineSeconds=60)
    condition = {
        "type": "Progressing",
        "status": "True",
        "reason": reason,
        "lastUpdateTime": ago(seconds),
        "lastTransitionTime": ago(seconds),
    }
    made["status"] = {
        "conditions": [condition],
        "replicas": 2,
        "updatedReplicas": 1,
        "readyReplicas": 2,
        "availableReplicas": 2,
    }
    return made


@pytest.mark.parametrize(
    ("since", "new", "up", "reason"),
    [
        (10, 2, 2, "NewReplicaSetAvailable"),
        (10, 2, 1, "ReplicaSetUpdated"),
        (10, 1, 1, "NewReplicaSetCreated"),
        (61, 1, 1, "ProgressDeadlineExceeded"),
    ],
    ids=["complete", "moving", "standing", "too long"],
)
def test_progress(since: float, new: int, up: int, reason: str) -> None:
    made = progressing("NewReplicaSetCreated", since)
    sets = Sets(replica_set("new", new, up), (replica_set("old", 2 - new),))
    said = status.with_progress(made, sets, status.compute(made, sets, NOW), NOW)
    found = status.find(said["conditions"], "Progressing")
    assert found and found["reason"] == reason
    assert (found["lastUpdateTime"] == ago(0)) == (reason != "NewReplicaSetCreated")


def test_a_complete_deployment_that_loses_a_pod_is_not_rolling_out() -> None:
    made = progressing("NewReplicaSetAvailable", 1000)
    sets = Sets(replica_set("new", 2, 1), ())
    said = status.with_progress(made, sets, status.compute(made, sets, NOW), NOW)
    found = status.find(said["conditions"], "Progressing")
    assert found and found["reason"] == "NewReplicaSetAvailable"
    assert status.deadline_in(made, said, NOW) is None


def test_availability_and_failures_are_conditions() -> None:
    made = deployment(10, 0, 2)
    stuck = replica_set("new", 10, 7)
    stuck["status"]["conditions"] = [
        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}
    ]
    sets = Sets(stuck, ())
    said = status.with_progress(made, sets, status.compute(made, sets, NOW), NOW)
    states = {c["type"]: (c["status"], c["reason"]) for c in said["conditions"]}
    assert states == {"Available": ("False", "MinimumReplicasUnavailable"), "ReplicaFailure": ("True", "FailedCreate")}
    assert said["unavailableReplicas"] == 3


def test_names_and_selectors_carry_the_hash() -> None:
    made = deployment(3, 1, 0)
    rs = rs_sets.replica_set_for(made, "abc", {"uid": "uid-web"}, 2, 1)
    assert meta.name(rs) == "web-abc" and replicas_wanted(rs) == 2
    assert rs["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": "abc"}
    assert meta.annotations(rs) == {REVISION: "1", DESIRED: "3", MAX: "4"}
    assert made["spec"]["template"]["metadata"]["labels"] == {"app": "web"}
