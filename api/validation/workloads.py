"""The rules of Deployment, ReplicaSet, ReplicationController, DaemonSet, StatefulSet, Job, CronJob and relatives."""

import re
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from api.types import Object
from api.validation import cron, names, pods, selectors, volumes
from api.validation.errors import IMMUTABLE, Errors

_PERCENT = re.compile("[0-9]+%")
_STATEFUL = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_STATEFUL_MUTABLE = {
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
}


def _spec(obj: Object) -> Object:
    return obj.get("spec") or {}


def _always(spec: Object, kind: str, errors: Errors) -> None:
    """The pods of a controller that keeps them running restart always and have no deadline."""
    found = (spec.get("template") or {}).get("spec") or {}
    policy = found.get("restartPolicy", "Always")
    if policy != "Always":
        errors.unsupported("spec.template.spec.restartPolicy", policy, ("Always",))
    if found.get("activeDeadlineSeconds") is not None:
        errors.forbidden(
            "spec.template.spec.activeDeadlineSeconds", f"activeDeadlineSeconds in {kind} is not Supported"
        )


def _share(value: int | str | None, errors: Errors, path: str, most: int = 0) -> int:
    """Check an int-or-percentage; returns its number, for comparisons with zero."""
    if isinstance(value, str):
        if not _PERCENT.fullmatch(value):
            errors.invalid(path, value, names.PERCENT_TEXT)
            return 1
        number = int(value[:-1])
        if most and number > most:
            errors.invalid(path, value, f"must not be greater than {most}%")
        return number
    if value is not None and value < 0:
        errors.invalid(path, value, "must be greater than or equal to 0")
    return value or 0


def deployment(obj: Object, errors: Errors) -> None:
    """A Deployment, new or updated."""
    spec = _spec(obj)
    pods.template(spec.get("template"), errors, "spec.template")
    selectors.workload_selector(spec, "deployment", errors)
    _always(spec, "ReplicaSet", errors)
    strategy = spec.get("strategy") or {}
    rolling = strategy.get("rollingUpdate")
    if strategy.get("type") == "Recreate" and rolling is not None:
        errors.forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
    elif rolling is not None:
        path = "spec.strategy.rollingUpdate"
        gone = _share(rolling.get("maxUnavailable"), errors, f"{path}.maxUnavailable", 100)
        surge = _share(rolling.get("maxSurge"), errors, f"{path}.maxSurge")
        if gone == 0 and surge == 0:
            errors.invalid(f"{path}.maxUnavailable", rolling.get("maxUnavailable"), "may not be 0 when `maxSurge` is 0")
    deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds") or 0
    if deadline is not None and deadline <= ready:
        errors.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def replica_set(obj: Object, errors: Errors) -> None:
    """A ReplicaSet, new or updated."""
    spec = _spec(obj)
    pods.template(spec.get("template"), errors, "spec.template")
    if spec.get("template") is None:
        errors.required("spec.template")
    selectors.workload_selector(spec, "deployment", errors)
    _always(spec, "ReplicaSet", errors)


def replication_controller(obj: Object, errors: Errors) -> None:
    """A ReplicationController, new or updated; its selector is a plain map."""
    spec = _spec(obj)
    template, selector = spec.get("template"), spec.get("selector")
    if template is None:
        errors.required("spec.template")
    pods.template(template, errors, "spec.template")
    if not selector:
        errors.required("spec.selector")
    elif template is not None:
        labels = (template.get("metadata") or {}).get("labels") or {}
        if any(labels.get(key) != value for key, value in selector.items()):
            errors.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    _always(spec, "ReplicationController", errors)


