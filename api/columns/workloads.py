"""The columns of the kinds that run pods: Deployment, ReplicaSet, DaemonSet, StatefulSet, Job, CronJob and relatives."""

from datetime import datetime
from typing import Any

from api import timestamp
from api.columns.cells import (
    AGE,
    NAME,
    NONE,
    UNKNOWN,
    UNSET,
    Column,
    at,
    dig,
    duration,
    label_selector,
    of,
    selector,
    since,
    template_columns,
)
from api.meta import controller_of, get_condition
from api.types import Object

_TEMPLATE = template_columns("spec", "template", "spec")
_SELECTOR = Column("Selector", of(lambda obj: label_selector(dig(obj, "spec", "selector"))), wide=True)


def _number(heading: str, path: str) -> Column:
    return Column(heading, at(path, 0), type="integer")


def _of_wanted(ready: str) -> Column:
    """`2/3`: the status field `ready` of the replicas that the spec wants."""
    return Column("Ready", of(lambda obj: f"{dig(obj, 'status', ready) or 0}/{dig(obj, 'spec', 'replicas') or 0}"))


REPLICASETS = (
    NAME,
    _number("Desired", "spec.replicas"),
    _number("Current", "status.replicas"),
    _number("Ready", "status.readyReplicas"),
    AGE,
    *_TEMPLATE,
    _SELECTOR,
)
REPLICATIONCONTROLLERS = (
    *REPLICASETS[:-1],
    Column("Selector", of(lambda obj: selector(dig(obj, "spec", "selector"))), wide=True),
)
DEPLOYMENTS = (
    NAME,
    _of_wanted("readyReplicas"),
    _number("Up-to-date", "status.updatedReplicas"),
    _number("Available", "status.availableReplicas"),
    AGE,
    *_TEMPLATE,
    _SELECTOR,
)
DAEMONSETS = (
    NAME,
    _number("Desired", "status.desiredNumberScheduled"),
    _number("Current", "status.currentNumberScheduled"),
    _number("Ready", "status.numberReady"),
    _number("Up-to-date", "status.updatedNumberScheduled"),
    _number("Available", "status.numberAvailable"),
    Column("Node Selector", of(lambda obj: selector(dig(obj, "spec", "template", "spec", "nodeSelector")))),
    AGE,
    *_TEMPLATE,
    _SELECTOR,
)
STATEFULSETS = (NAME, _of_wanted("readyReplicas"), AGE, *_TEMPLATE)


def _controller(obj: Object) -> str:
    owner = controller_of(obj)
    if owner is None:
        return NONE
    group = str(owner.get("apiVersion", "")).rpartition("/")[0]
    kind = str(owner.get("kind", "")).lower()
    return f"{kind}.{group}/{owner.get('name')}" if group else f"{kind}/{owner.get('name')}"


CONTROLLERREVISIONS = (NAME, Column("Controller", of(_controller)), _number("Revision", "revision"), AGE)


def _completions(job: Object) -> str:
    done, wanted = dig(job, "status", "succeeded") or 0, dig(job, "spec", "completions")
    if wanted is not None:
        return f"{done}/{wanted}"
    parallelism = dig(job, "spec", "parallelism") or 0
    return f"{done}/1 of {parallelism}" if parallelism > 1 else f"{done}/1"


def _job_status(job: Object) -> str:
    for kind, word in (
        ("Complete", "Complete"),
        ("Failed", "Failed"),
        ("FailureTarget", "FailureTarget"),
        ("SuccessCriteriaMet", "SuccessCriteriaMet"),
        ("Suspended", "Suspended"),
    ):
        condition = get_condition(job, kind)
        if condition and condition.get("status") == "True":
            if job["metadata"].get("deletionTimestamp") and kind not in ("Complete", "Failed"):
                return "Terminating"
            return word
    return "Terminating" if job["metadata"].get("deletionTimestamp") else "Running"


def _job_duration(job: Object, present: datetime) -> str:
    start, end = dig(job, "status", "startTime"), dig(job, "status", "completionTime")
    if not start:
        return ""
    until = timestamp.parse(end) if end else present
    return duration((until - timestamp.parse(start)).total_seconds())


JOBS = (
    NAME,
    Column("Status", of(_job_status)),
    Column("Completions", of(_completions)),
    Column("Duration", _job_duration),
    AGE,
    *_TEMPLATE,
    _SELECTOR,
)


def _last_schedule(obj: Object, present: datetime) -> str:
    last = dig(obj, "status", "lastScheduleTime")
    return since(last, present) if last else NONE


CRONJOBS = (
    NAME,
    Column("Schedule", at("spec.schedule")),
    Column("Timezone", at("spec.timeZone", NONE)),
    Column("Suspend", of(lambda obj: str(bool(dig(obj, "spec", "suspend"))))),
    Column("Active", of(lambda obj: len(dig(obj, "status", "active") or ())), type="integer"),
    Column("Last Schedule", _last_schedule),
    AGE,
    *template_columns("spec", "jobTemplate", "spec", "template", "spec"),
    Column("Selector", of(lambda obj: label_selector(dig(obj, "spec", "jobTemplate", "spec", "selector"))), wide=True),
)


def _current(metric: Object, kind: str) -> Any:
    return dig(metric, kind, "current") or {}


def _target_text(spec: Object, status: Object | None) -> str:
    """One metric of an autoscaler as `now/wanted`."""
    kind = str(spec.get("type", ""))
    field = kind[:1].lower() + kind[1:]
    target, current = dig(spec, field, "target") or {}, _current(status or {}, field)
    if target.get("averageUtilization") is not None:
        used = current.get("averageUtilization")
        name = dig(spec, field, "name")
        shown = f"{UNKNOWN if used is None else f'{used}%'}/{target['averageUtilization']}%"
        return f"{name}: {shown}" if name else shown
    wanted = target.get("averageValue") or target.get("value") or UNSET
    present = current.get("averageValue") or current.get("value") or UNKNOWN
    suffix = " (avg)" if target.get("averageValue") and kind in ("External", "Object") else ""
    return f"{present}/{wanted}{suffix}"


def _targets(obj: Object) -> str:
    specs = dig(obj, "spec", "metrics") or ()
    statuses = dig(obj, "status", "currentMetrics") or ()
    shown = [_target_text(each, statuses[i] if i < len(statuses) else None) for i, each in enumerate(specs)]
    if len(shown) > 2:
        return f"{', '.join(shown[:2])} + {len(shown) - 2} more..."
    return ", ".join(shown) or NONE


def _targets_v1(obj: Object) -> str:
    wanted, used = (
        dig(obj, "spec", "targetCPUUtilizationPercentage"),
        dig(obj, "status", "currentCPUUtilizationPercentage"),
    )
    if wanted is None:
        return NONE
    return f"cpu: {UNKNOWN if used is None else f'{used}%'}/{wanted}%"


def _reference(obj: Object) -> str:
    target = dig(obj, "spec", "scaleTargetRef") or {}
    return f"{target.get('kind', '')}/{target.get('name', '')}"


def _autoscaler(targets: Column) -> tuple[Column, ...]:
    return (
        NAME,
        Column("Reference", of(_reference)),
        targets,
        Column("MinPods", at("spec.minReplicas", UNSET)),
        _number("MaxPods", "spec.maxReplicas"),
        _number("Replicas", "status.currentReplicas"),
        AGE,
    )


HORIZONTALPODAUTOSCALERS = _autoscaler(Column("Targets", of(_targets)))
HORIZONTALPODAUTOSCALERS_V1 = _autoscaler(Column("Targets", of(_targets_v1)))
