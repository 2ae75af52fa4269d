"""What pods use, as /stats/summary and /metrics/resource report it. Source: the kubelet's Summary API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from api import timestamp
from api.types import Object
from kubelet import machine
from kubelet.pod_worker import PodWorker
from kubelet.resources import Capacity
from kubelet.runtime import ContainerState, Runtime, RuntimeFault, Usage
from kubelet.settings import Settings
from kubelet.store import ContainerStore


async def usages(runtime: Runtime, states: Iterable[ContainerState]) -> dict[str, Usage]:
    """The usage of each running container by id; one that ends meanwhile is left out."""
    running = [s for s in states if s.phase == "running"]
    found = await asyncio.gather(*(runtime.usage(s.id) for s in running), return_exceptions=True)
    result = {}
    for state, usage in zip(running, found, strict=True):
        if isinstance(usage, Usage):
            result[state.id] = usage
        elif not isinstance(usage, RuntimeFault):
            raise usage
    return result


def _cpu(nanoseconds: int, now: str) -> Object:
    return {"time": now, "usageCoreNanoSeconds": nanoseconds}


def _memory(usage: Usage, now: str) -> Object:
    return {"time": now, "usageBytes": usage.memory_usage, "workingSetBytes": usage.memory_working_set}


async def summary(
    runtime: Runtime, store: ContainerStore, workers: list[PodWorker], settings: Settings, capacity: Capacity
) -> Object:
    """The Summary object."""
    now = timestamp.now()
    states = {w.uid: [s for s in store.pod(w.uid) if not s.is_sandbox] for w in workers}
    used = await usages(runtime, [s for group in states.values() for s in group])
    pods = []
    for worker in workers:
        mine = [(s, used[s.id]) for s in states[worker.uid] if s.id in used]
        meta = worker.pod["metadata"]
        total = Usage(
            sum(u.cpu_nanoseconds for _, u in mine),
            sum(u.memory_working_set for _, u in mine),
            sum(u.memory_usage for _, u in mine),
            sum(u.pids for _, u in mine),
        )
        pods.append(
            {
                "podRef": {"name": meta["name"], "namespace": meta.get("namespace", "default"), "uid": meta["uid"]},
                "startTime": (worker.status or {}).get("startTime"),
                "containers": [
                    {"name": s.container, "startTime": s.started_at, "cpu": _cpu(u.cpu_nanoseconds, now),
                     "memory": _memory(u, now)}
                    for s, u in mine
                ],
                "cpu": _cpu(total.cpu_nanoseconds, now),
                "memory": _memory(total, now),
                "process_stats": {"process_count": total.pids},
            }
        )  # fmt: skip
    memory, disk = machine.memory(), machine.disk(settings.root)
    available = memory.get("MemAvailable", 0)
    node = {
        "nodeName": settings.node,
        "cpu": {"time": now},
        "memory": {"time": now, "availableBytes": available, "workingSetBytes": capacity.memory - available},
        "fs": {"time": now, "availableBytes": disk.free, "capacityBytes": disk.total,
               "usedBytes": disk.total - disk.free, "inodes": disk.inodes, "inodesFree": disk.inodes_free},
    }  # fmt: skip
    return {"node": node, "pods": pods}


def resource_metrics(found: Object) -> str:
    """A Summary in Prometheus' text form, with the names of /metrics/resource."""
    cpu = ["# TYPE container_cpu_usage_seconds_total counter"]
    memory = ["# TYPE container_memory_working_set_bytes gauge"]
    for pod in found["pods"]:
        ref = pod["podRef"]
        for entry in pod["containers"]:
            labels = f'{{container="{entry["name"]}",namespace="{ref["namespace"]}",pod="{ref["name"]}"}}'
            cpu.append(f"container_cpu_usage_seconds_total{labels} {entry['cpu']['usageCoreNanoSeconds'] / 1e9}")
            memory.append(f"container_memory_working_set_bytes{labels} {entry['memory']['workingSetBytes']}")
    return "\n".join([*cpu, *memory]) + "\n"
