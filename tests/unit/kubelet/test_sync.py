"""What the kubelet decides, as tables: pod and containers seen → what to start, what to stop, when to look again."""

from __future__ import annotations

from typing import Any

import pytest

from kubelet.backoff import Backoff
from kubelet.runtime import ContainerState
from kubelet.sync import Hold, Kill, Plan, PodView, Start, kills_in_order, plan
from tests.unit.kubelet.build import NOW, container, pod, sandbox, state, view

ONE = container("one")
SIDE = container("side", restartPolicy="Always")


def starts(result: Plan) -> list[tuple[str, int]]:
    return [(s.name, s.attempt) for s in result.starts]


def kills(result: Plan) -> list[str]:
    return [k.name for k in result.kills]


def decide(found: PodView, backoff: Backoff | None = None) -> Plan:
    return plan(found, backoff or Backoff())


def test_a_new_pod_gets_a_sandbox_first() -> None:
    result = decide(view(pod(), sandbox=None, wired=False))
    assert result.sandbox == "create" and not result.starts


def test_nothing_starts_before_the_network_stands() -> None:
    result = decide(view(pod(), wired=False))
    assert result.sandbox == "keep" and not result.starts


@pytest.mark.parametrize(
    ("states", "wanted"),
    [
        ((), [("one", 0)]),
        ((state("one"),), []),
        ((state("one", "created"),), [("one", 0)]),
        ((state("one", "exited", code=0),), [("side", 0)]),
        ((state("one", "exited", code=0), state("side")), [("c", 0)]),
        ((state("one", "exited", code=0), state("side"), state("c")), []),
        ((state("one", "exited", code=1),), [("one", 1)]),
    ],
)
def test_init_containers_come_one_after_another(
    states: tuple[ContainerState, ...], wanted: list[tuple[str, int]]
) -> None:
    assert starts(decide(view(pod(init=(ONE, SIDE)), *states))) == wanted


def test_a_sidecar_that_has_not_started_holds_the_rest() -> None:
    result = decide(view(pod(init=(SIDE,)), state("side"), started=frozenset()))
    assert starts(result) == [] and not result.initialized


def test_a_failed_init_container_ends_a_pod_that_never_restarts() -> None:
    found = view(pod(init=(SIDE, ONE), restartPolicy="Never"), state("side"), state("one", "exited", code=2))
    result = decide(found)
    assert result.over and kills(result) == ["side"]


def test_a_sidecar_restarts_even_if_the_pod_never_does() -> None:
    found = view(pod(init=(SIDE,), restartPolicy="Never"), state("side", "exited", code=1), state("c"))
    assert starts(decide(found)) == [("side", 1)]


_RULE = {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}


@pytest.mark.parametrize(
    ("policy", "own", "code", "again"),
    [
        ("Always", {}, 0, True),
        ("Always", {}, 1, True),
        ("OnFailure", {}, 0, False),
        ("OnFailure", {}, 1, True),
        ("Never", {}, 0, False),
        ("Never", {}, 1, False),
        ("Never", {"restartPolicy": "OnFailure"}, 1, True),
        ("Never", {"restartPolicy": "Never", "restartPolicyRules": [_RULE]}, 42, True),
        ("Never", {"restartPolicy": "Never", "restartPolicyRules": [_RULE]}, 41, False),
        ("Always", {"restartPolicy": "Never"}, 1, False),
    ],
)
def test_restart_policies(policy: str, own: dict[str, Any], code: int, again: bool) -> None:
    result = decide(view(pod(container(**own), restartPolicy=policy), state("c", "exited", code=code)))
    assert bool(result.starts) is again and result.over is not again


def test_a_restart_is_immediate_then_delayed_ever_longer() -> None:
    backoff, found = Backoff(), view(pod(), state("c", "exited", code=1))
    delays = []
    for _ in range(7):
        result = decide(found, backoff)
        delays.append((result.wake_at or NOW) - NOW)
        assert bool(result.starts) is (delays[-1] == 0)
        backoff.record("c", NOW)
    assert delays == [0, 10, 20, 40, 80, 160, 300]


def test_a_container_that_waits_says_so() -> None:
    backoff = Backoff()
    backoff.record("c", NOW)
    result = decide(view(pod(), state("c", "exited", code=1)), backoff)
    reason, message = result.waiting["c"]
    assert reason == "CrashLoopBackOff"
    assert message == "back-off 10s restarting failed container=c pod=p_ns(u)"


