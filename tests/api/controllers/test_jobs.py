"""Jobs: runs to completion, each pod counted once."""

from api import meta, resources
from api.types import Object
from tests.api.controllers.world import World, condition, job, status

OK, BAD = {"stage/exit": "0"}, {"stage/exit": "1"}
FINALIZER = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"


def is_complete(found: Object) -> bool:
    return condition(found, "Complete").startswith("True")


async def test_a_job_runs_to_completion(world: World) -> None:
    await world.create(resources.JOBS, job("work", OK, completions=4, parallelism=2))
    done = await world.until(resources.JOBS, "work", is_complete)
    assert condition(done, "Complete") == condition(done, "SuccessCriteriaMet") == "True/CompletionsReached"
    assert status(done)["succeeded"] == 4
    assert not status(done).get("active") and not status(done).get("failed")
    assert status(done)["startTime"] and status(done)["completionTime"]
    assert not (status(done).get("uncountedTerminatedPods") or {})
    pods = await world.pods("job-name=work")
    assert len(pods) == 4 and not any(FINALIZER in (p["metadata"].get("finalizers") or ()) for p in pods)
    assert await world.event("work", "Completed")


async def test_an_indexed_job_runs_every_index_once(world: World) -> None:
    await world.create(resources.JOBS, job("work", OK, completions=4, parallelism=4, completionMode="Indexed"))
    done = await world.until(resources.JOBS, "work", is_complete)
    assert status(done)["completedIndexes"] == "0-3"
    pods = await world.pods()
    assert sorted(meta.annotations(p)[INDEX] for p in pods) == ["0", "1", "2", "3"]
    assert {p["spec"]["hostname"] for p in pods} == {f"work-{i}" for i in range(4)}
    assert any(v["name"] == "JOB_COMPLETION_INDEX" for v in pods[0]["spec"]["containers"][0]["env"])


async def test_the_backoff_limit_ends_a_job(world: World) -> None:
    await world.create(resources.JOBS, job("work", BAD, backoffLimit=0))
    failed = await world.until(resources.JOBS, "work", lambda j: condition(j, "Failed"))
    assert condition(failed, "Failed") == condition(failed, "FailureTarget") == "True/BackoffLimitExceeded"
    assert status(failed)["failed"] == 1
    assert (await world.event("work", "BackoffLimitExceeded"))["type"] == "Warning"


async def test_the_deadline_ends_a_job_and_its_pods(world: World) -> None:
    await world.create(resources.JOBS, job("work", activeDeadlineSeconds=1))
    failed = await world.until(resources.JOBS, "work", lambda j: condition(j, "Failed"))
    assert condition(failed, "Failed") == "True/DeadlineExceeded"
    await world.until_list(resources.PODS, lambda pods: not pods)


async def test_a_suspended_job_stops_and_resumes(world: World) -> None:
    await world.create(resources.JOBS, job("work", parallelism=2, completions=2))
    await world.until(resources.JOBS, "work", lambda j: status(j).get("ready") == 2)
    await world.patch(resources.JOBS, "work", {"spec": {"suspend": True}})
    await world.until(
        resources.JOBS,
        "work",
        lambda j: condition(j, "Suspended") == "True/JobSuspended" and not status(j).get("active"),
    )
    await world.until_list(resources.PODS, lambda pods: not pods)
    await world.patch(resources.JOBS, "work", {"spec": {"suspend": False}})
    await world.until(
        resources.JOBS,
        "work",
        lambda j: condition(j, "Suspended") == "False/JobResumed" and status(j).get("active") == 2,
    )
    assert not status(await world.get(resources.JOBS, "work")).get("failed")


async def test_a_deleted_pod_is_counted_as_failed_once_and_replaced(world: World) -> None:
    await world.create(resources.JOBS, job("work", {"stage/linger": ""}, completions=1))
    await world.until(resources.JOBS, "work", lambda j: status(j).get("ready") == 1)
    [first] = await world.pods()
    await world.delete(resources.PODS, meta.name(first))
    await world.until(resources.JOBS, "work", lambda j: status(j).get("failed") == 1)
    await world.annotate(resources.PODS, meta.name(first), stage_linger=None)
    await world.until_gone(resources.PODS, meta.name(first))
    found = await world.get(resources.JOBS, "work")
    assert status(found)["failed"] == 1