def daemon_set(obj: Object, errors: Errors) -> None:
    """A DaemonSet, new or updated."""
    spec = _spec(obj)
    pods.template(spec.get("template"), errors, "spec.template")
    selectors.workload_selector(spec, "daemonset", errors)
    _always(spec, "DaemonSet", errors)
    rolling = (spec.get("updateStrategy") or {}).get("rollingUpdate")
    if rolling is not None:
        path = "spec.updateStrategy.rollingUpdate"
        gone = _share(rolling.get("maxUnavailable"), errors, f"{path}.maxUnavailable", 100)
        surge = _share(rolling.get("maxSurge"), errors, f"{path}.maxSurge", 100)
        if gone and surge:
            errors.invalid(
                f"{path}.maxSurge", rolling.get("maxSurge"), "may not be set when maxUnavailable is non-zero"
            )
        elif not gone and not surge:
            errors.required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0")


def stateful_set(obj: Object, errors: Errors) -> None:
    """A StatefulSet, new or updated."""
    spec = _spec(obj)
    pods.template(spec.get("template"), errors, "spec.template")
    selectors.workload_selector(spec, "statefulset", errors)
    _always(spec, "StatefulSet", errors)
    for index, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
        volumes.claim_spec(claim.get("spec") or {}, errors, f"spec.volumeClaimTemplates[{index}].spec")


def update_stateful_set(new: Object, old: Object, errors: Errors) -> None:
    """What may change in a StatefulSet that exists."""
    after, before = _spec(new), _spec(old)
    if any(after.get(key) != before.get(key) for key in {*after, *before} - _STATEFUL_MUTABLE):
        errors.forbidden("spec", _STATEFUL)


def job(obj: Object, errors: Errors) -> None:
    """A new Job, with the selector that the server gave it."""
    job_spec(_spec(obj), errors, "spec")
    if _spec(obj).get("selector") is not None:
        selectors.workload_selector(_spec(obj), "job", errors)
    if obj.get("metadata", {}).get("name") and (_spec(obj).get("completionMode") == "Indexed"):
        last = max((_spec(obj).get("completions") or 1) - 1, 0)
        for said in names.dns_label(f"{obj['metadata']['name']}-{last}"):
            errors.invalid(
                "metadata.name", obj["metadata"]["name"], f"will not able to create pod with invalid DNS label: {said}"
            )


def job_spec(spec: Object, errors: Errors, path: str) -> None:
    """The spec of a Job, or of a CronJob's template."""
    template = spec.get("template")
    pods.template(template, errors, f"{path}.template")
    policy = ((template or {}).get("spec") or {}).get("restartPolicy", "Always")
    if template is not None and policy not in ("OnFailure", "Never"):
        errors.unsupported(f"{path}.template.spec.restartPolicy", policy, ("Never", "OnFailure"))
    indexed = spec.get("completionMode") == "Indexed"
    if indexed and spec.get("completions") is None:
        errors.required(f"{path}.completions", "when completion mode is Indexed")
    if indexed and (spec.get("parallelism") or 0) > 100_000:
        errors.invalid(
            f"{path}.parallelism",
            spec["parallelism"],
            "must be less than or equal to 100000 when completion mode is Indexed",
        )
    if not indexed:
        for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if spec.get(field) is not None:
                errors.invalid(f"{path}.{field}", spec[field], "requires indexed completion mode")
    if spec.get("podFailurePolicy") is not None:
        if policy != "Never":
            errors.invalid(
                f"{path}.template.spec.restartPolicy",
                policy,
                'only "Never" is supported when podFailurePolicy is specified',
            )
        if spec.get("podReplacementPolicy") == "TerminatingOrFailed":
            errors.unsupported(f"{path}.podReplacementPolicy", "TerminatingOrFailed", ("Failed",))


def update_job(new: Object, old: Object, errors: Errors) -> None:
    """What may not change in a Job that exists; a suspended one may move to other nodes and resources."""
    after, before = _spec(new), _spec(old)
    elastic = after.get("completionMode") == "Indexed" and after.get("completions") == after.get("parallelism")
    if not elastic:
        errors.immutable("spec.completions", after.get("completions"), before.get("completions"))
    for field in (
        "selector",
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
    ):
        errors.immutable(f"spec.{field}", after.get(field), before.get(field))
    started = (old.get("status") or {}).get("startTime")
    mine, theirs = _template(after), _template(before)
    if before.get("suspend") and not started:
        mine, theirs = _unplaced(mine), _unplaced(theirs)
    if mine != theirs:
        errors.invalid("spec.template", after.get("template"), IMMUTABLE)


