"""From a pod and what is seen of it to its PodStatus. Pure. Source: Kubernetes' "Pod Lifecycle"."""

from __future__ import annotations

from dataclasses import dataclass, field

from api import meta, timestamp
from api.pods import qos_class
from api.types import Object
from kubelet import podspec
from kubelet.runtime import ContainerState
from kubelet.sync import Plan, PodView

_OWN = ("PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready")
_SCHEDULED = "PodScheduled"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a status needs besides the containers. `failure` (reason, message) is the kubelet's own verdict on the pod."""

    node_ips: tuple[str, ...] = ()
    pod_ips: tuple[str, ...] = ()
    failure: tuple[str, str] | None = None
    terminating: bool = False
    """Every container has stopped or will not start any more: the phase must become final."""
    last: Object | None = None
    """The status built before this one, which the server may not have shown yet."""
    now: str = field(default_factory=timestamp.now)


def _moment(text: str) -> str:
    return timestamp.format(timestamp.parse(text)) if text else ""


def _terminated(state: ContainerState, message: str) -> Object:
    never_ran = bool(state.error) and not state.started_at
    if never_ran:
        code, reason, message = 128, "StartError", state.error
    elif state.oom_killed:
        code, reason = state.exit_code, "OOMKilled"
    else:
        code, reason = state.exit_code, "Completed" if state.exit_code == 0 else "Error"
    ended: Object = {"exitCode": code, "reason": reason, "containerID": f"docker://{state.id}"}
    if message:
        ended["message"] = message
    ended["startedAt"] = _moment(state.started_at or state.created_at)
    ended["finishedAt"] = _moment(state.finished_at or state.created_at)
    return {"terminated": ended}


def _waiting(reason: str, message: str = "") -> Object:
    return {"waiting": {"reason": reason, "message": message} if message else {"reason": reason}}


