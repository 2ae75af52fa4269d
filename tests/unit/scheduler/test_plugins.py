"""Each plugin's rules as tables: what is refused, with which sentence, and what is liked better."""

from __future__ import annotations

from typing import Any

import pytest

from api.types import Object
from scheduler.cycle import Diagnosis, Placement, Profile
from scheduler.messages import unschedulable
from tests.unit.scheduler.build import HOST, ZONE, Cluster, affinity, constraint, node, pod, term

TAINT = {"key": "k", "value": "v", "effect": "NoSchedule"}
ABOVE_FIVE = {"key": "k", "operator": "Gt", "value": "5"}
FIVE_CPUS = {"name": "i", "resources": {"requests": {"cpu": "5"}}}
REPELLED = {"node(s) had untolerated taint(s)": 1}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


@pytest.mark.parametrize(
    ("nodes", "wanted", "reasons"),
    [
        ([node("n")], pod(), {}),
        ([node("n")], pod(on="other"), {"node(s) didn't match the requested node name": 1}),
        ([node("n", unschedulable=True)], pod(), {"node(s) were unschedulable": 1}),
        (
            [node("n", unschedulable=True)],
            pod(tolerations=[{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]),
            {},
        ),
        ([node("n", taints=[TAINT])], pod(), REPELLED),
        ([node("n", taints=[TAINT])], pod(tolerations=[{"operator": "Exists"}]), {}),
        ([node("n", taints=[TAINT])], pod(tolerations=[{"key": "k", "value": "other"}]), REPELLED),
        ([node("n", taints=[TAINT])], pod(tolerations=[{"key": "k", "value": "v", "effect": "NoExecute"}]), REPELLED),
        ([node("n", taints=[TAINT | {"value": "7"}])], pod(tolerations=[ABOVE_FIVE]), {}),
        ([node("n", taints=[TAINT | {"value": "3"}])], pod(tolerations=[ABOVE_FIVE]), REPELLED),
        ([node("n", taints=[TAINT | {"effect": "PreferNoSchedule"}])], pod(), {}),
        ([node("n")], pod(nodeSelector={"a": "b"}), {"node(s) didn't match Pod's node affinity/selector": 1}),
        ([node("n", labels={"a": "b"})], pod(nodeSelector={"a": "b"}), {}),
        ([node("n", "1")], pod(cpu="2"), {"Insufficient cpu": 1}),
        ([node("n", "1", "1Gi")], pod(cpu="2", memory="2Gi"), {"Insufficient cpu": 1, "Insufficient memory": 1}),
        ([node("n", "1"), node("m", pods="0")], pod(cpu="2"), {"Insufficient cpu": 1, "Too many pods": 1}),
        ([node("n")], pod(requests={"example.com/gpu": "1"}), {"Insufficient example.com/gpu": 1}),
        ([node("n", extended={"example.com/gpu": "1"})], pod(requests={"example.com/gpu": "1"}), {}),
        ([node("n")], pod(cpu="3900m", overhead={"cpu": "200m"}), {"Insufficient cpu": 1}),
        ([node("n")], pod(cpu="1", initContainers=[FIVE_CPUS]), {"Insufficient cpu": 1}),
        (
            [node("n")],
            pod(cpu="3", initContainers=[{"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "2"}}}]),
            {"Insufficient cpu": 1},
        ),
        ([node("n", "1"), node("m", taints=[TAINT])], pod(cpu="2"), {"Insufficient cpu": 1, **REPELLED}),
    ],
)  # fmt: skip
def test_filters_of_a_node_by_itself(nodes: list[Object], wanted: Object, reasons: dict[str, int]) -> None:
    assert Cluster(*nodes).reasons(wanted) == reasons


def selecting(*terms: Object) -> Object:
    return {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": list(terms)}}}


@pytest.mark.parametrize(
    ("term_", "matches"),
    [
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, {"n1", "n2"}),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {"n2", "n3"}),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"n1", "n2"}),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"n3"}),
        ({"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}, {"n2"}),
        ({"matchExpressions": [{"key": "a", "operator": "Lt", "values": ["2"]}]}, {"n1"}),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n3"]}]}, {"n3"}),
        ({"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["n3"]}]}, {"n1", "n2"}),
        ({}, set()),
    ],
)
def test_required_node_affinity(term_: Object, matches: set[str]) -> None:
    cluster = Cluster(node("n1", labels={"a": "1"}), node("n2", labels={"a": "2"}), node("n3"))
    assert cluster.feasible(pod(affinity=selecting(term_))) == matches


def test_a_pod_bound_to_one_node_by_name_counts_the_others_apart() -> None:
    """As the pods of a DaemonSet are: Kubernetes never asks the filters about the other nodes."""
    cluster = Cluster(node("n1", "1"), node("n2"), node("n3", taints=[TAINT]))
    only = selecting({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]})
    assert cluster.reasons(pod(cpu="2", affinity=only)) == {
        "Insufficient cpu": 1,
        "node(s) didn't satisfy plugin(s) [NodeAffinity]": 2,
    }


def port(number: int, address: str = "", protocol: str = "TCP") -> Object:
    return {"ports": [{"hostPort": number, "hostIP": address, "protocol": protocol}]}


@pytest.mark.parametrize(
    ("used", "wanted", "conflict"),
    [
        (port(80), port(80), True),
        (port(80), port(81), False),
        (port(80), port(80, protocol="UDP"), False),
        (port(80, "10.0.0.1"), port(80, "10.0.0.2"), False),
        (port(80, "10.0.0.1"), port(80, "10.0.0.1"), True),
        (port(80, "10.0.0.1"), port(80), True),
        (port(80), port(80, "10.0.0.1"), True),
        (port(80), {"ports": port(81)["ports"] + port(80)["ports"]}, True),
        (port(80), {"ports": port(80)["ports"] + port(81)["ports"]}, True),
    ],
)
def test_host_ports(used: Object, wanted: Object, conflict: bool) -> None:
    cluster = Cluster(node("n"))
    (running,) = cluster.run(pod("r", on="n", container=used))
    reason = "node(s) didn't have free ports for the requested pod ports"
    assert cluster.reasons(pod(container=wanted)) == ({reason: 1} if conflict else {})
    cluster.snapshot.remove_pod(running)
    assert cluster.reasons(pod(container=wanted)) == {}


def test_two_ports_two_holders() -> None:
    cluster = Cluster(node("n1"), node("n2"))
    cluster.run(pod("a", on="n1", container=port(80)), pod("b", on="n2", container=port(81)))
    both = {"ports": port(80)["ports"] + port(81)["ports"]}
    assert cluster.reasons(pod(container=both)) == {"node(s) didn't have free ports for the requested pod ports": 2}


def test_host_ports_of_sidecars_count_and_those_of_init_containers_do_not() -> None:
    cluster = Cluster(node("n"))
    sidecar = {"name": "s", "restartPolicy": "Always", **port(80)}
    cluster.run(pod("r", on="n", initContainers=[sidecar, {"name": "i", **port(81)}]))
    assert cluster.reasons(pod(container=port(80)))
    assert not cluster.reasons(pod(container=port(81)))


def test_least_allocated_and_balanced() -> None:
    cluster = Cluster(node("n1"), node("n2"))
    cluster.run(pod("r", "2", "2Gi", on="n1"))
    # n1: cpu (4-3)/4 = 25, memory (8-3)/8 = 62 → 43; shares 0.75 and 0.375 → 100 - 18.75 = 81
    # n2: cpu 75, memory 87 → 81; shares 0.25 and 0.125 → 93
    assert cluster.algorithm.scores(cluster.info(pod(cpu="1", memory="1Gi"))) == {"n1": 43 + 81, "n2": 81 + 93}


def test_most_allocated_packs() -> None:
    args = {"NodeResourcesFit": {"scoringStrategy": {"type": "MostAllocated"}}}
    cluster = Cluster(node("n1"), node("n2"), profile=Profile(args=args))
    cluster.run(pod("r", "1", "1Gi", on="n1"))
    assert cluster.place(pod(cpu="1", memory="2Gi")) == "n1"


def test_containers_without_requests_count_with_a_default_when_scored() -> None:
    cluster = Cluster(node("n1"), node("n2"))
    cluster.run(pod("r", on="n1"))
    assert cluster.place(pod()) == "n2"


def test_fewer_untolerated_soft_taints_are_better() -> None:
    soft = [{"key": k, "effect": "PreferNoSchedule"} for k in ("a", "b")]
    cluster = Cluster(node("n1", taints=soft), node("n2", "1", "1Gi", taints=soft[:1]))
    assert cluster.place(pod()) == "n2"
    assert cluster.place(pod(cpu="500m", tolerations=[{"operator": "Exists"}])) == "n1"


def test_images_on_the_node_are_liked() -> None:
    image = {"names": ["app:latest", "app@sha256:1"], "sizeBytes": 900 << 20}
    cluster = Cluster(node("n1"), node("n2", images=[image]))
    assert cluster.place(pod()) == "n2"
    # 900 MiB on one node of two counts as 450: 100 * (450 - 23) / (1000 - 23)
    scores = cluster.algorithm.scores(cluster.info(pod("q")))
    cluster.snapshot.put_node(node("n2"))
    assert cluster.algorithm.scores(cluster.info(pod("q")))["n2"] == scores["n2"] - 43


# --- PodTopologySpread


def test_hard_spread_goes_to_the_emptiest_zone() -> None:
    cluster = Cluster(node("n1", zone="a"), node("n2", zone="a"), node("n3", zone="b"), node("n4"))
    cluster.run(pod("r", on="n1", labels={"app": "a"}))
    wanted = pod(labels={"app": "a"}, topologySpreadConstraints=[constraint()])
    assert cluster.feasible(wanted) == {"n3"}
    cluster.run(pod("s", on="n3", labels={"app": "a"}))
    assert cluster.feasible(wanted) == {"n1", "n2", "n3"}


def test_spread_sentences() -> None:
    cluster = Cluster(node("n1", zone="a"), node("n2"), node("n3", "100m", zone="b"))
    cluster.run(pod("r", on="n1", labels={"app": "a"}))
    wanted = pod(cpu="1", labels={"app": "a"}, topologySpreadConstraints=[constraint()])
    assert cluster.reasons(wanted) == {
        "node(s) didn't match pod topology spread constraints": 1,
        "node(s) didn't match pod topology spread constraints (missing required label)": 1,
        "Insufficient cpu": 1,
    }


def test_pods_that_are_being_deleted_do_not_count_for_spread_but_for_affinity() -> None:
    cluster = Cluster(node("n1", zone="a"), node("n2", zone="b"))
    dying = pod("r", on="n1", labels={"app": "a"})
    dying["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    cluster.run(dying)
    wanted = pod(labels={"app": "a"}, topologySpreadConstraints=[constraint()])
    assert cluster.feasible(wanted) == {"n1", "n2"}
    assert cluster.feasible(pod(affinity=affinity(apart=[term()]))) == {"n2"}


def test_min_domains_counts_missing_domains_as_empty() -> None:
    cluster = Cluster(node("n1", zone="a"), node("n2", zone="b"))
    cluster.run(pod("r", on="n1", labels={"app": "a"}), pod("s", on="n2", labels={"app": "a"}))
    wanted = pod(labels={"app": "a"}, topologySpreadConstraints=[constraint(minDomains=3)])
    assert cluster.feasible(wanted) == set()


def test_match_label_keys_count_one_revision_at_a_time() -> None:
    cluster = Cluster(node("n1", zone="a"), node("n2", zone="b"))
    cluster.run(pod("r", on="n1", labels={"app": "a", "pod-template-hash": "old"}))
    new = {"app": "a", "pod-template-hash": "new"}
    wanted = pod(labels=new, topologySpreadConstraints=[constraint(matchLabelKeys=["pod-template-hash"])])
    assert cluster.feasible(wanted) == {"n1", "n2"}


def test_taints_policy_leaves_out_nodes_the_pod_cannot_use() -> None:
    cluster = Cluster(node("n1", zone="a"), node("n2", zone="b", taints=[TAINT]))
    cluster.run(pod("r", on="n1", labels={"app": "a"}))
    wanted = pod(labels={"app": "a"}, topologySpreadConstraints=[constraint()])
    assert cluster.feasible(wanted) == set()
    honoring = pod(labels={"app": "a"}, topologySpreadConstraints=[constraint(nodeTaintsPolicy="Honor")])
    assert cluster.feasible(honoring) == {"n1"}


def test_soft_spread_prefers_the_emptier_zone() -> None:
    cluster = Cluster(node("n1", zone="a"), node("n2", "1", "1Gi", zone="b"))
    cluster.run(*(pod(f"r{i}", on="n1", labels={"app": "a"}) for i in range(3)))
    wanted = pod(labels={"app": "a"}, topologySpreadConstraints=[constraint(when="ScheduleAnyway")])
    assert cluster.place(wanted) == "n2"


# --- InterPodAffinity


def test_required_affinity_and_its_first_pod() -> None:
    cluster = Cluster(node("n1", zone="a"), node("n2", zone="b"), node("n3"))
    wanted = pod(labels={"app": "a"}, affinity=affinity(near=[term()]))
    stranger = pod(labels={"app": "b"}, affinity=affinity(near=[term()]))
    assert cluster.feasible(wanted) == {"n1", "n2"}
    assert cluster.reasons(stranger) == {"node(s) didn't match pod affinity rules": 3}
    cluster.run(pod("r", on="n2", labels={"app": "a"}))
    assert cluster.feasible(wanted) == {"n2"}
    assert cluster.feasible(stranger) == {"n2"}


def test_anti_affinity_both_ways() -> None:
    cluster = Cluster(node("n1", zone="a"), node("n2", zone="a"), node("n3", zone="b"))
    cluster.run(pod("r", on="n1", labels={"app": "a"}, affinity=affinity(apart=[term(labels={"app": "b"})])))
    assert cluster.feasible(pod(labels={"app": "c"}, affinity=affinity(apart=[term()]))) == {"n3"}
    assert cluster.feasible(pod(labels={"app": "b"})) == {"n3"}
    cluster.snapshot.remove_node("n3")
    reason = "node(s) didn't satisfy existing pods anti-affinity rules"
    assert cluster.reasons(pod(labels={"app": "b"})) == {reason: 2}


def test_affinity_looks_into_selected_namespaces() -> None:
    cluster = Cluster(node("n1", zone="a"), node("n2", zone="b"))
    cluster.namespaces["other"] = {"team": "x"}
    cluster.run(pod("r", on="n1", namespace="other", labels={"app": "a"}))
    teams: Object = {"namespaceSelector": {"matchLabels": {"team": "x"}}}
    assert cluster.feasible(pod(affinity=affinity(apart=[term()]))) == {"n1", "n2"}
    assert cluster.feasible(pod(affinity=affinity(apart=[term(**teams)]))) == {"n2"}
    cluster.namespaces["other"] = {}
    cluster.snapshot.counters.namespaces_changed()
    assert cluster.feasible(pod(affinity=affinity(apart=[term(**teams)]))) == {"n1", "n2"}


def test_mismatch_label_keys_keep_to_other_tenants() -> None:
    cluster = Cluster(node("n1", zone="a"), node("n2", zone="b"))
    cluster.run(pod("r", on="n1", labels={"tenant": "x"}), pod("s", on="n2", labels={"tenant": "y"}))
    apart = {"topologyKey": ZONE, "labelSelector": {"matchExpressions": [{"key": "tenant", "operator": "Exists"}]}}
    wanted = pod(labels={"tenant": "x"}, affinity=affinity(apart=[apart | {"mismatchLabelKeys": ["tenant"]}]))
    assert cluster.feasible(wanted) == {"n1"}


@pytest.mark.parametrize(
    ("running", "wanted", "best"),
    [
        ({}, {"affinity": affinity(prefer_near=[term(HOST)])}, "n1"),
        ({}, {"affinity": affinity(prefer_apart=[term(HOST)])}, "n2"),
        ({"affinity": affinity(prefer_near=[term(HOST)])}, {}, "n1"),
        ({"affinity": affinity(prefer_apart=[term(HOST)])}, {}, "n2"),
        ({"affinity": affinity(near=[term(HOST)])}, {}, "n1"),
    ],
)
def test_preferences_and_their_symmetry(running: dict[str, Any], wanted: dict[str, Any], best: str) -> None:
    cluster = Cluster(node("n1", "32", "64Gi"), node("n2", "32", "64Gi"))
    cluster.run(pod("r", on="n1", labels={"app": "a"}, **running))
    assert cluster.place(pod(labels={"app": "a"}, **wanted)) == best


# --- the cycle


def test_a_tie_is_broken_by_chance_alone() -> None:
    cluster = Cluster(*(node(f"n{i}") for i in range(4)))
    results = [cluster.schedule(pod()) for _ in range(60)]
    assert {r.node for r in results if isinstance(r, Placement)} == {"n0", "n1", "n2", "n3"}


def test_the_nominated_node_is_taken_while_it_fits() -> None:
    cluster = Cluster(node("n1"), node("n2", "1"))
    wanted = pod(cpu="1")
    wanted["status"]["nominatedNodeName"] = "n2"
    assert cluster.place(wanted) == "n2"
    other = pod("q", cpu="1")
    other["status"]["nominatedNodeName"] = "n2"
    assert cluster.place(other) == "n1"


def test_room_is_kept_for_nominated_pods_of_the_same_or_a_higher_priority() -> None:
    cluster = Cluster(node("n1", "1"))
    awaited = cluster.info(pod("vip", "1", priority=10))
    awaited.nominated = "n1"
    newcomer = cluster.info(pod("p", "1"))
    assert isinstance(cluster.algorithm.schedule(newcomer, [awaited]), Diagnosis)
    assert isinstance(cluster.algorithm.schedule(newcomer), Placement)


def test_no_nodes() -> None:
    cluster = Cluster()
    result = cluster.schedule(pod())
    assert isinstance(result, Diagnosis)
    assert unschedulable(result) == "no nodes available to schedule pods"


def test_the_sentence() -> None:
    cluster = Cluster(node("n1", "1"), node("n2", taints=[TAINT]))
    result = cluster.schedule(pod(cpu="2"))
    assert isinstance(result, Diagnosis)
    text = "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s)."
    assert unschedulable(result) == text
    why = "0/2 nodes are available: 2 Preemption is not helpful for scheduling."
    assert unschedulable(result, why) == f"{text} preemption: {why}"


def test_hundreds_of_nodes_grow_the_columns() -> None:
    cluster = Cluster(*(node(f"n{i}", zone=f"z{i % 3}") for i in range(200)))
    wanted = [pod(f"p{i}", "3", labels={"app": "a"}, topologySpreadConstraints=[constraint()]) for i in range(200)]
    assert {cluster.place(p) for p in wanted} == {f"n{i}" for i in range(200)}
    assert cluster.reasons(pod("late", "3")) == {"Insufficient cpu": 200}


def test_a_resize_counts_with_the_larger_size() -> None:
    cluster = Cluster(node("n", "4"))
    growing = pod("r", "1", on="n")
    growing["status"]["containerStatuses"] = [{"name": "c", "allocatedResources": {"cpu": "3"}}]
    cluster.run(growing)
    assert cluster.reasons(pod(cpu="2")) == {"Insufficient cpu": 1}


def test_replicas_share_a_refusal_until_something_changes() -> None:
    cluster = Cluster(node("n", "2"))
    (running,) = cluster.run(pod("r", "1", on="n"))
    first, second = cluster.schedule(pod("a", "2")), cluster.schedule(pod("b", "2"))
    assert isinstance(first, Diagnosis)
    assert first is second
    cluster.snapshot.remove_pod(running)
    assert isinstance(cluster.schedule(pod("c", "2")), Placement)


def test_room_promised_to_another_is_no_lasting_refusal() -> None:
    cluster = Cluster(node("n", "1"))
    awaited = cluster.info(pod("vip", "1", priority=10))
    awaited.nominated = "n"
    wanted = cluster.info(pod("p", "1"))
    assert isinstance(cluster.algorithm.schedule(wanted, [awaited]), Diagnosis)
    assert isinstance(cluster.algorithm.schedule(wanted), Placement)
