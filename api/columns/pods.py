"""The columns of pods, and the one word that sums up a pod's state. The word's rules are those of kubectl's STATUS."""

from datetime import datetime

from api import timestamp
from api.columns.cells import AGE, NAME, NONE, Column, at, dig, duration, label_selector, of, selector
from api.meta import get_condition
from api.types import Object


def _finished(status: Object) -> str:
    """When the container's previous run ended, or an empty string."""
    return str(dig(status, "lastState", "terminated", "finishedAt") or "")


def _ended(state: Object) -> str:
    """The word for a terminated container: its reason, or else its signal or exit code."""
    if state.get("reason"):
        return str(state["reason"])
    if state.get("signal"):
        return f"Signal:{state['signal']}"
    return f"ExitCode:{state.get('exitCode', 0)}"


class Summary:
    """What the row of a pod shows: `status`, `ready` and `total` containers, `restarts` and when the last one was."""

    def __init__(self, pod: Object) -> None:
        self.pod = pod
        self.spec: Object = pod.get("spec") or {}
        self.state: Object = pod.get("status") or {}
        self.status = str(self.state.get("reason") or self.state.get("phase") or "")
        self.sidecars = {
            each.get("name") for each in self.spec.get("initContainers") or () if each.get("restartPolicy") == "Always"
        }
        self.ready, self.restarts, self.last_restart = 0, 0, ""
        self.total = len(self.spec.get("containers") or ()) + len(self.sidecars)
        scheduled = get_condition(pod, "PodScheduled")
        if scheduled and scheduled.get("reason") == "SchedulingGated":
            self.status = "SchedulingGated"
        initialized = get_condition(pod, "Initialized")
        if not self._initializing() or (initialized and initialized.get("status") == "True"):
            self._running()
        self._deleting()

    def _initializing(self) -> bool:
        statuses = self.state.get("initContainerStatuses") or ()
        for index, status in enumerate(statuses):
            self._count(status)
            state = status.get("state") or {}
            terminated, waiting = state.get("terminated"), state.get("waiting") or {}
            if terminated is not None and terminated.get("exitCode", 0) == 0:
                continue
            if status.get("name") in self.sidecars and status.get("started"):
                self.ready += bool(status.get("ready"))
                continue
            if terminated is not None:
                self.status = "Init:" + _ended(terminated)
            elif waiting.get("reason") and waiting["reason"] != "PodInitializing":
                self.status = f"Init:{waiting['reason']}"
            else:
                self.status = f"Init:{index}/{len(self.spec.get('initContainers') or ())}"
            return True
        return False

    def _running(self) -> None:
        # restarts of init containers that have done their work no longer count, those of sidecars do
        self.restarts, self.last_restart = 0, ""
        for status in self.state.get("initContainerStatuses") or ():
            if status.get("name") in self.sidecars:
                self._count(status)
        running = False
        for status in reversed(self.state.get("containerStatuses") or ()):
            self._count(status)
            state = status.get("state") or {}
            if (state.get("waiting") or {}).get("reason"):
                self.status = str(state["waiting"]["reason"])
            elif state.get("terminated") is not None:
                self.status = _ended(state["terminated"])
            elif status.get("ready") and state.get("running") is not None:
                running = True
                self.ready += 1
        if self.status == "Completed" and running:
            ready = get_condition(self.pod, "Ready")
            self.status = "Running" if ready and ready.get("status") == "True" else "NotReady"

    def _deleting(self) -> None:
        if not self.pod["metadata"].get("deletionTimestamp"):
            return
        if self.state.get("reason") == "NodeLost":
            self.status = "Unknown"
        elif self.state.get("phase") not in ("Succeeded", "Failed"):
            self.status = "Terminating"

    def _count(self, status: Object) -> None:
        self.restarts += status.get("restartCount", 0)
        self.last_restart = max(self.last_restart, _finished(status))

    def restarts_text(self, present: datetime) -> str:
        """`3 (5m ago)`, or the bare number where no time is known."""
        if self.restarts and self.last_restart:
            ago = duration((present - timestamp.parse(self.last_restart)).total_seconds())
            return f"{self.restarts} ({ago} ago)"
        return str(self.restarts)


def _ip(pod: Object) -> str:
    ips = dig(pod, "status", "podIPs") or ()
    return str(ips[0].get("ip") if ips else dig(pod, "status", "podIP") or NONE)


def _gates(pod: Object) -> str:
    gates = dig(pod, "spec", "readinessGates") or ()
    if not gates:
        return NONE
    conditions = [get_condition(pod, gate.get("conditionType", "")) for gate in gates]
    met = sum(1 for condition in conditions if condition and condition.get("status") == "True")
    return f"{met}/{len(gates)}"


def row(pod: Object, present: datetime) -> list[object]:
    """All cells of a pod at once: the summary is computed one time for its three columns."""
    summary = Summary(pod)
    return [
        NAME.cell(pod, present),
        f"{summary.ready}/{summary.total}",
        summary.status,
        summary.restarts_text(present),
        AGE.cell(pod, present),
        _ip(pod),
        dig(pod, "spec", "nodeName") or NONE,
        dig(pod, "status", "nominatedNodeName") or NONE,
        _gates(pod),
    ]


def _ready(pod: Object) -> str:
    summary = Summary(pod)
    return f"{summary.ready}/{summary.total}"


PODS = (
    NAME,
    Column("Ready", of(_ready)),
    Column("Status", of(lambda pod: Summary(pod).status)),
    Column("Restarts", lambda pod, present: Summary(pod).restarts_text(present)),
    AGE,
    Column("IP", of(_ip), wide=True),
    Column("Node", at("spec.nodeName", NONE), wide=True),
    Column("Nominated Node", at("status.nominatedNodeName", NONE), wide=True),
    Column("Readiness Gates", of(_gates), wide=True),
)


def _template(obj: Object, field: str) -> str:
    found = dig(obj, "template", "spec", "containers") or ()
    return ",".join(str(each.get(field, "")) for each in found) or NONE


PODTEMPLATES = (
    NAME,
    Column("Containers", of(lambda obj: _template(obj, "name"))),
    Column("Images", of(lambda obj: _template(obj, "image"))),
    Column("Pod Labels", of(lambda obj: selector(dig(obj, "template", "metadata", "labels")))),
)
PODDISRUPTIONBUDGETS = (
    NAME,
    Column("Min Available", at("spec.minAvailable", "N/A")),
    Column("Max Unavailable", at("spec.maxUnavailable", "N/A")),
    Column("Allowed Disruptions", at("status.disruptionsAllowed", 0), type="integer"),
    AGE,
)
NETWORKPOLICIES = (NAME, Column("Pod-Selector", of(lambda obj: label_selector(dig(obj, "spec", "podSelector")))), AGE)