class _Writer:
    """Builds the statuses of one pod."""

    def __init__(self, view: PodView, plan: Plan, around: Surroundings) -> None:
        self.view, self.plan, self.around = view, plan, around
        self.old = view.pod.get("status") or {}

    def _ended(self, state: ContainerState) -> Object:
        return _terminated(state, self.view.messages.get(state.id, ""))

    def _state(self, name: str, default: str) -> tuple[Object, Object]:
        """(state, lastState) of a container."""
        states = self.view.containers.get(name) or []
        live = [s for s in states if s.phase != "created"]
        latest = live[0] if live else None
        before = self._ended(live[1]) if len(live) > 1 else {}
        if latest is not None and latest.phase == "running":
            return {"running": {"startedAt": _moment(latest.started_at)}}, before
        hold = self.view.holds.get(name)
        why = self.plan.waiting.get(name) or ((hold.reason, hold.message) if hold else None)
        if latest is None:
            if self.around.terminating and self.plan.initialized:
                return self._unknown(), {}
            return _waiting(*(why or (default,))), {}
        if why and not self.around.terminating:
            return _waiting(*why), self._ended(latest)
        return self._ended(latest), before

    @staticmethod
    def _unknown() -> Object:
        text = "The container could not be located when the pod was terminated"
        return {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": text,
                               "startedAt": None, "finishedAt": None}}  # fmt: skip

    def container(self, container: Object, kind: str) -> Object:
        """One entry of containerStatuses; `kind` is init, main or ephemeral."""
        name = container["name"]
        waiting_for_init = kind != "ephemeral" and bool(podspec.init_containers(self.view.pod))
        default = "PodInitializing" if waiting_for_init and not self.plan.initialized else "ContainerCreating"
        state, last = self._state(name, default)
        latest = self.view.latest(name)
        running = latest is not None and latest.phase == "running"
        started = running and latest is not None and latest.id in self.view.started
        ready = started and latest is not None and latest.id not in self.view.unready
        if kind == "init" and not podspec.is_sidecar(container):
            ready = (state.get("terminated") or {}).get("exitCode") == 0
        status: Object = {
            "name": name,
            "state": state,
            "lastState": last,
            "ready": ready,
            "restartCount": latest.attempt if latest else 0,
            "image": container.get("image", ""),
            "imageID": latest.image_id if latest else "",
            "started": started,
        }
        if latest:
            status["containerID"] = f"docker://{latest.id}"
        if kind != "ephemeral":
            status |= _resources(container, self._old_entry(name), running)
        mounts = _mounts(container)
        return status | ({"volumeMounts": mounts} if mounts else {})

    def _old_entry(self, name: str) -> Object:
        for group in ("containerStatuses", "initContainerStatuses"):
            for entry in self.old.get(group) or ():
                if entry.get("name") == name:
                    return dict(entry)
        return {}

    def phase(self, init: list[Object], main: list[Object]) -> str:
        """Pending, Running, Succeeded or Failed."""
        if self.around.failure:
            return "Failed"
        pod = self.view.pod
        if not self.plan.initialized and init:
            return "Failed" if self.around.terminating else "Pending"
        running = [s for s in main if "running" in s["state"]]
        stopped = [s for s in main if _last_end(s) is not None]
        sidecars_run = any("running" in s["state"] for s in init if self._is_sidecar(s["name"]))
        if len(running) + len(stopped) < len(main) and not self.around.terminating:
            return "Pending"
        if running or (sidecars_run and main):
            return "Running"
        if self.around.terminating:
            return "Succeeded" if stopped and all(_last_end(s) == 0 for s in main) else "Failed"
        return "Running" if stopped or podspec.restart_policy(pod) == "Always" else "Pending"

    def _is_sidecar(self, name: str) -> bool:
        return any(c["name"] == name for c in podspec.sidecars(self.view.pod))

    def conditions(self, phase: str, init: list[Object], main: list[Object]) -> list[Object]:
        """The kubelet's own conditions, those of others kept."""
        generation = self.view.pod["metadata"].get("generation")
        more = {"observedGeneration": generation} if generation else {}
        result = self._present_conditions()

        def put(kind: str, value: bool, reason: str = "", message: str = "") -> None:
            meta.set_condition(result, kind, str(value), reason, message, now=self.around.now, **more)

        put("PodReadyToStartContainers", self.view.is_live)
        undone = [s["name"] for s in init if not self._init_is_done(s)]
        if phase == "Succeeded":
            put("Initialized", True, "PodCompleted")
        elif undone and not self.plan.initialized:
            put(
                "Initialized", False, "ContainersNotInitialized", f"containers with incomplete status: {_names(undone)}"
            )
        else:
            put("Initialized", True)
        unready = [s["name"] for s in [*init, *main] if not s["ready"] and self._counts(s["name"])]
        problem = self._problem(phase, unready)
        put("ContainersReady", problem is None, *(problem or ()))
        gates = [g["conditionType"] for g in self.view.pod["spec"].get("readinessGates") or ()]
        closed = [g for g in gates if not any(c["type"] == g and c["status"] == "True" for c in result)]
        if problem is None and closed:
            first = closed[0]
            present = any(c["type"] == first for c in result)
            how = (
                f'the status of pod readiness gate "{first}" is not "True"'
                if present
                else (f'corresponding condition of pod readiness gate "{first}" does not exist.')
            )
            problem = ("ReadinessGatesNotReady", how)
        put("Ready", problem is None, *(problem or ()))
        meta.set_condition(result, _SCHEDULED, "True", now=self.around.now, **more)
        return result

    def _present_conditions(self) -> list[Object]:
        """The kubelet's own from its last word, everybody else's from the server."""
        seen = [dict(c) for c in self.old.get("conditions") or ()]
        if self.around.last is None:
            return seen
        others = [c for c in seen if c["type"] not in _OWN]
        known = {c["type"] for c in others}
        own = [
            dict(c) for c in self.around.last.get("conditions") or () if c["type"] in _OWN or c["type"] == _SCHEDULED
        ]
        return [c for c in own if c["type"] not in known] + others

    def _counts(self, name: str) -> bool:
        main = any(c["name"] == name for c in podspec.containers(self.view.pod))
        return main or self._is_sidecar(name)

    def _init_is_done(self, status: Object) -> bool:
        return bool(status["started"] if self._is_sidecar(status["name"]) else status["ready"])

    @staticmethod
    def _problem(phase: str, unready: list[str]) -> tuple[str, str] | None:
        if phase == "Succeeded":
            return "PodCompleted", ""
        if phase == "Failed":
            return "PodFailed", ""
        if unready:
            return "ContainersNotReady", f"containers with unready status: {_names(unready)}"
        return None


