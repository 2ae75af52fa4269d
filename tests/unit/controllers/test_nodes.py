"""Pod ranges, heartbeats, taints and how long pods may stay."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.types import Object
from controllers.nodes import health, taints
from controllers.nodes.cidrs import CidrPool, RangeFull
from controllers.nodes.health import Disruption, Heartbeats, eviction_rate
from tests.unit.controllers.objects import ago, node, pod

NE, NS = "NoExecute", "NoSchedule"


def test_ranges_are_handed_out_once_and_rest_after_release() -> None:
    pool = CidrPool("10.0.0.0/22", 24)
    first, second = pool.take(), pool.take()
    assert (first, second) == ("10.0.0.0/24", "10.0.1.0/24")
    pool.release(first)
    assert [pool.take(), pool.take(), pool.take()] == ["10.0.2.0/24", "10.0.3.0/24", "10.0.0.0/24"]
    with pytest.raises(RangeFull):
        pool.take()


@given(st.lists(st.sampled_from(["take", "release", "occupy"]), max_size=60), st.randoms())
def test_no_range_is_held_twice(steps: list[str], random: Random) -> None:
    pool, held = CidrPool("10.0.0.0/20", 24), set[str]()
    for step in steps:
        if step == "release" and held:
            cidr = random.choice(sorted(held))
            held.discard(cidr)
            pool.release(cidr)
        elif step == "occupy":
            cidr = f"10.0.{random.randint(0, 15)}.0/24"
            pool.occupy(cidr)
            held.add(cidr)
        elif step == "take" and len(held) < 16:
            cidr = pool.take()
            assert cidr not in held
            held.add(cidr)


def test_a_wider_range_takes_all_it_covers_and_a_foreign_one_nothing() -> None:
    pool = CidrPool("10.0.0.0/22", 24)
    pool.occupy("10.0.0.0/23")
    pool.occupy("192.168.0.0/16")
    pool.occupy("fd00::/64")
    assert pool.take() == "10.0.2.0/24"
    with pytest.raises(ValueError, match="does not fit"):
        CidrPool("10.0.0.0/24", 16)


def lease(renewed: str) -> Object:
    return {"spec": {"renewTime": renewed}}


def test_a_heartbeat_is_a_change_seen_by_our_own_clock() -> None:
    beats, n = Heartbeats(), node("a")
    assert beats.heard(n, lease("1"), 100) == 100
    assert beats.heard(n, lease("1"), 130) == 100
    assert beats.heard(n, lease("2"), 131) == 131
    n["status"]["conditions"][0]["lastHeartbeatTime"] = ago(0)
    assert beats.heard(n, lease("2"), 140) == 140


def test_our_own_verdict_is_no_heartbeat() -> None:
    beats, n = Heartbeats(), node("a")
    beats.heard(n, lease("1"), 100)
    n["status"]["conditions"] = health.unknown_conditions(n, ago(0))
    assert beats.heard(n, lease("1"), 150) == 100


def test_a_silent_node_is_unknown_in_every_respect_once() -> None:
    n = node("a")
    conditions = health.unknown_conditions(n, ago(0))
    assert conditions is not None
    assert {c["type"]: c["reason"] for c in conditions} == {
        "Ready": "NodeStatusUnknown", "MemoryPressure": "NodeStatusNeverUpdated",
        "DiskPressure": "NodeStatusNeverUpdated", "PIDPressure": "NodeStatusNeverUpdated",
    }  # fmt: skip
    n["status"]["conditions"] = conditions
    assert health.unknown_conditions(n, ago(0)) is None


@pytest.mark.parametrize(
    ("ready", "not_ready", "rate"),
    [(3, 0, 0.1), (1, 1, 0.1), (0, 2, 0.0), (1, 2, 0.1), (1, 3, 0.0), (60, 80, 0.01), (80, 60, 0.1)],
)
def test_how_fast_nodes_are_given_up(ready: int, not_ready: int, rate: float) -> None:
    state = Disruption(ready, not_ready)
    assert eviction_rate(state, normal=0.1, secondary=0.01, threshold=0.55, large=50) == rate


@pytest.mark.parametrize(
    ("found", "keys"),
    [
        (node("a"), set()),
        (node("a", ready="False"), {taints.NOT_READY}),
        (node("a", ready="Unknown"), {taints.UNREACHABLE}),
        (node("a", unschedulable=True), {taints.UNSCHEDULABLE}),
        ({"metadata": {"name": "bare"}}, set()),
    ],
)
def test_taints_follow_conditions(found: Object, keys: set[str]) -> None:
    assert taints.no_schedule_keys(found) == keys


def test_other_taints_stay_and_repeated_passes_change_nothing() -> None:
    own = {"key": "example.com/x", "effect": NS}
    stale = {"key": taints.NOT_READY, "effect": NS}
    n = node("a", ready="Unknown", taints=[own, stale])
    wanted = taints.with_no_schedule(n, ago(0))
    assert wanted is not None and [t["key"] for t in wanted] == ["example.com/x", taints.UNREACHABLE]
    assert taints.with_no_schedule(node("a", ready="Unknown", taints=wanted), ago(0)) is None


def test_no_execute_taints_are_swapped_and_taken_off() -> None:
    n = node("a", taints=[{"key": taints.NOT_READY, "effect": NE}, {"key": "k", "effect": NE}])
    swapped = taints.with_no_execute(n, taints.UNREACHABLE, ago(0))
    assert swapped is not None and [t["key"] for t in swapped] == ["k", taints.UNREACHABLE]
    cleared = taints.with_no_execute(n, None, ago(0))
    assert cleared is not None and [t["key"] for t in cleared] == ["k"]
    assert taints.with_no_execute(n, taints.NOT_READY, ago(0)) is None


TAINT = {"key": "k", "value": "v", "effect": NE}


@pytest.mark.parametrize(
    ("toleration", "holds"),
    [
        ({"key": "k", "value": "v", "effect": NE}, True),
        ({"key": "k", "value": "w", "effect": NE}, False),
        ({"key": "k", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "k", "operator": "Exists", "effect": NS}, False),
        ({"key": "other", "operator": "Exists"}, False),
        ({"value": "v"}, False),
    ],
)
def test_tolerations(toleration: Object, holds: bool) -> None:
    assert taints.tolerates(toleration, TAINT) is holds


@pytest.mark.parametrize(
    ("operator", "value", "holds"), [("Gt", "5", True), ("Gt", "7", False), ("Lt", "9", True), ("Lt", "x", False)]
)
def test_numeric_tolerations(operator: str, value: str, holds: bool) -> None:
    taint = {"key": "k", "value": "7", "effect": NE}
    assert taints.tolerates({"key": "k", "operator": operator, "value": value}, taint) is holds


@pytest.mark.parametrize(
    ("tolerations", "delay"),
    [
        ([], 0.0),
        ([{"key": "k", "operator": "Exists"}], None),
        ([{"key": "k", "operator": "Exists", "tolerationSeconds": 30}], 30.0),
        ([{"key": "k", "operator": "Exists", "tolerationSeconds": -5}], 0.0),
        ([{"operator": "Exists", "tolerationSeconds": 60}, {"key": "k", "operator": "Exists"}], 60.0),
    ],
)
def test_how_long_a_pod_may_stay(tolerations: list[Object], delay: float | None) -> None:
    assert taints.eviction_delay(pod(tolerations=tolerations), [TAINT]) == delay


def test_the_shortest_of_several_counts() -> None:
    both = [
        {"key": "a", "operator": "Exists", "tolerationSeconds": 30},
        {"key": "b", "operator": "Exists", "tolerationSeconds": 10},
    ]
    found = [{"key": "a", "effect": NE}, {"key": "b", "effect": NE}]
    assert taints.eviction_delay(pod(tolerations=both), found) == 10.0
    assert taints.eviction_delay(pod(tolerations=both[:1]), found) == 0.0
