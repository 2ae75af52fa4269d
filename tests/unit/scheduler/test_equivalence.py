"""The vectorised plugins against the naive reference, over generated clusters."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.types import Object
from scheduler.cycle import Diagnosis, Placement
from tests.unit.scheduler.build import HOST, ZONE, Cluster, affinity, constraint, node, pod, term
from tests.unit.scheduler.reference import PREFERRED, REQUIRED, World, totals, verdict

APPS = st.sampled_from(["a", "b"])
TAINTS = st.lists(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(["gpu", "old"]),
            "value": st.sampled_from(["", "x"]),
            "effect": st.sampled_from(["NoSchedule", "PreferNoSchedule", "NoExecute"]),
        }
    ),
    max_size=2,
    unique_by=lambda t: (t["key"], t["effect"]),
)
TOLERATIONS = st.lists(
    st.fixed_dictionaries(
        {"key": st.sampled_from(["gpu", "old"]), "operator": st.sampled_from(["Equal", "Exists"])},
        optional={"value": st.just("x"), "effect": st.sampled_from(["NoSchedule", "PreferNoSchedule"])},
    ),
    max_size=2,
)
REQUIREMENTS = st.one_of(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from([ZONE, "disk"]),
            "operator": st.sampled_from(["In", "NotIn"]),
            "values": st.lists(st.sampled_from(["z0", "z1", "ssd"]), min_size=1, max_size=2),
        }
    ),
    st.fixed_dictionaries({"key": st.just("disk"), "operator": st.sampled_from(["Exists", "DoesNotExist"])}),
    st.fixed_dictionaries({"key": st.just("gen"), "operator": st.sampled_from(["Gt", "Lt"]), "values": st.just(["2"])}),
)
NODE_TERMS = st.fixed_dictionaries({"matchExpressions": st.lists(REQUIREMENTS, max_size=2)})
OF_TEAM = {"namespaceSelector": {"matchLabels": {"team": "x"}}}
TERMS = st.builds(
    lambda key, app, more: term(key, {"app": app}, **more),
    st.sampled_from([ZONE, HOST]),
    APPS,
    st.sampled_from([{}, {}, {"namespaceSelector": {}}, OF_TEAM, {"namespaces": ["other"]}]),
)
FEW_TERMS = st.lists(TERMS, max_size=1)
SPREAD = st.lists(
    st.builds(
        lambda key, skew, when, app, more: constraint(key, skew, when, {"app": app}, **more),
        st.sampled_from([ZONE, HOST]),
        st.integers(1, 2),
        st.sampled_from(["DoNotSchedule", "ScheduleAnyway"]),
        APPS,
        st.sampled_from([{}, {"minDomains": 3}, {"nodeTaintsPolicy": "Honor"}, {"nodeAffinityPolicy": "Ignore"}]),
    ),
    max_size=2,
    unique_by=lambda c: (c["topologyKey"], c["whenUnsatisfiable"]),
)


@st.composite
def nodes(draw: st.DrawFn, number: int) -> Object:
    labels = draw(st.dictionaries(st.just("disk"), st.sampled_from(["ssd", "hdd"])))
    labels |= draw(st.dictionaries(st.just("gen"), st.sampled_from(["1", "3", "new"])))
    return node(
        f"n{number}",
        draw(st.sampled_from(["1", "4", "32"])),
        draw(st.sampled_from(["2Gi", "8Gi"])),
        draw(st.sampled_from(["1", "2", "110"])),
        zone=draw(st.sampled_from(["", "z0", "z1", "z2"])),
        labels=labels,
        taints=draw(TAINTS),
        unschedulable=draw(st.booleans()) and draw(st.booleans()),
        extended=draw(st.sampled_from([{}, {}, {"example.com/gpu": "2"}])),
    )


@st.composite
def pods(draw: st.DrawFn, name: str, on: str = "") -> Object:
    spec: dict[str, Any] = {}
    chance = st.integers(0, 3)
    if draw(chance) == 0:
        terms = draw(st.lists(NODE_TERMS, min_size=1, max_size=2))
        spec["affinity"] = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}}
    elif draw(chance) == 0:
        terms = draw(st.lists(NODE_TERMS.filter(lambda t: bool(t["matchExpressions"])), min_size=1, max_size=2))
        weighted = [{"weight": draw(st.integers(1, 100)), "preference": t} for t in terms]
        spec["affinity"] = {"nodeAffinity": {PREFERRED: weighted}}
    if draw(st.booleans()):
        spec.setdefault("affinity", {}).update(affinity(*(draw(FEW_TERMS) for _ in range(4))))
    if draw(st.booleans()):
        spec["topologySpreadConstraints"] = [
            {k: v for k, v in c.items() if k != "minDomains" or c["whenUnsatisfiable"] == "DoNotSchedule"}
            for c in draw(SPREAD)
        ]
    if draw(chance) == 0:
        spec["container"] = {
            "ports": [
                {
                    "hostPort": draw(st.sampled_from([80, 81])),
                    "hostIP": draw(st.sampled_from(["", "10.0.0.1", "10.0.0.2"])),
                    "protocol": draw(st.sampled_from(["TCP", "UDP"])),
                }
            ]
        }
    return pod(
        name,
        draw(st.sampled_from(["", "100m", "1"])),
        draw(st.sampled_from(["", "1Gi"])),
        namespace=draw(st.sampled_from(["default", "default", "other"])),
        labels={"app": draw(APPS)},
        on=on,
        requests=draw(st.sampled_from([{}, {}, {}, {"example.com/gpu": "1"}])),
        tolerations=draw(TOLERATIONS),
        **spec,
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    fleet = [draw(nodes(n)) for n in range(draw(st.integers(1, 6)))]
    running = [draw(pods(f"r{i}", f"n{draw(st.integers(0, len(fleet) - 1))}")) for i in range(draw(st.integers(0, 6)))]
    for each in running:
        if draw(st.booleans()) and draw(st.booleans()):
            each["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return World(fleet, running, {"other": {"team": "x"}, "default": {}})


def cluster_of(world: World) -> Cluster:
    cluster = Cluster(*world.nodes)
    cluster.namespaces.update(world.namespaces)
    cluster.run(*world.pods)
    return cluster


def _check(cluster: Cluster, world: World, wanted: Object) -> None:
    expected = {n["metadata"]["name"]: verdict(wanted, n, world) for n in world.nodes}
    feasible = {name for name, reasons in expected.items() if not reasons}
    info = cluster.info(wanted)
    assert cluster.feasible(wanted) == feasible
    result = cluster.algorithm.schedule(info)
    if feasible:
        points = totals(wanted, world)
        assert isinstance(result, Placement)
        assert points[result.node] == max(points.values())
        ours = cluster.algorithm.scores(info)
        # What is the same for every node (a plugin that does not discriminate) is left out on our side.
        offsets = {ours[name] - points[name] for name in feasible}
        assert len(offsets) == 1, (ours, points)
        return
    assert isinstance(result, Diagnosis)
    counted: dict[str, int] = {}
    for reasons in expected.values():
        for reason in reasons:
            counted[reason] = counted.get(reason, 0) + 1
    assert result.reasons == counted


SETTINGS = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example]
)


@SETTINGS
@given(worlds(), pods("p"))
def test_one_decision_equals_the_reference(world: World, wanted: Object) -> None:
    _check(cluster_of(world), world, wanted)


@settings(SETTINGS, max_examples=120)
@given(worlds(), st.lists(pods("p"), min_size=2, max_size=6), st.data())
def test_decisions_stay_equal_while_the_cluster_changes(
    world: World, wanted: list[Object], data: st.DataObject
) -> None:
    """Boards, counters and columns are kept up to date, never rebuilt: after any history they answer as if new."""
    cluster = cluster_of(world)
    for number, each in enumerate(wanted):
        each["metadata"] |= {"name": f"p{number}", "uid": f"uid-p{number}"}
        _check(cluster, world, each)
        action = data.draw(st.sampled_from(["run", "stop", "replace a node", "remove a node"]))
        if action == "run":
            running = {
                **each,
                "spec": {**each["spec"], "nodeName": f"n{data.draw(st.integers(0, len(world.nodes) - 1))}"},
            }
            world.pods.append(running)
            cluster.run(running)
        elif action == "stop" and world.pods:
            gone = world.pods.pop(data.draw(st.integers(0, len(world.pods) - 1)))
            uid, name = gone["metadata"]["uid"], gone["spec"]["nodeName"]
            row = cluster.snapshot.rows.get(name)
            if row is not None:
                cluster.snapshot.remove_pod(cluster.snapshot.pods[row][uid])
            else:
                cluster.snapshot.remove_pod(cluster.snapshot._homeless[name][uid])
        elif action == "replace a node":
            number = data.draw(st.integers(0, len(world.nodes) - 1))
            name = world.nodes[number]["metadata"]["name"]
            world.nodes[number] = data.draw(nodes(int(name[1:])))
            cluster.snapshot.put_node(world.nodes[number])
        elif action == "remove a node" and len(world.nodes) > 1:
            gone = world.nodes.pop(data.draw(st.integers(0, len(world.nodes) - 1)))
            cluster.snapshot.remove_node(gone["metadata"]["name"])
        _check(cluster, world, each)
