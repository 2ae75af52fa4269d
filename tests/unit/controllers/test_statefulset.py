"""Order, partitions, identity, status."""

from typing import Any

import pytest

from api import meta
from api.types import Object
from controllers.statefulset import identity
from controllers.statefulset.plan import Revisions, plan, status_of
from tests.unit.controllers.objects import NOW, owned, pod

OLD, NEW = "db-old", "db-new"
REVISIONS = Revisions(OLD, NEW)


def owner(replicas: int = 3, **spec: Any) -> Object:
    return owned("StatefulSet", "db", replicas=replicas, serviceName="db", **spec)


def member(ordinal: int, state: str = "n") -> Object:
    """n new, o old; capital not ready; d being deleted, f failed."""
    revision = OLD if state in "oO" else NEW
    labels = {"controller-revision-hash": revision}
    phase = "Failed" if state == "f" else "Running"
    return pod(f"db-{ordinal}", labels=labels, phase=phase, ready=None if state in "ONf" else 50, deleting=state == "d")


def members(states: str) -> list[Object]:
    return [member(i, s) for i, s in enumerate(states) if s != "."]


def steps(of: Object, states: str) -> tuple[list[int], list[str]]:
    found = plan(of, members(states), REVISIONS, NOW)
    return [ordinal for ordinal, _ in found.create], [meta.name(p) for p in found.delete + found.ended]


@pytest.mark.parametrize(
    ("replicas", "states", "expected"),
    [
        (3, "...", ([0], [])),
        (3, "n..", ([1], [])),
        (3, "N..", ([], [])),
        (3, "n.n", ([1], [])),
        (3, "nNn", ([], [])),
        (3, "fnn", ([], ["db-0"])),
        (3, "dnn", ([], [])),
        (1, "nnn", ([], ["db-2"])),
        (1, "nnN", ([], ["db-2"])),
        (1, "nNn", ([], ["db-2"])),
        (1, "nNN", ([], [])),
        (1, "Nnn", ([], [])),
        (1, "nnd", ([], [])),
        (3, "ooo", ([], ["db-2"])),
        (3, "oon", ([], ["db-1"])),
        (3, "ooN", ([], [])),
        (3, "nnn", ([], [])),
    ],
)
def test_ordered(replicas: int, states: str, expected: tuple[list[int], list[str]]) -> None:
    assert steps(owner(replicas), states) == expected


@pytest.mark.parametrize(
    ("replicas", "states", "expected"),
    [
        (3, "...", ([0, 1, 2], [])),
        (3, "N.N", ([1], [])),
        (0, "nNn", ([], ["db-2", "db-1", "db-0"])),
        (3, "oOo", ([], ["db-2"])),
    ],
)
def test_parallel(replicas: int, states: str, expected: tuple[list[int], list[str]]) -> None:
    assert steps(owner(replicas, podManagementPolicy="Parallel"), states) == expected


def test_the_partition_holds_updates_and_new_pods_back() -> None:
    canary = owner(3, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}})
    assert steps(canary, "ooo") == ([], ["db-2"])
    assert steps(canary, "oon") == ([], [])
    assert plan(canary, members(".on"), REVISIONS, NOW).create == [(0, OLD)]
    assert plan(canary, members("oo."), REVISIONS, NOW).create == [(2, NEW)]


def test_on_delete_updates_nothing_but_new_pods() -> None:
    manual = owner(2, updateStrategy={"type": "OnDelete"})
    assert steps(manual, "oo") == ([], [])
    assert plan(manual, members("o."), REVISIONS, NOW).create == [(1, NEW)]


def test_several_may_be_unavailable() -> None:
    fast = owner(
        4,
        podManagementPolicy="Parallel",
        updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2}},
    )
    assert steps(fast, "oooo") == ([], ["db-3", "db-2"])
    assert steps(fast, "oooN") == ([], ["db-2"])


def test_a_set_that_is_being_deleted_does_nothing() -> None:
    gone = owner(3)
    gone["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert steps(gone, "n..") == ([], [])


def test_ordinals_may_start_elsewhere() -> None:
    later = owner(2, ordinals={"start": 5})
    assert [o for o, _ in plan(later, [], REVISIONS, NOW).create] == [5]
    assert identity.in_range(later, 6) and not identity.in_range(later, 7)


@pytest.mark.parametrize(
    ("name", "is_member"), [("db-0", True), ("db-12", True), ("db", False), ("db-x", False), ("other-db-1", False)]
)
def test_members_by_name(name: str, is_member: bool) -> None:
    assert identity.is_member(owner(), pod(name)) is is_member


CLAIM = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}


def test_what_a_member_looks_like() -> None:
    made = identity.pod_for(owner(volumeClaimTemplates=[CLAIM]), 1, NEW)
    assert (meta.name(made), made["spec"]["hostname"], made["spec"]["subdomain"]) == ("db-1", "db-1", "db")
    assert made["spec"]["volumes"] == [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-1", "readOnly": False}}
    ]
    assert identity.with_identity(owner(volumeClaimTemplates=[CLAIM]), made) is made
    assert identity.revision_of(made) == NEW


@pytest.mark.parametrize(
    ("deleted", "scaled", "ordinal", "kinds"),
    [
        ("Retain", "Retain", 0, []),
        ("Delete", "Retain", 0, ["StatefulSet"]),
        ("Delete", "Retain", 9, ["StatefulSet"]),
        ("Retain", "Delete", 0, []),
        ("Retain", "Delete", 9, ["Pod"]),
        ("Delete", "Delete", 0, ["StatefulSet"]),
        ("Delete", "Delete", 9, ["Pod"]),
    ],
)
def test_who_owns_a_claim(deleted: str, scaled: str, ordinal: int, kinds: list[str]) -> None:
    policy = {"whenDeleted": deleted, "whenScaled": scaled}
    of = owner(3, volumeClaimTemplates=[CLAIM], persistentVolumeClaimRetentionPolicy=policy)
    assert [r["kind"] for r in identity.claim_owners(of, member(ordinal))] == kinds


def test_the_status_turns_the_update_into_the_present() -> None:
    halfway = status_of(owner(3), members("oon"), REVISIONS, None, NOW)
    assert (halfway["currentReplicas"], halfway["updatedReplicas"], halfway["currentRevision"]) == (2, 1, OLD)
    done = status_of(owner(3), members("nnn"), REVISIONS, None, NOW)
    assert (done["currentReplicas"], done["updatedReplicas"], done["currentRevision"]) == (3, 3, NEW)
