"""PodStatus as a table: what is seen → phase, conditions, container states; and the patch that is sent."""

from __future__ import annotations

from typing import Any

import pytest

from api.types import Object
from kubelet.backoff import Backoff
from kubelet.runtime import ContainerState
from kubelet.status import Surroundings, build, rejected
from kubelet.status_manager import patch_for
from kubelet.sync import Plan, plan
from tests.unit.kubelet.build import container, pod, sandbox, state, view

NOW = "2027-01-15T08:00:00Z"


def status(found: Object, *states: ContainerState, around: dict[str, Any] | None = None, **more: Any) -> Object:
    seen = view(found, *states, **more)
    decided = plan(seen, Backoff())
    given = {"now": NOW, "terminating": decided.over and not seen.running(), **(around or {})}
    return build(seen, decided, Surroundings(**given))


def conditions(found: Object) -> dict[str, str]:
    return {c["type"]: c["status"] for c in found["conditions"]}


@pytest.mark.parametrize(
    ("policy", "states", "phase"),
    [
        ("Always", (), "Pending"),
        ("Always", (state("a"),), "Pending"),
        ("Always", (state("a"), state("b")), "Running"),
        ("Always", (state("a"), state("b", "exited", code=1)), "Running"),
        ("Always", (state("a", "exited", code=1), state("b", "exited", code=1)), "Running"),
        ("Never", (state("a"), state("b", "exited", code=1)), "Running"),
        ("Never", (state("a", "exited"), state("b", "exited")), "Succeeded"),
        ("Never", (state("a", "exited"), state("b", "exited", code=1)), "Failed"),
        ("OnFailure", (state("a", "exited"), state("b", "exited", code=1)), "Running"),
        ("OnFailure", (state("a", "exited"), state("b", "exited")), "Succeeded"),
    ],
)
def test_phases(policy: str, states: tuple[ContainerState, ...], phase: str) -> None:
    assert status(pod(container("a"), container("b"), restartPolicy=policy), *states)["phase"] == phase


def test_a_pod_with_init_containers_is_pending_until_they_are_done() -> None:
    found = status(pod(init=(container("one"),)), state("one"))
    assert found["phase"] == "Pending" and conditions(found)["Initialized"] == "False"
    assert found["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    done = status(pod(init=(container("one"),)), state("one", "exited"), state())
    assert done["phase"] == "Running" and conditions(done)["Initialized"] == "True"


def test_ready_needs_every_container_and_gate() -> None:
    assert conditions(status(pod(), state()))["Ready"] == "True"
    unready = status(pod(), state(), unready=frozenset({"c-0"}))
    assert conditions(unready)["Ready"] == "False" and conditions(unready)["ContainersReady"] == "False"
    gated = pod(readinessGates=[{"conditionType": "x/y"}])
    assert conditions(status(gated, state()))["Ready"] == "False"
    assert conditions(status(gated, state()))["ContainersReady"] == "True"
    gated["status"] = {"conditions": [{"type": "x/y", "status": "True"}]}
    assert conditions(status(gated, state()))["Ready"] == "True"


@pytest.mark.parametrize(
    ("ended", "reason", "code"),
    [
        (state(phase="exited"), "Completed", 0),
        (state(phase="exited", code=3), "Error", 3),
        (state(phase="exited", code=137, oom=True), "OOMKilled", 137),
        (state(phase="exited", code=127, error="not found"), "StartError", 128),
    ],
)
def test_how_a_container_ended(ended: ContainerState, reason: str, code: int) -> None:
    found = status(pod(restartPolicy="Never"), ended, messages={"c-0": "words"})
    last = found["containerStatuses"][0]["state"]["terminated"]
    assert (last["reason"], last["exitCode"]) == (reason, code)
    assert last["message"] == ("not found" if reason == "StartError" else "words")


def test_the_attempt_before_is_the_last_state() -> None:
    one = status(pod(), state(phase="exited", code=1), state(attempt=1))["containerStatuses"][0]
    assert one["restartCount"] == 1 and "running" in one["state"]
    assert one["lastState"]["terminated"]["exitCode"] == 1


def test_a_container_in_back_off_waits_and_its_end_is_the_last_state() -> None:
    seen = view(pod(), state(phase="exited", code=1))
    made = Plan(initialized=True, waiting={"c": ("CrashLoopBackOff", "m")})
    one = build(seen, made, Surroundings(now=NOW))["containerStatuses"][0]
    assert one["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "m"}}
    assert one["lastState"]["terminated"]["exitCode"] == 1


def test_the_kubelets_own_verdict() -> None:
    found = status(
        pod(), state(phase="exited", code=137), around={"failure": ("DeadlineExceeded", "m"), "terminating": True}
    )
    assert (found["phase"], found["reason"], found["message"]) == ("Failed", "DeadlineExceeded", "m")


def test_a_deleted_pod_whose_container_never_was_fails() -> None:
    found = status(pod(), around={"terminating": True})
    assert found["phase"] == "Failed"
    assert found["containerStatuses"][0]["state"]["terminated"]["reason"] == "ContainerStatusUnknown"


def test_transition_times_move_only_with_the_status() -> None:
    first = status(pod(), state())
    later = status(pod(), state(), around={"now": "2027-01-15T09:00:00Z", "last": first})
    assert later == first


def test_conditions_of_others_stay() -> None:
    foreign = {"type": "DisruptionTarget", "status": "True", "reason": "r"}
    found = status(pod(status={"conditions": [foreign]}), state(), around={"last": status(pod(), state())})
    assert foreign in found["conditions"]


def test_addresses_and_classes() -> None:
    around = {"node_ips": ("10.0.0.1",), "pod_ips": ("10.1.0.2",)}
    found = status(pod(), state(), around=around)
    assert (
        found["hostIPs"] == [{"ip": "10.0.0.1"}] and found["podIP"] == "10.1.0.2" and found["qosClass"] == "BestEffort"
    )
    assert found["observedGeneration"] == 1
    assert conditions(status(pod(), sandbox=sandbox("exited")))["PodReadyToStartContainers"] == "False"


def test_a_refused_pod() -> None:
    found = rejected(pod(), "OutOfcpu", "too much", NOW)
    assert (
        found["phase"] == "Failed"
        and found["reason"] == "OutOfcpu"
        and found["message"] == "Pod was rejected: too much"
    )


def test_no_patch_without_a_change() -> None:
    found = status(pod(), state())
    assert patch_for(pod(status=found), found) is None


def test_a_patch_holds_only_what_changed_and_clears_what_is_gone() -> None:
    old = status(pod(), state(), unready=frozenset({"c-0"})) | {"reason": "old", "podIPs": [{"ip": "1"}]}
    new = status(pod(), state()) | {"podIPs": [{"ip": "2"}]}
    patch = patch_for(pod(status=old), new)
    assert patch is not None and patch["metadata"] == {"uid": "u"}
    changed = patch["status"]
    assert changed["reason"] is None and "phase" not in changed
    assert changed["podIPs"] == [{"ip": "2"}, {"$patch": "delete", "ip": "1"}]
    by_type = {c["type"]: c for c in changed["conditions"]}
    assert set(by_type) == {"Ready", "ContainersReady"}
    assert by_type["Ready"]["reason"] is None and by_type["Ready"]["status"] == "True"
