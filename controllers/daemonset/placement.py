"""Which nodes a DaemonSet's pods belong on, and what pins a pod to its node. Pure.

Source: the Kubernetes documentation, "DaemonSet: How Daemon Pods are scheduled".
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

from api import meta
from api.selectors import Requirement
from api.types import Object, Resource
from controllers.nodes.taints import taints_of, untolerated
from controllers.podstate import node_of
from controllers.templates import REVISION_LABEL, pod_from

_NODE_FIELD = "metadata.name"
_ALWAYS_TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_HOST_NETWORK = ("node.kubernetes.io/network-unavailable", "NoSchedule")
_TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def tolerations(spec: Object) -> list[Object]:
    """The template's tolerations and those that every daemon pod has."""
    wanted = [*_ALWAYS_TOLERATED, _HOST_NETWORK] if spec.get("hostNetwork") else list(_ALWAYS_TOLERATED)
    present = [dict(t) for t in spec.get("tolerations") or ()]
    for key, effect in wanted:
        toleration = {"key": key, "operator": "Exists", "effect": effect}
        same = [t for t in present if t.get("key") == key and t.get("effect") == effect]
        present = [t for t in present if t not in same] + [toleration]
    return present


def pinned(affinity: Object | None, node: str) -> Object:
    """The affinity with its required node terms replaced by: exactly this node."""
    wanted: Object = copy.deepcopy(affinity or {})
    term = {"matchFields": [{"key": _NODE_FIELD, "operator": "In", "values": [node]}]}
    wanted.setdefault("nodeAffinity", {})["requiredDuringSchedulingIgnoredDuringExecution"] = {
        "nodeSelectorTerms": [term]
    }
    return wanted


def pod_for(resource: Resource, daemon: Object, digest: str, node: str) -> Object:
    """The pod to create for a node."""
    pod = pod_from(daemon["spec"]["template"], resource, daemon)
    labels = pod["metadata"].setdefault("labels", {})
    labels[REVISION_LABEL] = digest
    if generation := meta.annotations(daemon).get(_TEMPLATE_GENERATION):
        labels["pod-template-generation"] = generation
    pod["spec"]["tolerations"] = tolerations(pod["spec"])
    pod["spec"]["affinity"] = pinned(pod["spec"].get("affinity"), node)
    return pod


def target_of(pod: Object) -> str:
    """The node a daemon pod is bound or pinned to, empty if none can be told."""
    if name := node_of(pod):
        return name
    required = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    ) or {}
    for term in required.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if (
                field.get("key") == _NODE_FIELD
                and field.get("operator") == "In"
                and len(field.get("values") or ()) == 1
            ):
                return str(field["values"][0])
    return ""


def _holds(expressions: Sequence[Object], values: Mapping[str, str]) -> bool:
    return all(
        Requirement(e["key"], e["operator"], frozenset(e.get("values") or ())).matches(values) for e in expressions
    )


def affine(spec: Object, node: Object) -> bool:
    """Whether nodeSelector and required node affinity of a pod spec admit the node."""
    labels = meta.labels(node)
    if any(labels.get(k) != v for k, v in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    fields = {_NODE_FIELD: meta.name(node)}
    for term in required.get("nodeSelectorTerms") or ():
        expressions, names = term.get("matchExpressions") or (), term.get("matchFields") or ()
        if (expressions or names) and _holds(expressions, labels) and _holds(names, fields):
            return True
    return False


def eligible(daemon: Object, node: Object) -> tuple[bool, bool]:
    """(should a pod be started on the node, may one that runs there stay)."""
    spec = daemon["spec"]["template"]["spec"]
    if spec.get("nodeName") and spec["nodeName"] != meta.name(node):
        return False, False
    if not affine(spec, node):
        return False, False
    repelling = [t for t in taints_of(node) if t.get("effect") in ("NoSchedule", "NoExecute")]
    refused = untolerated(repelling, tolerations(spec))
    return not refused, not any(t.get("effect") == "NoExecute" for t in refused)
