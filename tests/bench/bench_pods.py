"""How long a pod takes from `apply` to Ready, beside what Docker alone needs for a sandbox and a container.

    python -m tests.bench.bench_pods KUBECONFIG [--rounds N]

Needs a running cluster on this machine. Both are measured in turn, so that
the state of the machine is the same for both. Target: the ratio of the medians is at most 1.5.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from typing import Any

import docker

from api import resources
from api.pods import is_ready
from client.rest import ApiClient
from tests.images import BUSYBOX, ensure_busybox

IMAGE = BUSYBOX
_COMMAND = ["/bin/busybox", "sleep", "3600"]


def docker_floor(engine: Any) -> float:
    """Seconds that Docker needs to start a sandbox without network and a container that joins it."""
    began = time.monotonic()
    sandbox = engine.containers.create(IMAGE, _COMMAND, network_mode="none", ipc_mode="shareable")
    sandbox.start()
    joined = f"container:{sandbox.id}"
    container = engine.containers.create(IMAGE, _COMMAND, network_mode=joined, ipc_mode=joined)
    container.start()
    seconds = time.monotonic() - began
    for made in (container, sandbox):
        made.remove(force=True)
    return seconds


async def pod_to_ready(client: ApiClient, name: str) -> float:
    """Seconds from sending the pod to seeing it Ready in a watch."""
    container = {"name": "main", "image": IMAGE, "command": _COMMAND, "imagePullPolicy": "Never"}
    pod = {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }
    began = time.monotonic()
    created = await client.create(resources.PODS, pod)
    async with asyncio.timeout(60):
        async for event in client.watch(
            resources.PODS,
            "default",
            resource_version=created["metadata"]["resourceVersion"],
            field_selector=f"metadata.name={name}",
        ):
            if is_ready(event["object"]):
                break
    seconds = time.monotonic() - began
    await client.delete(resources.PODS, name, "default", grace_period_seconds=0)
    return seconds


async def _run(kubeconfig: str, rounds: int) -> None:
    engine = docker.from_env()
    ours, floor = [], []
    async with ApiClient.from_kubeconfig(kubeconfig, "bench") as client:
        for number in range(rounds + 1):
            pod = await pod_to_ready(client, f"bench-{number}")
            # Let the deletion finish, and the kubelet refill its pool of sandboxes, outside the measured time.
            await asyncio.sleep(3)
            alone = await asyncio.to_thread(docker_floor, engine)
            if number:  # the first round warms both up
                ours.append(pod)
                floor.append(alone)
    pod, alone = statistics.median(ours), statistics.median(floor)
    print(f"Docker alone, sandbox and container   {alone:5.2f} s")
    print(f"pod, create to Ready                  {pod:5.2f} s  (worst {max(ours):.2f})")
    print(f"ratio                                 {pod / alone:5.2f}    target ≤ 1.5")


def run(kubeconfig: str, rounds: int = 7) -> None:
    """Print the figures for the cluster of this kubeconfig."""
    ensure_busybox()
    asyncio.run(_run(kubeconfig, rounds))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kubeconfig")
    parser.add_argument("--rounds", type=int, default=7)
    chosen = parser.parse_args()
    run(chosen.kubeconfig, chosen.rounds)


if __name__ == "__main__":
    main()
