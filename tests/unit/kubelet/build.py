"""Pods and container states for tables."""

from __future__ import annotations

from typing import Any

from api.types import Object
from kubelet import podspec
from kubelet.runtime import ATTEMPT, CONTAINER_NAME, HASH, KIND, POD_UID, SANDBOX, ContainerState, Phase
from kubelet.sync import PodView

UID = "u"
SANDBOX_ID = "sandbox-id"
NOW = 1_800_000_000.0
STARTED = "2027-01-15T07:59:00Z"
ENDED = "2027-01-15T08:00:00Z"
"""NOW as text."""


def container(name: str = "c", **more: Any) -> Object:
    return {"name": name, "image": "i:1", **more}


def pod(*containers: Object, init: tuple[Object, ...] = (), status: Object | None = None, **spec: Any) -> Object:
    found: Object = {
        "metadata": {"name": "p", "namespace": "ns", "uid": UID, "generation": 1},
        "spec": {"containers": list(containers) or [container()], "initContainers": list(init), **spec},
    }
    if status:
        found["status"] = status
    return found


def sandbox(phase: Phase = "running", container_id: str = SANDBOX_ID) -> ContainerState:
    return ContainerState(container_id, "sandbox", phase, {KIND: "sandbox", POD_UID: UID}, pid=1)


def state(
    name: str = "c", phase: Phase = "running", *, code: int = 0, attempt: int = 0, image: str = "i:1",
    sandbox_id: str = SANDBOX_ID, ended: str = ENDED, error: str = "", oom: bool = False,
) -> ContainerState:  # fmt: skip
    labels = {
        KIND: "container", CONTAINER_NAME: name, ATTEMPT: str(attempt), SANDBOX: sandbox_id, POD_UID: UID,
        HASH: podspec.container_hash({"name": name, "image": image}),
    }  # fmt: skip
    return ContainerState(
        id=f"{name}-{attempt}", name=f"docker-{name}-{attempt}", phase=phase, labels=labels, exit_code=code,
        created_at=STARTED, started_at="" if error or phase == "created" else STARTED,
        finished_at=ended if phase == "exited" and not error else "", error=error, oom_killed=oom, image_id="sha256:x",
    )  # fmt: skip


def view(found: Object, *states: ContainerState, **more: Any) -> PodView:
    """A pod with a wired sandbox; every running container has started, unless `started` says otherwise."""
    by_name: dict[str, list[ContainerState]] = {}
    for one in states:
        by_name.setdefault(one.container, []).append(one)
    for group in by_name.values():
        group.sort(key=lambda s: s.attempt, reverse=True)
    given: dict[str, Any] = {
        "sandbox": sandbox(), "wired": True, "now": NOW,
        "started": frozenset(s.id for s in states if s.phase == "running"),
    } | more  # fmt: skip
    return PodView(pod=found, containers=by_name, **given)