def _template(spec: Object) -> Object:
    return spec.get("template") or {}


def _unplaced(template: Object) -> Object:
    """A template without what a queueing controller may set on a suspended Job."""
    meta, spec = dict(template.get("metadata") or {}), dict(template.get("spec") or {})
    for field in ("labels", "annotations"):
        meta.pop(field, None)
    for field in ("nodeSelector", "tolerations", "schedulingGates"):
        spec.pop(field, None)
    affinity = {key: value for key, value in (spec.pop("affinity", None) or {}).items() if key != "nodeAffinity"}
    for field in ("containers", "initContainers"):
        spec[field] = [{k: v for k, v in each.items() if k != "resources"} for each in spec.get(field) or ()]
    return {**template, "metadata": meta, "spec": {**spec, "affinity": affinity}}


def cron_job(obj: Object, errors: Errors) -> None:
    """A CronJob, new or updated."""
    spec, name = _spec(obj), (obj.get("metadata") or {}).get("name") or ""
    if len(name) > 52:
        errors.invalid("metadata.name", name, "must be no more than 52 characters")
    schedule = spec.get("schedule")
    if schedule:
        if "TZ" in schedule:
            errors.invalid(
                "spec.schedule", schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
            )
        else:
            errors.each("spec.schedule", schedule, cron.problems(schedule))
    zone = spec.get("timeZone")
    if zone is not None and not _known_zone(zone):
        errors.invalid("spec.timeZone", zone, f"unknown time zone {zone}")
    job_spec((spec.get("jobTemplate") or {}).get("spec") or {}, errors, "spec.jobTemplate.spec")


def _known_zone(zone: str) -> bool:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return bool(zone) and zone.lower() != "local"


def disruption_budget(obj: Object, errors: Errors) -> None:
    """A PodDisruptionBudget: one of its two limits, as a number or percentage."""
    spec = _spec(obj)
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        errors.invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set")
    for field in ("minAvailable", "maxUnavailable"):
        _share(spec.get(field), errors, f"spec.{field}", 100)
    selectors.label_selector(spec.get("selector"), errors, "spec.selector")


def autoscaler(obj: Object, errors: Errors) -> None:
    """A HorizontalPodAutoscaler of either version."""
    spec = _spec(obj)
    low, high = spec.get("minReplicas", 1), spec.get("maxReplicas") or 0
    if low < 1:
        errors.invalid("spec.minReplicas", low, "must be greater than or equal to 1")
    if high < 1:
        errors.invalid("spec.maxReplicas", high, "must be greater than 0")
    elif high < low:
        errors.invalid("spec.maxReplicas", high, "must be greater than or equal to `minReplicas`")
    for index, metric in enumerate(spec.get("metrics") or ()):
        _metric(metric, errors, f"spec.metrics[{index}]")


def _metric(metric: Object, errors: Errors, path: str) -> None:
    kind = str(metric.get("type") or "")
    field = kind[:1].lower() + kind[1:]
    source: Any = metric.get(field)
    if kind and source is None:
        errors.required(f"{path}.{field}", f"must populate information for the given metric source")  # noqa: F541
    given = sorted(key for key in metric if key not in ("type", field))
    for extra in given:
        errors.forbidden(f"{path}.{extra}", "must populate the given metric source only")


def controller_revision(obj: Object, errors: Errors) -> None:
    """A ControllerRevision carries data and a revision number."""
    if obj.get("data") is None:
        errors.required("data", "data is mandatory")
    if obj.get("revision", 0) < 0:
        errors.invalid("revision", obj["revision"], "must be greater than or equal to 0")
