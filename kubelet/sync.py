"""The kubelet's decision: from a pod and what is seen of it, what to do next. Pure, no clock, no I/O.

Order of a pod's life (Kubernetes: "Pod Lifecycle", "Init Containers", "Sidecar Containers"): a sandbox; init containers one
after another, a sidecar being passed as soon as it has started; then all main containers at once. A container that ended is
restarted as its policy says, later each time. When no main container will run again, the sidecars are stopped, last first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from api.types import Object
from kubelet import podspec
from kubelet.backoff import Backoff
from kubelet.runtime import ContainerState


@dataclass(frozen=True, slots=True)
class Hold:
    """A container that cannot be started before `until` (seconds since 1970), and why."""

    reason: str
    message: str
    until: float


@dataclass(frozen=True, slots=True)
class PodView:
    """A pod and what is known of it. `containers` holds, per name, the states newest attempt first."""

    pod: Object
    sandbox: ContainerState | None = None
    containers: Mapping[str, list[ContainerState]] = field(default_factory=dict)
    wired: bool = False
    """The sandbox's network stands."""
    busy: frozenset[str] = frozenset()
    """Names of containers that are being started or stopped now."""
    started: frozenset[str] = frozenset()
    """Ids of running containers whose postStart hook and startup probe are over."""
    unready: frozenset[str] = frozenset()
    """Ids of running containers whose readiness probe does not (yet) succeed."""
    doomed: Mapping[str, str] = field(default_factory=dict)
    """Ids of containers to be killed for a failed probe or hook, and the message."""
    holds: Mapping[str, Hold] = field(default_factory=dict)
    messages: Mapping[str, str] = field(default_factory=dict)
    """Termination messages by container id."""
    now: float = 0.0
    """Seconds since 1970."""

    def latest(self, name: str) -> ContainerState | None:
        """The newest attempt of a container."""
        states = self.containers.get(name)
        return states[0] if states else None

    def present(self, name: str) -> ContainerState | None:
        """The newest attempt, if it belongs to the sandbox of now."""
        state = self.latest(name)
        return state if state and self.sandbox and state.sandbox == self.sandbox.id else None

    @property
    def is_live(self) -> bool:
        """Whether containers can be started in the sandbox."""
        return self.sandbox is not None and self.sandbox.phase == "running" and self.wired

    def running(self) -> list[ContainerState]:
        """Every running container, sandbox aside."""
        return [s for states in self.containers.values() for s in states if s.phase == "running"]


@dataclass(frozen=True, slots=True)
class Start:
    """Start attempt number `attempt` of a container."""

    name: str
    attempt: int
    restart: bool = False


@dataclass(frozen=True, slots=True)
class Kill:
    """Stop a container gracefully, because."""

    container_id: str
    name: str
    message: str


@dataclass(slots=True)
class Plan:
    """What to do now. `over` means: nothing of this pod will run again; `failure` is a reason and a message."""

    sandbox: Literal["keep", "create", "drop"] = "keep"
    starts: list[Start] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    waiting: dict[str, tuple[str, str]] = field(default_factory=dict)
    wake_at: float | None = None
    initialized: bool = False
    over: bool = False
    failure: tuple[str, str] | None = None

    def wake(self, moment: float) -> None:
        """Ask to be called again at `moment`, if not earlier."""
        self.wake_at = moment if self.wake_at is None else min(self.wake_at, moment)