def _names(names: list[str]) -> str:
    return f"[{' '.join(names)}]"


def _last_end(status: Object) -> int | None:
    """The exit code of a container that has ended and does not run."""
    for state in (status["state"], status["lastState"] if "waiting" in status["state"] else {}):
        if ended := state.get("terminated"):
            return int(ended["exitCode"])
    return None


def _mounts(container: Object) -> list[Object]:
    mounts = []
    for mount in container.get("volumeMounts") or ():
        entry: Object = {"name": mount["name"], "mountPath": mount["mountPath"]}
        if mount.get("readOnly"):
            entry |= {"readOnly": True, "recursiveReadOnly": "Disabled"}
        mounts.append(entry)
    return mounts


def _resources(container: Object, old: Object, running: bool) -> Object:
    """What the container was given (KEP-1287); an entry of a container that does not run keeps what it had."""
    if not running and old.get("resources"):
        return {k: old[k] for k in ("allocatedResources", "resources") if k in old}
    resources = container.get("resources") or {}
    found: Object = {"resources": {k: resources[k] for k in ("limits", "requests") if resources.get(k)}}
    if resources.get("requests"):
        found["allocatedResources"] = resources["requests"]
    return found


def build(view: PodView, plan: Plan, around: Surroundings) -> Object:
    """The whole status. What others wrote (nominatedNodeName, their conditions) stays."""
    writer, pod = _Writer(view, plan, around), view.pod
    init = [writer.container(c, "init") for c in podspec.init_containers(pod)]
    main = [writer.container(c, "main") for c in podspec.containers(pod)]
    debug = [writer.container(c, "ephemeral") for c in podspec.ephemeral_containers(pod)]
    phase = writer.phase(init, main)
    old = writer.old
    status: Object = {
        "phase": phase,
        "conditions": writer.conditions(phase, init, main),
        "containerStatuses": main,
        "qosClass": old.get("qosClass") or qos_class(pod),
        "startTime": old.get("startTime") or (around.last or {}).get("startTime") or around.now,
    }
    if init:
        status["initContainerStatuses"] = init
    if debug:
        status["ephemeralContainerStatuses"] = debug
    if generation := pod["metadata"].get("generation"):
        status["observedGeneration"] = generation
    if around.node_ips:
        status["hostIP"] = around.node_ips[0]
        status["hostIPs"] = [{"ip": ip} for ip in around.node_ips]
    ips = around.pod_ips or tuple(entry["ip"] for entry in old.get("podIPs") or ())
    if ips:
        status["podIP"] = ips[0]
        status["podIPs"] = [{"ip": ip} for ip in ips]
    if around.failure:
        status["reason"], status["message"] = around.failure
    return status


def rejected(pod: Object, reason: str, message: str, now: str) -> Object:
    """The status of a pod that this node does not admit: it never had a container."""
    return {
        "phase": "Failed",
        "reason": reason,
        "message": f"Pod was rejected: {message}",
        "startTime": now,
        "qosClass": qos_class(pod),
    }


def finished(status: Object) -> bool:
    """Whether the phase is final."""
    return status.get("phase") in ("Succeeded", "Failed")
