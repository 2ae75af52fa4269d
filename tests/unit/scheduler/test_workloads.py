"""Default spread constraints: from Services and controllers, and only for pods that state none."""

from __future__ import annotations

from api.types import Object
from scheduler.workloads import Workloads
from tests.unit.scheduler.build import HOST, ZONE, Cluster, constraint, node, pod


def owned(kind: str, name: str, **labels: str) -> Object:
    made = pod(labels=labels)
    made["metadata"]["ownerReferences"] = [{"kind": kind, "name": name, "controller": True, "uid": "u"}]
    return made


def workloads(services: list[Object], **owners: Object) -> Workloads:
    return Workloads(lambda namespace: services, {kind: {f"default/{kind}": o}.get for kind, o in owners.items()})


def test_services_and_owners_are_joined() -> None:
    cluster = Cluster()
    service = {"spec": {"selector": {"app": "a"}}}
    other = {"spec": {"selector": {"app": "b"}}}
    replicas = {"spec": {"selector": {"matchExpressions": [{"key": "tier", "operator": "Exists"}]}}}
    found = workloads([service, other, {"spec": {}}], ReplicaSet=replicas)
    template = cluster.info(owned("ReplicaSet", "ReplicaSet", app="a", tier="x")).template
    assert str(found.selector(template)) == "app=a,tier"
    assert [(c.topology_key, c.max_skew, c.hard) for c in found.constraints(template)] == [
        (HOST, 3, False),
        (ZONE, 5, False),
    ]


def test_replication_controllers_select_by_a_map() -> None:
    found = workloads([], ReplicationController={"spec": {"selector": {"app": "a"}}})
    template = Cluster().info(owned("ReplicationController", "ReplicationController", app="a")).template
    assert str(found.selector(template)) == "app=a"


def test_pods_that_nothing_selects_are_not_spread() -> None:
    assert workloads([]).constraints(Cluster().info(owned("Job", "j", app="a")).template) == ()


def test_a_new_service_is_seen_after_changed() -> None:
    services: list[Object] = []
    found = workloads(services)
    template = Cluster().info(pod(labels={"app": "a"})).template
    assert found.constraints(template) == ()
    services.append({"spec": {"selector": {"app": "a"}}})
    found.changed()
    assert len(found.constraints(template)) == 2


def test_replicas_of_a_service_are_spread_over_nodes_and_zones() -> None:
    found = workloads([{"spec": {"selector": {"app": "a"}}}])
    nodes = [node(f"n{i}", zone=f"z{i % 2}") for i in range(4)]
    cluster = Cluster(*nodes, defaults=found)
    assert len({cluster.place(pod(f"p{i}", labels={"app": "a"})) for i in range(4)}) == 4


def test_constraints_of_the_pod_itself_replace_the_defaults() -> None:
    found = workloads([{"spec": {"selector": {"app": "a"}}}])
    cluster = Cluster(node("n1", zone="a"), node("n2"), defaults=found)
    wanted = pod(labels={"app": "a"}, topologySpreadConstraints=[constraint("missing", when="ScheduleAnyway")])
    scores = cluster.algorithm.scores(cluster.info(wanted))
    assert len(set(scores.values())) == 1