def test_the_delay_is_forgotten_after_a_quiet_time() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.record("c", NOW - 601)
    assert decide(view(pod(), state("c", "exited", code=1)), backoff).starts == [Start("c", 1, restart=True)]


def test_when_all_are_over_the_sidecars_go_last_first() -> None:
    other = container("other", restartPolicy="Always")
    found = pod(init=(SIDE, other), restartPolicy="Never")
    states = (state("side"), state("other"), state("c", "exited"))
    result = decide(view(found, *states))
    assert result.over and kills(result) == ["other"] and result.sandbox == "keep"
    result = decide(view(found, state("side"), state("other", "exited"), state("c", "exited")))
    assert kills(result) == ["side"]
    result = decide(view(found, state("side", "exited"), state("other", "exited"), state("c", "exited")))
    assert result.sandbox == "drop" and not result.kills


def test_a_deadline_fails_the_pod() -> None:
    found = pod(activeDeadlineSeconds=5, status={"startTime": "2027-01-15T07:59:56Z"})
    result = decide(view(found, state()))
    assert result.wake_at == NOW + 1 and not result.over
    found = pod(activeDeadlineSeconds=4, status={"startTime": "2027-01-15T07:59:56Z"})
    result = decide(view(found, state()))
    assert result.failure and result.failure[0] == "DeadlineExceeded" and kills(result) == ["c"]


def test_a_dead_sandbox_takes_its_containers_along() -> None:
    dead = sandbox("exited")
    result = decide(view(pod(), state(), sandbox=dead))
    assert kills(result) == ["c"] and result.sandbox == "keep"
    result = decide(view(pod(), state(phase="exited", code=137), sandbox=dead))
    assert result.sandbox == "create"


def test_a_new_sandbox_begins_with_the_init_containers() -> None:
    found = pod(init=(ONE,))
    old: dict[str, Any] = {"sandbox_id": "old"}
    result = decide(view(found, state("one", "exited", **old), state("c", "exited", code=137, **old)))
    assert starts(result) == [("one", 1)]


@pytest.mark.parametrize(("policy", "wanted"), [("Never", True), ("OnFailure", False), ("Always", False)])
def test_no_new_sandbox_for_a_pod_that_has_nothing_left_to_run(policy: str, wanted: bool) -> None:
    found = view(pod(restartPolicy=policy), state("c", "exited", code=137), sandbox=None, wired=False)
    assert decide(found).over is wanted


def test_a_changed_image_replaces_the_container() -> None:
    result = decide(view(pod(container(image="i:2")), state()))
    assert "definition changed" in result.kills[0].message
    result = decide(view(pod(container(image="i:2"), restartPolicy="Never"), state(phase="exited", code=1)))
    assert starts(result) == [("c", 1)]


def test_a_failed_probe_kills() -> None:
    result = decide(view(pod(), state(), doomed={"c-0": "why"}))
    assert result.kills == [Kill("c-0", "c", "why")]


def test_who_is_busy_is_left_alone() -> None:
    assert not decide(view(pod(), busy=frozenset({"c"}))).starts
    assert not decide(view(pod(), state(), doomed={"c-0": "why"}, busy=frozenset({"c"}))).kills


def test_a_held_container_waits_for_its_time() -> None:
    hold = Hold("ImagePullBackOff", "m", NOW + 7)
    result = decide(view(pod(), holds={"c": hold}))
    assert not result.starts and result.wake_at == NOW + 7 and result.waiting["c"] == ("ImagePullBackOff", "m")
    assert decide(view(pod(), holds={"c": Hold("ErrImagePull", "m", NOW)})).starts


def test_ephemeral_containers_start_once() -> None:
    debug = pod(ephemeralContainers=[container("debug")])
    assert starts(decide(view(debug, state()))) == [("debug", 0)]
    assert not decide(view(debug, state(), state("debug", "exited", code=1))).starts


def test_the_order_of_stopping() -> None:
    found = view(pod(container("a"), container("b"), init=(SIDE,)), state("a"), state("b"), state("side"))
    assert sorted(k.name for k in kills_in_order(found, "{}")) == ["a", "b"]