def seconds(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 time with any number of digits; 0 for an empty one."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def ended_at(state: ContainerState) -> float:
    """When a container ended, or, if its process never began, when it was made."""
    return seconds(state.finished_at or state.created_at)


def is_initialized(view: PodView) -> bool:
    """Whether the init containers are over, which a main container in the present sandbox also proves."""
    pod = view.pod
    if any(view.present(c["name"]) for c in podspec.containers(pod)):
        return True
    return all(_init_passed(view, c) for c in podspec.init_containers(pod))


def _init_passed(view: PodView, container: Object) -> bool:
    state = view.present(container["name"])
    if state is None:
        return False
    if podspec.is_sidecar(container):
        return state.phase == "running" and state.id in view.started
    return state.phase == "exited" and state.exit_code == 0 and not state.error


def deadline(pod: Object) -> float | None:
    """When activeDeadlineSeconds is up, or None."""
    limit = pod["spec"].get("activeDeadlineSeconds")
    start = (pod.get("status") or {}).get("startTime")
    return seconds(start) + int(limit) if limit is not None and start else None


def plan(view: PodView, backoff: Backoff) -> Plan:
    """Decide. `backoff` counts in seconds since 1970, as the view does."""
    result = Plan(initialized=is_initialized(view))
    limit = deadline(view.pod)
    if limit is not None and view.now >= limit:
        message = "Pod was active on the node longer than the specified deadline"
        return _end(view, result, ("DeadlineExceeded", message))
    if limit is not None:
        result.wake(limit)
    if view.sandbox is not None and not view.is_live and view.sandbox.phase != "running":
        return _without_sandbox(view, result)
    if not view.is_live:
        return _without_sandbox(view, result) if view.sandbox is None else result
    _ephemeral(view, result)
    if _init_failed(view):
        return _end(view, result, None)
    if not _start_init(view, result, backoff):
        return result
    _start_main(view, result, backoff)
    if _mains_over(view):
        return _end(view, result, None)
    return result


def _init_failed(view: PodView) -> bool:
    """An init container failed that is not to be tried again."""
    if is_initialized(view):
        return False
    for container in podspec.init_containers(view.pod):
        state = view.present(container["name"])
        if state is None or podspec.is_sidecar(container) or state.phase != "exited":
            continue
        if state.exit_code != 0 and not podspec.init_restarts(view.pod, container, state.exit_code):
            return True
    return False


def _over(view: PodView, container: Object) -> bool:
    """Whether a main container has ended for good."""
    state = view.latest(container["name"])
    if state is None or state.phase != "exited":
        return False
    if state.hash != podspec.container_hash(container):
        return False
    return not podspec.restarts(view.pod, container, state.exit_code)


def _mains_over(view: PodView) -> bool:
    return all(_over(view, c) for c in podspec.containers(view.pod))


def _without_sandbox(view: PodView, result: Plan) -> Plan:
    """The first sandbox is to be made, or the present one died: then everything in it goes first."""
    if any(view.containers.values()) and _nothing_left(view):
        return _end(view, result, None)
    running = view.running()
    if running:
        result.kills = [
            Kill(s.id, s.container, "Pod sandbox changed, it will be killed and re-created.") for s in running
        ]
    elif (hold := view.holds.get("+sandbox")) and hold.until > view.now:
        result.wake(hold.until)
    else:
        result.sandbox = "create"
    return result


def _nothing_left(view: PodView) -> bool:
    """Nothing would be started in a new sandbox."""
    if view.running():
        return False
    if _mains_over(view):
        return True
    ever = any(view.latest(c["name"]) for c in podspec.containers(view.pod))
    return (
        ever
        and podspec.restart_policy(view.pod) == "Never"
        and not any(c.get("restartPolicy") or c.get("restartPolicyRules") for c in podspec.containers(view.pod))
    )


def _end(view: PodView, result: Plan, failure: tuple[str, str] | None) -> Plan:
    """Stop whatever still runs: main containers at once, then sidecars from the last to the first."""
    result.over, result.failure, result.starts = True, failure, []
    result.kills, result.sandbox = kills_in_order(view, "Stopping container {}"), "drop"
    if view.running():
        result.sandbox = "keep"
    return result


def kills_in_order(view: PodView, message: str) -> list[Kill]:
    """Which containers to stop now so that sidecars go after all others, the last one first."""
    running = {s.container: s for s in view.running()}
    side = [c["name"] for c in podspec.sidecars(view.pod)]
    others = [s for name, s in running.items() if name not in side]
    chosen = others or [running[name] for name in reversed(side) if name in running][:1]
    return [Kill(s.id, s.container, message.format(s.container)) for s in chosen if s.container not in view.busy]


def _ephemeral(view: PodView, result: Plan) -> None:
    for container in podspec.ephemeral_containers(view.pod):
        state = view.latest(container["name"])
        if state is None or state.phase == "created":
            _start(view, result, container, state, restart=False)


def _start_init(view: PodView, result: Plan, backoff: Backoff) -> bool:
    """Advance the init containers. True when the main containers may be started."""
    done = result.initialized
    for container in podspec.init_containers(view.pod):
        name = container["name"]
        state = view.present(name)
        sidecar = podspec.is_sidecar(container)
        if not sidecar and (done or _init_passed(view, container)):
            continue
        if state is None or state.phase == "created":
            _start(view, result, container, view.latest(name), restart=False)
        elif state.phase == "running":
            if state.id in view.doomed:
                _kill(view, result, state, view.doomed[state.id])
            elif sidecar and (done or state.id in view.started):
                continue
        else:
            _restart(view, result, container, state, backoff)
        if not done:
            return False
    return True


def _start_main(view: PodView, result: Plan, backoff: Backoff) -> None:
    for container in podspec.containers(view.pod):
        state = view.latest(container["name"])
        if state is None or state.phase == "created":
            _start(view, result, container, state, restart=False)
        elif state.phase == "running":
            if state.id in view.doomed:
                _kill(view, result, state, view.doomed[state.id])
            elif state.hash != podspec.container_hash(container):
                _kill(view, result, state, f"Container {state.container} definition changed, will be restarted")
        elif not _over(view, container):
            _restart(view, result, container, state, backoff)


def _kill(view: PodView, result: Plan, state: ContainerState, message: str) -> None:
    if state.container not in view.busy:
        result.kills.append(Kill(state.id, state.container, message))


def _restart(view: PodView, result: Plan, container: Object, state: ContainerState, backoff: Backoff) -> None:
    """Start the next attempt when its delay is over."""
    key = container["name"]
    due = backoff.until(key, ended_at(state))
    if state.hash != podspec.container_hash(container):
        due = view.now
    if due <= view.now:
        _start(view, result, container, state, restart=True)
        return
    delay = _duration(backoff.delay(key))
    text = f"back-off {delay} restarting failed container={key} pod={podspec.full_name(view.pod)}"
    result.waiting[key] = ("CrashLoopBackOff", text)
    result.wake(due)


def _duration(delay: float) -> str:
    """Seconds as Go prints a duration: 10s, 1m20s, 5m0s."""
    minutes, rest = divmod(int(delay), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _start(view: PodView, result: Plan, container: Object, latest: ContainerState | None, *, restart: bool) -> None:
    name = container["name"]
    if name in view.busy:
        return
    if (hold := view.holds.get(name)) and hold.until > view.now:
        result.waiting[name] = (hold.reason, hold.message)
        result.wake(hold.until)
        return
    attempt = 0 if latest is None else latest.attempt + (latest.phase != "created")
    result.starts.append(Start(name, attempt, restart))
