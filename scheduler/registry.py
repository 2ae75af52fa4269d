"""The table of plugins, in the order in which Kubernetes asks them. A new plugin is a function and a row here."""

from __future__ import annotations

from scheduler.framework import NODE, Event, Plugin, Scope, highest_first, lowest_first
from scheduler.plugins import nodes, pod_affinity, resources, topology_spread, volumes

_FREED = Event.POD_DELETE | Event.POD_SHRINK
_POD = Event.POD_ADD | Event.POD_LABEL | Event.POD_DELETE

PLUGINS: tuple[Plugin, ...] = (
    Plugin("NodeUnschedulable", Scope.STATIC, filter=nodes.node_unschedulable, wakes=NODE),
    Plugin("NodeName", Scope.STATIC, filter=nodes.node_name, wakes=Event.NODE_ADD),
    Plugin(
        "TaintToleration",
        Scope.STATIC,
        weight=3,
        filter=nodes.taint_toleration,
        score=nodes.taint_score,
        normalize=lowest_first,
        wakes=NODE,
    ),
    Plugin(
        "NodeAffinity",
        Scope.STATIC,
        weight=2,
        narrow=nodes.affinity_names,
        filter=nodes.node_affinity,
        score=nodes.affinity_score,
        normalize=highest_first,
        wakes=NODE,
    ),
    Plugin("NodePorts", Scope.LOCAL, filter=resources.node_ports, wakes=NODE | Event.POD_DELETE),
    Plugin(
        "NodeResourcesFit",
        Scope.LOCAL,
        weight=1,
        filter=resources.fit,
        score=resources.fit_score,
        all_reasons=True,
        wakes=NODE | _FREED,
    ),
    Plugin(
        "VolumeRestrictions",
        Scope.GLOBAL,
        filters=volumes.has_claims,
        filter=volumes.restrictions,
        wakes=NODE | Event.POD_DELETE | Event.CLAIM,
    ),
    Plugin(
        "VolumeBinding",
        Scope.GLOBAL,
        filters=volumes.has_claims,
        prefilter=volumes.binding_prefilter,
        filter=volumes.binding,
        all_reasons=True,
        wakes=NODE | Event.CLAIM | Event.VOLUME | Event.STORAGE_CLASS,
        hint=volumes.binding_hint,
    ),
    Plugin(
        "VolumeZone",
        Scope.GLOBAL,
        filters=volumes.has_claims,
        filter=volumes.zone,
        wakes=NODE | Event.CLAIM | Event.VOLUME,
        hint=volumes.binding_hint,
    ),
    Plugin(
        "PodTopologySpread",
        Scope.GLOBAL,
        weight=2,
        filters=topology_spread.has_hard,
        filter=topology_spread.spread,
        scores=topology_spread.has_soft,
        score=topology_spread.spread_score,
        wakes=NODE | _POD,
        hint=topology_spread.spread_hint,
    ),
    Plugin(
        "InterPodAffinity",
        Scope.GLOBAL,
        weight=2,
        filters=pod_affinity.applies,
        filter=pod_affinity.pod_affinity,
        scores=pod_affinity.has_preferences,
        score=pod_affinity.affinity_score,
        wakes=NODE | _POD | Event.NAMESPACE,
        hint=pod_affinity.affinity_hint,
    ),
    Plugin("NodeResourcesBalancedAllocation", Scope.LOCAL, weight=1, score=resources.balanced),
    Plugin("ImageLocality", Scope.STATIC, weight=1, score=nodes.image_locality),
)

OTHERS = ("SchedulingGates", "PrioritySort", "DefaultPreemption", "DefaultBinder")
"""Names that a configuration may turn off (or, of the queue sort and the binder, name), and that are no functions over nodes:
see `scheduler.queue`, `scheduler.preemption` and `scheduler.binding`."""

BY_NAME = {plugin.name: plugin for plugin in PLUGINS}
