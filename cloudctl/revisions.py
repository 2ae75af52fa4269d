"""The revisions of a workload: a Deployment's ReplicaSets, a DaemonSet's or StatefulSet's ControllerRevisions."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from api import meta
from api.types import Object
from cloudctl.faults import Fault

REVISION = "deployment.kubernetes.io/revision"
CAUSE = "kubernetes.io/change-cause"
HASH = "pod-template-hash"


@dataclass(frozen=True)
class Revision:
    """One state that the pod template has had."""

    number: int
    template: Object
    cause: str


def of_replica_sets(owned: list[Object]) -> dict[int, Revision]:
    """By number; ReplicaSets without a number are too young to have one."""
    found = {}
    for item in owned:
        number = meta.annotations(item).get(REVISION, "")
        if number.isdigit():
            template = copy.deepcopy(item["spec"]["template"])
            (template["metadata"].get("labels") or {}).pop(HASH, None)
            found[int(number)] = Revision(int(number), template, meta.annotations(item).get(CAUSE, ""))
    return found


def of_controller_revisions(owned: list[Object]) -> dict[int, Revision]:
    """By number; the data of a ControllerRevision is a patch whose `$patch` directive replaces the template."""
    found = {}
    for item in owned:
        template = copy.deepcopy(item["data"]["spec"]["template"])
        template.pop("$patch", None)
        found[int(item["revision"])] = Revision(int(item["revision"]), template, meta.annotations(item).get(CAUSE, ""))
    return found


def goal(found: dict[int, Revision], wanted: int) -> Revision:
    """The revision to return to: the one asked for, or for 0 the last but one. Raises Fault."""
    if wanted:
        if wanted not in found:
            raise Fault(f"unable to find specified revision {wanted} in history")
        return found[wanted]
    if len(found) < 2:
        raise Fault("no rollout history found to go back to")
    return found[sorted(found)[-2]]


def same_template(one: Object, other: Object) -> bool:
    """Whether two pod templates are equal but for empty values."""
    return bool(_plain(one) == _plain(other))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if v not in (None, {}, [], "")}
    return [_plain(v) for v in value] if isinstance(value, list) else value


def show(number: int, revision: Revision) -> str:
    """A revision's pod template in a few lines."""
    lines = [f"with revision #{number}", "Pod Template:"]
    labels = revision.template.get("metadata", {}).get("labels") or {}
    lines.append("  Labels:\t" + ",".join(f"{k}={v}" for k, v in sorted(labels.items())))
    lines.append("  Containers:")
    for container in revision.template["spec"].get("containers") or ():
        lines += [f"   {container['name']}:", f"    Image:\t{container.get('image', '')}"]
        for port in container.get("ports") or ():
            lines.append(f"    Port:\t{port['containerPort']}/{port.get('protocol', 'TCP')}")
        for variable in container.get("env") or ():
            lines.append(f"    {variable['name']}:\t{variable.get('value', '')}")
    return "\n".join(lines).expandtabs(4)
