"""Budgets, quotas, namespaces, pod clean-up, templates, percentages, the table of controllers."""

import pytest

from api import meta, resources
from api.types import Object
from controllers import disruption, namespaces, podgc, quota, table, templates, ttl
from controllers.percent import fenceposts, resolve
from controllers.status import same
from tests.unit.controllers.objects import NOW, ago, exited, owned, pod


def pdb(status: Object | None = None, **spec: object) -> Object:
    return {"metadata": {"name": "b", "generation": 2}, "spec": spec, "status": status or {}}


@pytest.mark.parametrize(
    ("spec", "pods", "scale", "budget"),
    [
        ({"minAvailable": 2}, 3, 5, (3, 2)),
        ({"minAvailable": "50%"}, 3, 5, (5, 3)),
        ({"maxUnavailable": 1}, 3, 5, (5, 4)),
        ({"maxUnavailable": "50%"}, 3, 5, (5, 2)),
        ({"maxUnavailable": 9}, 3, 5, (5, 0)),
        ({}, 3, 5, (3, 1)),
    ],
)
def test_budgets(spec: Object, pods: int, scale: int, budget: tuple[int, int]) -> None:
    found = disruption.budget(pdb(**spec), pods, scale)
    assert (found.expected, found.desired_healthy) == budget


def test_evicted_pods_are_not_healthy_until_it_is_clear_that_they_stay() -> None:
    evicted = pdb({"disruptedPods": {"a": ago(10), "b": ago(500), "c": ago(10)}}, minAvailable=1)
    pods = [pod("a"), pod("b"), pod("c", deleting=True), pod("d")]
    under_way, failed, again = disruption.in_disruption(evicted, pods, NOW)
    assert (list(under_way), [meta.name(p) for p in failed], again) == (["a"], ["b"], 110.0)
    status = disruption.status_of(evicted, pods, 4, NOW)
    assert (status["currentHealthy"], status["disruptionsAllowed"], status["disruptedPods"]) == (2, 1, {"a": ago(10)})
    assert status["conditions"][0]["reason"] == "SufficientPods" and status["observedGeneration"] == 2


def test_no_pods_allow_no_disruption() -> None:
    status = disruption.status_of(pdb(minAvailable=0), [], 0, NOW)
    assert (status["disruptionsAllowed"], status["conditions"][0]["reason"]) == (0, "InsufficientPods")


@pytest.mark.parametrize(
    ("hard", "kinds"),
    [
        ({"pods": "1"}, {"pods"}),
        ({"requests.cpu": "1", "limits.memory": "1"}, {"pods"}),
        ({"services.nodeports": "1"}, {"services"}),
        ({"requests.storage": "1"}, {"persistentvolumeclaims", "pods"}),
        ({"count/deployments.apps": "1"}, {"deployments"}),
        ({"gold.storageclass.storage.k8s.io/requests.storage": "1"}, {"persistentvolumeclaims", "pods", "services"}),
    ],
)
def test_what_a_quota_has_to_count(hard: Object, kinds: set[str]) -> None:
    assert {r.plural for r in quota.counted(hard, resources.ALL)} == kinds


def test_a_namespace_tells_what_is_left() -> None:
    left = namespaces.Remaining(objects={"pods.": 2}, finalizers={"x/y": 1}, errors=["secrets: no"])
    states = {kind: (state, reason) for kind, state, reason, _ in namespaces.conditions_of(left)}
    assert states == {
        "NamespaceDeletionDiscoveryFailure": ("False", "ResourcesDiscovered"),
        "NamespaceDeletionGroupVersionParsingFailure": ("False", "ParsedGroupVersions"),
        "NamespaceDeletionContentFailure": ("True", "ContentDeletionFailed"),
        "NamespaceContentRemaining": ("True", "SomeResourcesRemain"),
        "NamespaceFinalizersRemaining": ("True", "SomeFinalizersRemain"),
    }
    assert not left.clean and namespaces.Remaining().clean
    first = namespaces.with_conditions({"metadata": {"name": "ns"}}, left, NOW)
    assert first is not None and namespaces.with_conditions(first, left, NOW) is None


def test_ended_pods_beyond_the_threshold_go_oldest_first_and_evicted_ones_before() -> None:
    pods = [exited(0, "young"), exited(1, "old"), exited(1, "evicted")]
    pods[1]["metadata"]["creationTimestamp"] = ago(900)
    pods[2]["status"]["reason"] = "Evicted"
    assert [meta.name(p) for p in podgc.surplus(pods, 1)] == ["evicted", "old"]
    assert podgc.surplus(pods, 0) == []
    assert (
        podgc.unscheduled_leaving([pod("a", deleting=True), pod("b", deleting=True, node="n"), pod("c")])[0][
            "metadata"
        ]["name"]
        == "a"
    )


@pytest.mark.parametrize(
    ("value", "up", "number"), [(3, True, 3), ("25%", True, 3), ("25%", False, 2), ("0%", True, 0), (None, True, 0)]
)
def test_percentages(value: int | str | None, up: bool, number: int) -> None:
    assert resolve(value, 10, round_up=up) == number
    assert fenceposts(0, "5%", 10) == (0, 1)


def test_what_is_no_percentage() -> None:
    with pytest.raises(ValueError, match="neither"):
        resolve("five", 10, round_up=True)


def test_fingerprints_depend_on_content_and_collisions() -> None:
    one, two = {"a": 1, "b": 2}, {"b": 2, "a": 1}
    assert templates.fingerprint(one) == templates.fingerprint(two) != templates.fingerprint(one, 0)
    assert templates.fingerprint(one, 0) != templates.fingerprint(one, 1)
    assert set(templates.fingerprint(one)) <= set("bcdfghjklmnpqrstvwxz2456789")


def test_templates_are_compared_without_the_hash() -> None:
    plain = owned("ReplicaSet")["spec"]["template"]
    hashed = {
        **plain,
        "metadata": {"labels": {"app": "web", templates.HASH_LABEL: "x"}, "annotations": {}, "creationTimestamp": None},
    }
    assert templates.same_template(plain, hashed)
    assert not templates.same_template(plain, {**plain, "spec": {"containers": []}})


def test_statuses_are_the_same_when_they_say_the_same() -> None:
    assert same({"a": 1, "b": 0, "c": [], "d": {"e": ""}}, {"a": 1})
    assert not same({"a": False}, {}) and not same({"a": 1}, {"a": 2})


def test_jobs_expire_after_their_end() -> None:
    ended = {"type": "Complete", "status": "True", "lastTransitionTime": ago(10)}
    job = {"metadata": {}, "spec": {"ttlSecondsAfterFinished": 10}, "status": {"conditions": [ended]}}
    assert ttl.expires_at(job) == NOW
    assert ttl.expires_at({**job, "spec": {}}) is None and ttl.expires_at({**job, "status": {}}) is None


def test_controllers_are_chosen_by_name() -> None:
    assert table.select("*") == list(table.TABLE)
    assert "job-controller" not in table.select("*,-job-controller")
    assert table.select("job-controller") == ["job-controller"]
    with pytest.raises(ValueError, match="no such controller: nope"):
        table.select("*,nope")
