"""How many pods a second find a node: the pure cycle, and end to end through an API server.

    .venv/bin/python -m tests.bench.bench_scheduler [--seconds 1.0] [--pods 1000] [--nodes 1000] [--cycle-only]

The cycle is timed without any API: choosing a node and counting the pod there, as in `Scheduler`, until the time is up, in
seconds of processor time, so that a busy machine does not blur it. Ten workloads take turns; "mixed" makes every pod a
template of its own, so that nothing can be reused.

End to end starts etcd, an API server and the scheduler on loopback, creates nodes and pods while the scheduler is stopped,
and times from its start to the last binding; all share this machine's cores. Under 60 s on two cores.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from api import resources
from api.types import Object
from client.rest import ApiClient
from scheduler.cycle import Algorithm, Placement
from scheduler.podinfo import read
from scheduler.snapshot import Snapshot
from scheduler.template import Templates
from scheduler.workloads import Workloads
from tests.api.cluster import ROOT, Cluster

ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
CYCLE_TARGET = {100: 3000.0, 1000: 2000.0, 5000: 1000.0}
END_TO_END_TARGET = 300.0
_WORKLOADS = 10


def node(number: int) -> Object:
    """A node of 32 cores in one of three zones."""
    name = f"node-{number}"
    return {
        "metadata": {"name": name, "labels": {HOST: name, ZONE: f"zone-{number % 3}", "kubernetes.io/os": "linux"}},
        "spec": {},
        "status": {"allocatable": {"cpu": "32", "memory": "128Gi", "pods": "1000"}},
    }


def pod(number: int, **spec: Any) -> Object:
    """A pod of one of ten workloads."""
    requests = {"cpu": "10m", "memory": "16Mi"}
    return {
        "metadata": {
            "namespace": "default",
            "name": f"pod-{number}",
            "uid": f"uid-{number}",
            "labels": {"app": f"app-{number % _WORKLOADS}"},
        },
        "spec": {"containers": [{"name": "c", "image": "app:1", "resources": {"requests": requests}}], **spec},
    }


def _spread(number: int) -> Object:
    selector = {"labelSelector": {"matchLabels": {"app": f"app-{number % _WORKLOADS}"}}}
    hard = {"topologyKey": ZONE, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", **selector}
    soft = {"topologyKey": HOST, "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway", **selector}
    return pod(number, topologySpreadConstraints=[hard, soft])


def _affinity(number: int) -> Object:
    def term(app: int, key: str) -> Object:
        return {"topologyKey": key, "labelSelector": {"matchLabels": {"app": f"app-{app}"}}}

    weighted = {"weight": 10, "podAffinityTerm": term(number % _WORKLOADS, HOST)}
    return pod(
        number,
        affinity={
            "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term(number % _WORKLOADS, ZONE)]},
            "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [weighted]},
        },
    )


def _mixed(number: int) -> Object:
    made = pod(number, nodeSelector={"kubernetes.io/os": "linux"})
    made["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] = f"pod-{number}"
    return made


SHAPES: dict[str, Callable[[int], Object]] = {
    "plain": pod,
    "spread": _spread,
    "affinity": _affinity,
    "mixed": _mixed,
}


def cycles(nodes: int, shape: Callable[[int], Object], seconds: float) -> float:
    """Pods a second in the pure cycle."""
    snapshot = Snapshot()
    for number in range(nodes):
        snapshot.put_node(node(number))
    services = [{"spec": {"selector": {"app": f"app-{n}"}}} for n in range(_WORKLOADS)]
    algorithm = Algorithm(snapshot, defaults=Workloads(lambda namespace: services, {}))
    templates = Templates()
    began = time.process_time()
    for number in itertools.count():
        info = read(shape(number), templates)
        result = algorithm.schedule(info)
        if not isinstance(result, Placement):
            raise SystemExit(f"pod {number} found no node: {result}")
        snapshot.add_pod(info.assumed(result.node))
        if (elapsed := time.process_time() - began) > seconds:
            return (number + 1) / elapsed
    raise AssertionError


async def _fill(client: ApiClient, nodes: int, pods: int) -> None:
    gate = asyncio.Semaphore(32)

    async def create(resource: Any, obj: Object) -> None:
        async with gate:
            await client.create(resource, obj)

    async def ready(number: int) -> None:
        await create(resources.NODES, node(number))
        async with gate:
            # The server marks a new node as not ready; a node controller would take the taint away.
            await client.patch(resources.NODES, f"node-{number}", {"spec": {"taints": None}})

    await client.create(resources.SERVICEACCOUNTS, {"metadata": {"name": "default", "namespace": "default"}})
    await asyncio.gather(*(ready(n) for n in range(nodes)))
    await asyncio.gather(*(create(resources.PODS, pod(n)) for n in range(pods)))


async def _until_bound(client: ApiClient, seconds: float = 60.0) -> None:
    selector = "spec.nodeName="
    listed = await client.list(resources.PODS, field_selector=selector)
    left = {item["metadata"]["name"] for item in listed["items"]}
    version = listed["metadata"]["resourceVersion"]
    async with asyncio.timeout(seconds):
        async for event in client.watch(resources.PODS, resource_version=version, field_selector=selector):
            if event["type"] == "DELETED":  # it has a node now, and so left the selection
                left.discard(event["object"]["metadata"]["name"])
            if not left:
                return


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def end_to_end(nodes: int, pods: int) -> tuple[float, float]:
    """Pods bound a second, from the start of the scheduling process to the last binding; its processor ms for each."""
    with tempfile.TemporaryDirectory(prefix="cloudlet-bench-") as folder:
        cluster = Cluster(Path(folder))
        scheduler: subprocess.Popen[bytes] | None = None
        try:
            await asyncio.to_thread(cluster.start)
            async with ApiClient.from_kubeconfig(cluster.kubeconfig()) as client:
                await _fill(client, nodes, pods)
                waiting = asyncio.ensure_future(_until_bound(client))
                await asyncio.sleep(0.5)  # the watch is up before the first binding
                kubeconfig = str(cluster.kubeconfig("kube-scheduler"))
                arguments = [sys.executable, "-m", "scheduler", "--kubeconfig", kubeconfig, "--log-level", "error"]
                began = time.perf_counter()
                scheduler = await asyncio.to_thread(subprocess.Popen, arguments, cwd=ROOT)
                await waiting
                rate = pods / (time.perf_counter() - began)
                return rate, 1000 * _processor_seconds(scheduler.pid) / pods
        finally:
            if scheduler is not None:
                scheduler.terminate()
                await asyncio.to_thread(scheduler.wait, 20)
            await asyncio.to_thread(cluster.close)


def main() -> None:
    """Print the figures; exits with 1 when one misses its target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each figure of the cycle")
    parser.add_argument("--nodes", type=int, default=1000, help="end to end")
    parser.add_argument("--pods", type=int, default=2000, help="end to end")
    parser.add_argument("--cycle-only", action="store_true")
    flags = parser.parse_args()
    missed = False
    for nodes, target in CYCLE_TARGET.items():
        for name, shape in SHAPES.items():
            rate = cycles(nodes, shape, flags.seconds)
            missed |= rate < target
            verdict = "ok" if rate >= target else "MISSED"
            print(
                f"cycle, {nodes:>5} nodes, {name:<9} {rate:>8.0f} pods/s   target >= {target:.0f}   {verdict}",
                flush=True,
            )
    if not flags.cycle_only:
        rate, cost = asyncio.run(end_to_end(flags.nodes, flags.pods))
        missed |= rate < END_TO_END_TARGET
        verdict = "ok" if rate >= END_TO_END_TARGET else "MISSED"
        print(
            f"end to end, {flags.nodes} nodes: {rate:.0f} pods/s bound   target >= {END_TO_END_TARGET:.0f}   {verdict}"
        )
        print(f"            the scheduler's own work, start included: {cost:.2f} ms of processor time for each pod")
    sys.exit(missed)


if __name__ == "__main__":
    main()
