"""What happens when a process dies in the middle."""

import signal
from typing import Any

from api import meta, resources
from api.errors import ServiceUnavailable
from tests.api.cluster import Cluster
from tests.api.controllers.conftest import start_controllers
from tests.api.controllers.world import World, condition, job, status, workload


def kill(cluster: Cluster, name: str) -> None:
    process = cluster.processes.pop(name)
    process.send_signal(signal.SIGKILL)
    process.wait(10)


async def test_controllers_killed_while_scaling_arrive_all_the_same(world: World, controlled: Cluster) -> None:
    await world.create(resources.DEPLOYMENTS, workload("web", replicas=3))
    await world.until(resources.DEPLOYMENTS, "web", lambda d: status(d).get("availableReplicas") == 3)
    await world.patch(resources.DEPLOYMENTS, "web", {"spec": {"replicas": 12}})
    await world.until_list(resources.PODS, lambda pods: len(pods) > 3)
    kill(controlled, "controllers")
    controlled.processes["controllers"] = start_controllers(controlled)
    await world.until(
        resources.DEPLOYMENTS, "web", lambda d: status(d).get("availableReplicas") == status(d).get("replicas") == 12
    )
    assert len(await world.pods()) == 12


async def test_a_job_counts_right_over_a_crash(world: World, controlled: Cluster) -> None:
    await world.create(resources.JOBS, job("work", {"stage/exit": "0"}, completions=30, parallelism=10))
    await world.until(resources.JOBS, "work", lambda j: status(j).get("succeeded", 0) >= 5)
    kill(controlled, "controllers")
    controlled.processes["controllers"] = start_controllers(controlled)
    done = await world.until(resources.JOBS, "work", lambda j: condition(j, "Complete"))
    assert status(done)["succeeded"] == 30 and len(await world.pods()) == 30


async def test_what_was_deleted_meanwhile_is_collected(world: World, controlled: Cluster) -> None:
    await world.create(resources.DEPLOYMENTS, workload("web", replicas=2))
    await world.until(resources.DEPLOYMENTS, "web", lambda d: status(d).get("availableReplicas") == 2)
    kill(controlled, "controllers")
    await world.delete(resources.DEPLOYMENTS, "web", "Background")
    controlled.processes["controllers"] = start_controllers(controlled)
    await world.until_list(resources.REPLICASETS, lambda sets: not sets)
    await world.until_list(resources.PODS, lambda pods: not pods)


async def test_the_api_server_may_go_away(world: World, controlled: Cluster) -> None:
    await world.create(resources.DEPLOYMENTS, workload("web", replicas=2))
    await world.until(resources.DEPLOYMENTS, "web", lambda d: status(d).get("availableReplicas") == 2)
    before = {meta.uid(p) for p in await world.pods()}
    kill(controlled, "apiserver")
    controlled.start_server()
    await _again(world.patch, resources.DEPLOYMENTS, "web", {"spec": {"replicas": 4}})
    await world.until(resources.DEPLOYMENTS, "web", lambda d: status(d).get("availableReplicas") == 4, 40)
    assert before <= {meta.uid(p) for p in await world.pods()}


async def _again(call: Any, *args: Any) -> None:
    """A kept-alive connection to the dead server fails once."""
    try:
        await call(*args)
    except ServiceUnavailable:
        await call(*args)
