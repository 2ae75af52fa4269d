"""What certainly ran, from what Docker says; a Lease's state, from the object."""

from __future__ import annotations

import json
from typing import Any

from tests.lab.leases import Tenure
from tests.lab.observers import ContainerObserver, tenure
from tests.unit.lab.machines import FakeMachine

LABELS = {
    "io.cloudlet.pod.namespace": "default",
    "io.cloudlet.pod.name": "db-0",
    "io.cloudlet.pod.uid": "uid-1",
    "io.cloudlet.container.name": "main",
}


class Docker:
    """Answers for a machine at a time `now` with the containers that run."""

    def __init__(self) -> None:
        self.now = 100.0
        self.running: dict[str, str] = {}

    def __call__(self, argv: tuple[str, ...]) -> str | None:
        if argv[0] == "date":
            return f"{self.now}\n"
        if argv[1] == "ps":
            return "\n".join(self.running)
        return json.dumps(
            [
                {"Id": each, "Config": {"Labels": LABELS}, "State": {"StartedAt": self.running[each]}}
                for each in argv[2:]
            ]
        )


def event(action: str, moment: float, container: str = "c1") -> dict[str, Any]:
    return {"Action": action, "timeNano": int(moment * 1e9), "Actor": {"ID": container, "Attributes": LABELS}}


def observer(docker: Docker) -> ContainerObserver:
    return ContainerObserver(FakeMachine("node-1", docker), "default")


def spans(seen: ContainerObserver) -> list[tuple[str, float, float]]:
    return [(run.id, run.start, run.end) for run in seen.runs]


async def test_a_container_that_ran_before_is_seen_with_the_time_it_started() -> None:
    docker = Docker()
    docker.running["c1"] = "1970-01-01T00:01:30.123456789Z"
    seen = observer(docker)
    await seen.look()
    (run,) = seen.runs
    assert (run.machine, run.pod, run.uid, run.container) == ("node-1", "default/db-0", "uid-1", "main")
    assert spans(seen) == [("c1", 90.123456, 100.0)]


async def test_a_container_runs_from_its_start_to_its_end() -> None:
    seen = observer(Docker())
    seen.apply(event("start", 101))
    seen.apply(event("die", 105))
    seen.apply(event("die", 106, "never heard of"))
    assert spans(seen) == [("c1", 101.0, 105.0)]


async def test_after_a_power_loss_a_container_ran_only_as_long_as_is_certain() -> None:
    docker = Docker()
    seen = observer(docker)
    seen.apply(event("start", 101))
    docker.now, docker.running["c1"] = 110.0, "1970-01-01T00:01:41Z"
    await seen.look()
    docker.now = 150.0
    docker.running.clear()
    await seen.look()
    assert spans(seen) == [("c1", 101.0, 110.0)]


async def test_a_container_that_ended_does_not_run_on() -> None:
    docker = Docker()
    docker.running["c1"] = "1970-01-01T00:01:30Z"
    seen = observer(docker)
    seen.apply(event("start", 90))
    seen.apply(event("die", 95))
    await seen.look()
    assert spans(seen) == [("c1", 90.0, 95.0)]


def test_a_lease_is_read_with_its_times() -> None:
    spec = {
        "holderIdentity": "cp-1_7",
        "leaseDurationSeconds": 15,
        "acquireTime": "1970-01-01T00:01:00.000000Z",
        "renewTime": "1970-01-01T00:01:02.500000Z",
    }
    lease = {"metadata": {"name": "kube-scheduler", "resourceVersion": "9"}, "spec": spec}
    assert tenure(lease) == Tenure("kube-scheduler", 9, "cp-1_7", 15.0, 60.0, 62.5)
    assert tenure({"metadata": lease["metadata"], "spec": {}}).holder == ""