async def test_failures_are_counted_for_each_index(world: World) -> None:
    body = job("work", completions=2, parallelism=2, completionMode="Indexed", backoffLimitPerIndex=0)
    await world.create(resources.JOBS, body)
    pods = await world.until_list(resources.PODS, lambda found: len(found) == 2)
    by_index = {meta.annotations(p)[INDEX]: meta.name(p) for p in pods}
    await world.annotate(resources.PODS, by_index["0"], stage_exit="1")
    await world.annotate(resources.PODS, by_index["1"], stage_exit="0")
    failed = await world.until(resources.JOBS, "work", lambda j: condition(j, "Failed"))
    assert condition(failed, "Failed") == "True/FailedIndexes"
    assert (status(failed)["failedIndexes"], status(failed)["completedIndexes"]) == ("0", "1")


async def test_too_many_failed_indexes_end_a_job(world: World) -> None:
    body = job(
        "work", BAD, completions=3, parallelism=3, completionMode="Indexed", backoffLimitPerIndex=0, maxFailedIndexes=1
    )
    await world.create(resources.JOBS, body)
    failed = await world.until(resources.JOBS, "work", lambda j: condition(j, "Failed"))
    assert condition(failed, "Failed") == "True/MaxFailedIndexesExceeded"


async def test_a_failure_policy_ends_the_job(world: World) -> None:
    rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}
    await world.create(
        resources.JOBS, job("work", {"stage/exit": "42"}, podFailurePolicy={"rules": [rule]}, backoffLimit=5)
    )
    failed = await world.until(resources.JOBS, "work", lambda j: condition(j, "Failed"))
    assert condition(failed, "Failed") == "True/PodFailurePolicy"
    assert "exit code 42 matching FailJob rule at index 0" in (meta.get_condition(failed, "Failed") or {})["message"]


async def test_a_failure_policy_ignores_disruptions(world: World) -> None:
    rule = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    body = job("work", podFailurePolicy={"rules": [rule]}, backoffLimit=0)
    await world.create(resources.JOBS, body)
    [first] = await world.until_list(resources.PODS, lambda pods: pods and status(pods[0]).get("phase") == "Running")
    disrupted = {"status": {"phase": "Failed", "conditions": [{"type": "DisruptionTarget", "status": "True"}]}}
    await world.patch(resources.PODS, meta.name(first), disrupted, "status")
    await world.until_list(resources.PODS, lambda pods: any(meta.name(p) != meta.name(first) for p in pods))
    assert not status(await world.get(resources.JOBS, "work")).get("failed")


async def test_a_success_policy_ends_a_job_early(world: World) -> None:
    body = job(
        "work",
        completions=3,
        parallelism=3,
        completionMode="Indexed",
        successPolicy={"rules": [{"succeededIndexes": "1", "succeededCount": 1}]},
    )
    await world.create(resources.JOBS, body)
    pods = await world.until_list(resources.PODS, lambda found: len(found) == 3)
    leader = next(p for p in pods if meta.annotations(p)[INDEX] == "1")
    await world.annotate(resources.PODS, meta.name(leader), stage_exit="0")
    done = await world.until(resources.JOBS, "work", is_complete)
    assert condition(done, "Complete") == condition(done, "SuccessCriteriaMet") == "True/SuccessPolicy"
    assert status(done)["completedIndexes"] == "1"


async def test_pods_are_adopted_and_released(world: World) -> None:
    await world.create(resources.JOBS, job("work", completions=1))
    [pod] = await world.until_list(resources.PODS, lambda pods: len(pods) == 1)
    await world.patch(resources.PODS, meta.name(pod), {"metadata": {"ownerReferences": None}})
    await world.until(resources.PODS, meta.name(pod), lambda p: p["metadata"].get("ownerReferences"))
    await world.patch(resources.PODS, meta.name(pod), {"metadata": {"labels": None}})
    await world.until(
        resources.PODS,
        meta.name(pod),
        lambda p: not p["metadata"].get("ownerReferences") and FINALIZER not in (p["metadata"].get("finalizers") or ()),
    )


async def test_a_deleted_job_frees_its_pods(world: World) -> None:
    await world.create(resources.JOBS, job("work", completions=2, parallelism=2))
    await world.until(resources.JOBS, "work", lambda j: status(j).get("ready") == 2)
    await world.delete(resources.JOBS, "work", "Background")
    await world.until_list(resources.PODS, lambda pods: not pods)


async def test_a_finished_job_is_deleted_after_its_time(world: World) -> None:
    await world.create(resources.JOBS, job("work", OK, ttlSecondsAfterFinished=1))
    await world.until_gone(resources.JOBS, "work")


async def test_a_job_of_another_manager_is_left_alone(world: World) -> None:
    await world.create(resources.JOBS, job("other", OK, managedBy="example.com/else"))
    await world.create(resources.JOBS, job("ours", OK))
    await world.until(resources.JOBS, "ours", is_complete)
    assert not status(await world.get(resources.JOBS, "other")).get("startTime")
