"""Indexes, failure policies, verdicts, what to start and stop, the accounts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import meta
from api.types import Object
from controllers.jobs import tracking
from controllers.jobs.failures import FAILURE_COUNT, IGNORED_COUNT, counts_after, is_failed, match
from controllers.jobs.indexes import INDEX, parse, render
from controllers.jobs.pods import pod_for
from controllers.jobs.replicas import Backoff, plan
from controllers.jobs.verdict import SUCCESS_TARGET, Verdict, completed, judge
from controllers.jobs.view import FINALIZER, View
from tests.unit.controllers.objects import NOW, ago, exited, owned, pod

TRACKED = (FINALIZER,)
OVER = Verdict("FailureTarget", "X", "x")


def job(status: Object | None = None, **spec: Any) -> Object:
    return owned("Job", "work", **{"parallelism": 1, "completions": 1, "backoffLimit": 6, **spec}) | {
        "status": status or {}
    }


def indexed(completions: int, status: Object | None = None, **spec: Any) -> Object:
    return job(status, completions=completions, parallelism=completions, completionMode="Indexed", **spec)


def at(index: int, **notes: str) -> dict[str, str]:
    return {INDEX: str(index), **notes}


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([], ""), ([3], "3"), ([1, 2], "1,2"), ([0, 1, 2], "0-2"), ([7, 1, 3, 4, 5], "1,3-5,7"), (range(100), "0-99")],
)
def test_indexes_as_text(numbers: list[int], text: str) -> None:
    assert render(numbers) == text
    assert parse(text, 1000) == set(numbers)


@given(st.sets(st.integers(0, 500)))
def test_indexes_survive_writing(numbers: set[int]) -> None:
    assert parse(render(numbers), 501) == numbers


def test_unreadable_or_excessive_indexes_are_left_out() -> None:
    assert parse("1,x,2-y,4-9", 6) == {1, 4, 5}
    assert parse(None, 5) == set()


def policy(indexes: str, count: int | None = None) -> Object:
    rule: Object = {"succeededIndexes": indexes}
    return {"rules": [rule if count is None else rule | {"succeededCount": count}]}


RULES = [
    {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42], "containerName": "c"}},
    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    {"action": "FailIndex", "onExitCodes": {"operator": "NotIn", "values": [1, 42]}},
]


@pytest.mark.parametrize(("code", "action"), [(42, "FailJob"), (1, None), (7, "FailIndex")])
def test_failure_rules_by_exit_code(code: int, action: str | None) -> None:
    found = match(job(podFailurePolicy={"rules": RULES}), exited(code))
    assert (found.action if found else None) == action


def test_failure_rules_by_condition() -> None:
    disrupted = exited(1)
    disrupted["status"]["conditions"].append({"type": "DisruptionTarget", "status": "True"})
    found = match(job(podFailurePolicy={"rules": RULES}), disrupted)
    assert found is not None and found.action == "Ignore"


@pytest.mark.parametrize(("policy", "failed"), [("TerminatingOrFailed", True), ("Failed", False)])
def test_whether_a_leaving_pod_has_failed(policy: str, failed: bool) -> None:
    assert is_failed(job(podReplacementPolicy=policy), pod(deleting=True)) is failed


def test_the_count_of_an_index_goes_from_pod_to_pod() -> None:
    each = indexed(2, backoffLimitPerIndex=3)
    last = exited(1, notes=at(1, **{FAILURE_COUNT: "1"}))
    assert counts_after(each, last) == (2, 0)
    ignored = indexed(2, backoffLimitPerIndex=3, podFailurePolicy={"rules": [RULES[1]]})
    last["status"]["conditions"].append({"type": "DisruptionTarget", "status": "True"})
    made = pod_for(ignored, 1, last)
    assert meta.annotations(made)[FAILURE_COUNT] == "1" and meta.annotations(made)[IGNORED_COUNT] == "1"
    assert made["metadata"]["generateName"] == "work-1-" and FINALIZER in made["metadata"]["finalizers"]


@pytest.mark.parametrize(
    ("found", "pods", "reason"),
    [
        (job(), [], None),
        (job({"failed": 6}), [exited(1, finalizers=TRACKED)], "BackoffLimitExceeded"),
        (job({"failed": 6}), [exited(1)], None),
        (job({"startTime": ago(20)}, activeDeadlineSeconds=10), [], "DeadlineExceeded"),
        (job({"startTime": ago(20)}, activeDeadlineSeconds=10, suspend=True), [], None),
        (job(podFailurePolicy={"rules": RULES}), [exited(42, finalizers=TRACKED)], "PodFailurePolicy"),
        (indexed(3, {"failedIndexes": "0,1"}, backoffLimitPerIndex=0, maxFailedIndexes=1), [], "MaxFailedIndexesExceeded"),
        (indexed(2, {"failedIndexes": "0", "completedIndexes": "1"}, backoffLimitPerIndex=0), [], "FailedIndexes"),
        (indexed(3, {"completedIndexes": "2"}, successPolicy=policy("0,2", 1)), [], "SuccessPolicy"),
        (indexed(3, {"completedIndexes": "2"}, successPolicy=policy("0,2")), [], None),
    ],
)  # fmt: skip
def test_verdicts(found: Object, pods: list[Object], reason: str | None) -> None:
    verdict = judge(View(found, pods), NOW)
    assert (verdict.reason if verdict else None) == reason


def test_restarts_count_when_containers_restart_in_place() -> None:
    found = job(backoffLimit=2)
    found["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
    verdict = judge(View(found, [pod(restarts=2, ready=None)]), NOW)
    assert verdict is not None and verdict.reason == "BackoffLimitExceeded"


def test_an_announced_end_stands() -> None:
    condition = {"type": SUCCESS_TARGET, "status": "True", "reason": "SuccessPolicy", "message": "m"}
    assert judge(View(job({"conditions": [condition], "failed": 100}), []), NOW) == Verdict(
        SUCCESS_TARGET, "SuccessPolicy", "m"
    )


@pytest.mark.parametrize(
    ("found", "pods", "active", "done"),
    [
        (job(completions=2), [exited(0, finalizers=TRACKED)], 1, False),
        (job({"succeeded": 1}, completions=2), [exited(0, finalizers=TRACKED)], 0, True),
        (job(completions=None), [exited(0, finalizers=TRACKED)], 1, False),
        (job(completions=None), [exited(0, finalizers=TRACKED)], 0, True),
        (job(completions=None), [], 0, False),
        (job(completions=0), [], 0, True),
    ],
)
def test_completion(found: Object, pods: list[Object], active: int, done: bool) -> None:
    assert (completed(View(found, pods), active) is not None) is done


@pytest.mark.parametrize(
    ("found", "pods", "create", "delete"),
    [
        (job(parallelism=3, completions=5), [], 3, 0),
        (job({"succeeded": 4}, parallelism=3, completions=5), [], 1, 0),
        (job(parallelism=3, completions=5), [pod()], 2, 0),
        (job(parallelism=1, completions=5), [pod(), pod()], 0, 1),
        (job(parallelism=2, suspend=True), [pod(), pod()], 0, 2),
        (job(parallelism=3, completions=None), [pod(), exited(0, finalizers=TRACKED)], 0, 0),
        (job(parallelism=2, completions=2), [pod(deleting=True)], 2, 0),
        (job(parallelism=2, completions=2, podReplacementPolicy="Failed"), [pod(deleting=True)], 1, 0),
    ],
)
def test_what_to_start_and_stop(found: Object, pods: list[Object], create: int, delete: int) -> None:
    steps = plan(View(found, pods), Backoff(), NOW)
    assert (len(steps.create), len(steps.delete)) == (create, delete)


def test_indexes_are_filled_from_the_lowest_and_never_twice() -> None:
    found = indexed(5, {"completedIndexes": "1"})
    twins = [pod("old", notes=at(2), age=9), pod("new", notes=at(2), age=1)]
    assert [meta.name(p) for p in plan(View(found, twins), Backoff(), NOW).delete] == ["new"]
    assert plan(View(found, twins[:1]), Backoff(), NOW).create == [0, 3, 4]


@pytest.mark.parametrize(("failures", "since", "left"), [(1, 4, 6), (2, 4, 16), (10, 0, 600), (0, 0, 0), (1, 11, 0)])
def test_the_wait_after_failures(failures: int, since: float, left: float) -> None:
    backoff = Backoff().after([], [exited(1, age=since) for _ in range(failures)])
    assert backoff.left(NOW) == left


def test_a_success_ends_the_wait() -> None:
    assert Backoff().after([exited(0, age=1)], [exited(1, age=5)]) == Backoff()
    assert Backoff(3, NOW).after([], []) == Backoff(3, NOW)


def test_each_index_waits_for_itself() -> None:
    found = indexed(2, backoffLimitPerIndex=5)
    last = exited(1, notes=at(0, **{FAILURE_COUNT: "1"}), finalizers=TRACKED, age=4)
    steps = plan(View(found, [last]), Backoff(), NOW)
    assert steps.create == [1] and steps.again == 16


def test_a_pod_is_counted_in_three_steps() -> None:
    ended = [exited(0, "good", finalizers=TRACKED), exited(1, "bad", finalizers=TRACKED)]
    found = job({"succeeded": 2, "failed": 1}, completions=9)
    first = tracking.account(View(found, ended), found["status"], None)
    assert first.status["uncountedTerminatedPods"] == {"succeeded": ["uid-good"], "failed": ["uid-bad"]}
    assert (first.status["succeeded"], first.status["failed"]) == (2, 1) and len(first.strip) == 2
    again = tracking.account(View({**found, "status": first.status}, ended), first.status, None)
    assert again.status["uncountedTerminatedPods"] == first.status["uncountedTerminatedPods"]
    half = tracking.settle(first.status, {"uid-bad"})
    assert (half["succeeded"], half["failed"], half["uncountedTerminatedPods"]) == (3, 1, {"failed": ["uid-bad"]})
    done = tracking.settle(half, set())
    assert (done["succeeded"], done["failed"], done["uncountedTerminatedPods"]) == (3, 2, {})


def test_running_pods_of_a_failed_job_have_failed_with_it() -> None:
    running = pod("r", finalizers=TRACKED)
    found = job()
    assert tracking.account(View(found, [running]), {}, OVER).status["uncountedTerminatedPods"] == {"failed": ["uid-r"]}
    good = tracking.account(View(found, [running]), {}, Verdict(SUCCESS_TARGET, "X", "x"))
    assert good.status["uncountedTerminatedPods"] == {} and good.strip == [running]
    assert tracking.account(View(found, [running]), {}, None).strip == []


def test_the_last_failure_of_an_index_is_kept_until_it_is_replaced() -> None:
    found = indexed(2, backoffLimitPerIndex=5)
    failed = exited(1, "f", notes=at(0), finalizers=TRACKED)
    assert tracking.account(View(found, [failed]), {}, None).strip == []
    replaced = [failed, pod(notes=at(0, **{FAILURE_COUNT: "1"}), finalizers=TRACKED)]
    assert tracking.account(View(found, replaced), {}, None).strip == [failed]


def test_the_end_waits_for_what_still_runs() -> None:
    assert not tracking.may_end({"active": 1})
    assert not tracking.may_end({"terminating": 1})
    assert not tracking.may_end({"uncountedTerminatedPods": {"failed": ["x"]}})
    assert tracking.may_end({"active": 0, "uncountedTerminatedPods": {"failed": []}})
    done = tracking.ended({}, Verdict(SUCCESS_TARGET, "CompletionsReached", "m"), NOW)
    assert [c["type"] for c in done["conditions"]] == [SUCCESS_TARGET, "Complete"] and done["completionTime"] == ago(0)


def test_resuming_restarts_the_clock() -> None:
    status, change = tracking.started(job(suspend=True), {"startTime": ago(100)}, NOW)
    assert change == "Suspended" and status["conditions"][0]["reason"] == "JobSuspended"
    status, change = tracking.started(job(), status, NOW)
    assert change == "Resumed" and status["startTime"] == ago(0)
    assert tracking.started(job(), status, NOW)[1] is None
