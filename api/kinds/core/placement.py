"""Where pods run: selectors, affinities, taints, spread."""

from typing import Annotated

from api.kinds.base import ATOMIC, POSITIVE, REQUIRED, Bounds, Int32, Int64, Model, OneOf, Time
from api.kinds.meta import LabelSelector


class NodeSelectorRequirement(Model):
    """One requirement on a node's labels or fields."""

    key: Annotated[str | None, REQUIRED] = None
    operator: Annotated[str | None, REQUIRED] = None
    values: Annotated[list[str] | None, ATOMIC] = None


class NodeSelectorTerm(Model):
    """Requirements on a node that must all be met."""

    ATOMIC_MAP = True

    matchExpressions: Annotated[list[NodeSelectorRequirement] | None, ATOMIC] = None
    matchFields: Annotated[list[NodeSelectorRequirement] | None, ATOMIC] = None


class NodeSelector(Model):
    """Terms of which a node must meet one."""

    ATOMIC_MAP = True

    nodeSelectorTerms: Annotated[list[NodeSelectorTerm] | None, ATOMIC, REQUIRED] = None


class PreferredSchedulingTerm(Model):
    """A wish for a node, with a weight."""

    preference: Annotated[NodeSelectorTerm | None, REQUIRED] = None
    weight: Annotated[Int32 | None, REQUIRED, Bounds(1, 100)] = None


class NodeAffinity(Model):
    """On which nodes a pod must or should run."""

    preferredDuringSchedulingIgnoredDuringExecution: Annotated[list[PreferredSchedulingTerm] | None, ATOMIC] = None
    requiredDuringSchedulingIgnoredDuringExecution: NodeSelector | None = None


class PodAffinityTerm(Model):
    """Pods near which, or away from which, a pod is to run."""

    labelSelector: LabelSelector | None = None
    matchLabelKeys: Annotated[list[str] | None, ATOMIC] = None
    mismatchLabelKeys: Annotated[list[str] | None, ATOMIC] = None
    namespaceSelector: LabelSelector | None = None
    namespaces: Annotated[list[str] | None, ATOMIC] = None
    topologyKey: Annotated[str | None, REQUIRED] = None


class WeightedPodAffinityTerm(Model):
    """A wish about other pods, with a weight."""

    podAffinityTerm: Annotated[PodAffinityTerm | None, REQUIRED] = None
    weight: Annotated[Int32 | None, REQUIRED, Bounds(1, 100)] = None


class PodAffinity(Model):
    """Near which pods a pod must or should run."""

    preferredDuringSchedulingIgnoredDuringExecution: Annotated[list[WeightedPodAffinityTerm] | None, ATOMIC] = None
    requiredDuringSchedulingIgnoredDuringExecution: Annotated[list[PodAffinityTerm] | None, ATOMIC] = None


class PodAntiAffinity(Model):
    """Away from which pods a pod must or should run."""

    preferredDuringSchedulingIgnoredDuringExecution: Annotated[list[WeightedPodAffinityTerm] | None, ATOMIC] = None
    requiredDuringSchedulingIgnoredDuringExecution: Annotated[list[PodAffinityTerm] | None, ATOMIC] = None


class Affinity(Model):
    """Where a pod must or should run."""

    nodeAffinity: NodeAffinity | None = None
    podAffinity: PodAffinity | None = None
    podAntiAffinity: PodAntiAffinity | None = None


class Taint(Model):
    """A mark on a node that keeps off pods which do not tolerate it."""

    effect: Annotated[str | None, REQUIRED, OneOf("NoSchedule", "PreferNoSchedule", "NoExecute")] = None
    key: Annotated[str | None, REQUIRED] = None
    timeAdded: Time | None = None
    value: str | None = None


class Toleration(Model):
    """A taint that a pod puts up with."""

    effect: Annotated[str | None, OneOf("NoSchedule", "PreferNoSchedule", "NoExecute")] = None
    key: str | None = None
    operator: Annotated[str | None, OneOf("Equal", "Exists")] = None
    tolerationSeconds: Int64 | None = None
    value: str | None = None


class TopologySpreadConstraint(Model):
    """How evenly pods are spread over zones, nodes or other domains."""

    labelSelector: LabelSelector | None = None
    matchLabelKeys: Annotated[list[str] | None, ATOMIC] = None
    maxSkew: Annotated[Int32 | None, REQUIRED, POSITIVE] = None
    minDomains: Annotated[Int32 | None, POSITIVE] = None
    nodeAffinityPolicy: Annotated[str | None, OneOf("Honor", "Ignore")] = None
    nodeTaintsPolicy: Annotated[str | None, OneOf("Honor", "Ignore")] = None
    topologyKey: Annotated[str | None, REQUIRED] = None
    whenUnsatisfiable: Annotated[str | None, REQUIRED, OneOf("DoNotSchedule", "ScheduleAnyway")] = None


class TopologySelectorLabelRequirement(Model):
    """A label and the values it may have."""

    key: Annotated[str | None, REQUIRED] = None
    values: Annotated[list[str] | None, ATOMIC, REQUIRED] = None


class TopologySelectorTerm(Model):
    """Labels that a volume's place must have."""

    ATOMIC_MAP = True

    matchLabelExpressions: Annotated[list[TopologySelectorLabelRequirement] | None, ATOMIC] = None


class VolumeNodeAffinity(Model):
    """From which nodes a volume can be reached."""

    required: NodeSelector | None = None


class PodSchedulingGate(Model):
    """Something that must be cleared before a pod is scheduled."""

    name: Annotated[str | None, REQUIRED] = None


class PodSchedulingGroup(Model):
    """The group with which a pod is scheduled."""

    podGroupName: str | None = None
