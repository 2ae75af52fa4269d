"""Which pods stand behind a Service, and how they are laid out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import meta
from api.types import Object
from controllers.endpoints import members, mirroring, subsets
from controllers.endpoints.slices import Group, Plan, Tracker, group_of, identity, plan
from tests.unit.controllers.objects import node, pod

LABELS = {"kubernetes.io/service-name": "web"}
HTTP = [{"name": "http", "port": 8080, "protocol": "TCP"}]
GROUP = group_of("IPv4", HTTP)


def service(**spec: object) -> Object:
    ports = [{"name": "http", "port": 80, "targetPort": "web"}]
    return {
        "metadata": {"name": "web", "namespace": "ns"},
        "spec": {"selector": {"app": "web"}, "ports": ports, **spec},
    }


def backend(name: str, ip: str = "10.0.0.1", port: int = 8080, **more: object) -> Object:
    made = pod(name, ip=ip, **more)  # type: ignore[arg-type]
    made["spec"]["containers"][0]["ports"] = [{"name": "web", "containerPort": port}]
    return made


@pytest.mark.parametrize(
    ("target", "number"), [("web", 8080), ("none", None), (9000, 9000), (None, 80), ("side", 7000)]
)
def test_target_ports(target: str | int | None, number: int | None) -> None:
    found = backend("a")
    side = {"name": "s", "restartPolicy": "Always", "ports": [{"name": "side", "containerPort": 7000}]}
    found["spec"]["initContainers"] = [side]
    assert members.target_port(found, {"port": 80, "targetPort": target}) == number


@pytest.mark.parametrize(
    ("ready", "deleting", "publish", "conditions"),
    [
        (1, False, False, (True, True, False)),
        (None, False, False, (False, False, False)),
        (1, True, False, (False, True, True)),
        (None, False, True, (True, False, False)),
    ],
)
def test_conditions(ready: float | None, deleting: bool, publish: bool, conditions: tuple[bool, bool, bool]) -> None:
    found = members.endpoint(
        backend("a", ready=ready, deleting=deleting), service(publishNotReadyAddresses=publish), "IPv4", {}
    )
    assert found is not None
    assert tuple(found["conditions"][k] for k in ("ready", "serving", "terminating")) == conditions


def test_topology_names_and_hints() -> None:
    nodes = {"n1": node("n1", labels={"topology.kubernetes.io/zone": "z"})}
    found = members.endpoint(
        backend("a", node="n1", hostname="h", subdomain="web"),
        service(trafficDistribution="PreferSameNode"),
        "IPv4",
        nodes,
    )
    assert found is not None
    assert (found["nodeName"], found["zone"], found["hostname"]) == ("n1", "z", "h")
    assert found["hints"] == {"forZones": [{"name": "z"}], "forNodes": [{"name": "n1"}]}
    assert members.endpoint(backend("a"), service(), "IPv6", {}) is None


def test_subsets_group_by_port_and_do_not_depend_on_order() -> None:
    pods = [
        backend("a", "10.0.0.1"),
        backend("b", "10.0.0.2", ready=None),
        backend("c", "10.0.0.3", 9090),
        backend("gone", "10.0.0.4", deleting=True),
        backend("over", "10.0.0.5", phase="Succeeded"),
        backend("new", ""),
    ]
    found = subsets.subsets(service(), pods)
    assert found == subsets.subsets(service(), pods[::-1])
    first, second = found
    assert [a["ip"] for a in first["addresses"]] == ["10.0.0.1"] and first["ports"][0]["port"] == 8080
    assert [a["ip"] for a in first["notReadyAddresses"]] == ["10.0.0.2"]
    assert [a["ip"] for a in second["addresses"]] == ["10.0.0.3"] and second["ports"][0]["port"] == 9090


def test_a_thousand_addresses_are_the_most() -> None:
    ready = [{"ip": f"10.0.{i // 250}.{i % 250}"} for i in range(900)]
    found, cut = subsets.truncated([{"addresses": ready, "notReadyAddresses": ready[:300]}])
    assert cut and len(found[0]["addresses"]) == 900 and len(found[0]["notReadyAddresses"]) == 100
    assert subsets.truncated([{"addresses": ready}]) == ([{"addresses": ready}], False)


def entry(number: int, ready: bool = True) -> Object:
    return {
        "addresses": [f"10.0.{number // 250}.{number % 250}"],
        "conditions": {"ready": ready},
        "targetRef": {"uid": str(number)},
    }


def existing(name: str, numbers: range | list[int], ports: list[Object] | None = None) -> Object:
    metadata = {"name": name, "uid": name, "labels": dict(LABELS), "resourceVersion": "1"}
    return {
        "metadata": metadata,
        "addressType": "IPv4",
        "ports": HTTP if ports is None else ports,
        "endpoints": [entry(n) for n in numbers],
    }


def carried_out(slices: list[Object], steps: Plan) -> list[Object]:
    changed = {meta.name(s): s for s in steps.update}
    gone = {meta.name(s) for s in steps.delete}
    kept = [changed.get(meta.name(s), s) for s in slices if meta.name(s) not in gone]
    return kept + [{**s, "metadata": {**s["metadata"], "name": f"new-{i}"}} for i, s in enumerate(steps.create)]


def test_nothing_to_do_is_nothing_done() -> None:
    present = [existing("a", range(3))]
    steps = plan(present, {GROUP: [entry(n) for n in range(3)]}, LABELS, 100)
    assert steps == Plan()


def test_an_endpoint_that_changes_touches_its_slice_alone() -> None:
    present = [existing("a", range(3)), existing("b", [7, 8])]
    wanted = [entry(n) for n in (0, 1, 2, 7)] + [entry(8, ready=False)]
    steps = plan(present, {GROUP: wanted}, LABELS, 100)
    assert [meta.name(s) for s in steps.update] == ["b"] and not steps.create and not steps.delete


def test_new_endpoints_fill_what_changes_anyway() -> None:
    present = [existing("a", range(3)), existing("b", [7, 8])]
    steps = plan(present, {GROUP: [entry(n) for n in (0, 1, 2, 7, 9)]}, LABELS, 100)
    assert [meta.name(s) for s in steps.update] == ["b"]


def test_no_endpoint_still_has_a_slice() -> None:
    [placeholder] = plan([], {group_of("IPv4", []): []}, LABELS, 100).create
    assert placeholder["endpoints"] == [] and placeholder["ports"] == []


def test_a_slice_with_other_ports_is_rewritten_not_replaced() -> None:
    steps = plan([existing("a", range(2), [])], {GROUP: [entry(1)]}, LABELS, 100)
    assert not steps.create and not steps.delete
    assert steps.update[0]["ports"] == HTTP and meta.name(steps.update[0]) == "a"


def test_labels_are_kept_up_to_date() -> None:
    steps = plan([existing("a", [1])], {GROUP: [entry(1)]}, {**LABELS, "tier": "front"}, 100)
    assert meta.labels(steps.update[0])["tier"] == "front"


@given(before=st.lists(st.sets(st.integers(0, 60), max_size=8), max_size=6), after=st.sets(st.integers(0, 60)))
def test_a_plan_arrives(before: list[set[int]], after: set[int]) -> None:
    seen: set[int] = set()
    slices = []
    for index, numbers in enumerate(before):
        slices.append(existing(f"s{index}", sorted(numbers - seen)))
        seen |= numbers
    desired: dict[Group, list[Object]] = {GROUP: [entry(n) for n in sorted(after)]}
    result = carried_out(slices, plan(slices, desired, LABELS, 8))
    found = sorted(identity(e) for s in result for e in s["endpoints"])
    assert found == sorted(identity(entry(n)) for n in after)
    assert all(len(s["endpoints"]) <= 8 for s in result) and result
    again = plan(result, desired, LABELS, 8)
    assert not again.create and not again.update


def test_the_tracker_waits_for_what_was_written() -> None:
    tracker = Tracker()
    old, new = existing("a", []), existing("a", [1])
    new["metadata"]["resourceVersion"] = "5"
    tracker.wrote("ns/web", new, 0)
    assert tracker.stale("ns/web", [old], 1) and tracker.stale("ns/web", [], 1)
    assert tracker.ours("ns/web", new) and not tracker.ours("ns/web", old)
    assert not tracker.stale("ns/web", [new], 2)
    tracker.wrote("ns/web", new, 0)
    assert not tracker.stale("ns/web", [], 100)
    tracker.wrote("ns/web", new, 0)
    tracker.gone("ns/web", new)
    assert not tracker.stale("ns/web", [], 1)


def test_hand_made_endpoints_by_family() -> None:
    made = {
        "metadata": {"name": "web", "namespace": "ns", "annotations": {"a": "b", mirroring._LAST_APPLIED: "x"}},
        "subsets": [
            {
                "addresses": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
                "notReadyAddresses": [{"ip": "10.0.0.2"}],
                "ports": [{"port": 80}],
            }
        ],
    }
    groups = mirroring.desired(made)
    found = {
        family: [(e["addresses"][0], e["conditions"]["ready"]) for e in groups[family, ports]]
        for family, ports in groups
    }
    assert found == {"IPv4": [("10.0.0.1", True), ("10.0.0.2", False)], "IPv6": [("fd00::1", True)]}
    assert mirroring.annotations_of(made) == {"a": "b"}
    plain = {"metadata": {"name": "web"}, "spec": {}}
    assert mirroring.is_mirrored(made, plain) and not mirroring.is_mirrored(made, service())
