"""The models of core.placement."""

from typing import Annotated

from api.kinds.base import ATOMIC, POSITIVE, REQUIRED, Bounds, Int32, Int64, Model, OneOf, Time
from api.kinds.meta import LabelSelector


class NodeSelectorRequirement(Model):
    """Node Selector Requirement."""

    key: Annotated[str | None, REQUIRED] = None
    operator: Annotated[str | None, REQUIRED] = None
    values: Annotated[list[str] | None, ATOMIC] = None


class NodeSelectorTerm(Model):
    """Node Selector Term."""

    ATOMIC = True

    matchExpressions: Annotated[list[NodeSelectorRequirement] | None, ATOMIC] = None
    matchFields: Annotated[list[NodeSelectorRequirement] | None, ATOMIC] = None


class NodeSelector(Model):
    """Node Selector."""

    ATOMIC = True

    nodeSelectorTerms: Annotated[list[NodeSelectorTerm] | None, ATOMIC, REQUIRED] = None


class PreferredSchedulingTerm(Model):
    """Preferred Scheduling Term."""

    preference: Annotated[NodeSelectorTerm | None, REQUIRED] = None
    weight: Annotated[Int32 | None, REQUIRED, Bounds(1, 100)] = None


class NodeAffinity(Model):
    """Node Affinity."""

    preferredDuringSchedulingIgnoredDuringExecution: Annotated[list[PreferredSchedulingTerm] | None, ATOMIC] = None
    requiredDuringSchedulingIgnoredDuringExecution: NodeSelector | None = None


class PodAffinityTerm(Model):
    """Pod Affinity Term."""

    labelSelector: LabelSelector | None = None
    matchLabelKeys: Annotated[list[str] | None, ATOMIC] = None
    mismatchLabelKeys: Annotated[list[str] | None, ATOMIC] = None
    namespaceSelector: LabelSelector | None = None
    namespaces: Annotated[list[str] | None, ATOMIC] = None
    topologyKey: Annotated[str | None, REQUIRED] = None


class WeightedPodAffinityTerm(Model):
    """Weighted Pod Affinity Term."""

    podAffinityTerm: Annotated[PodAffinityTerm | None, REQUIRED] = None
    weight: Annotated[Int32 | None, REQUIRED, Bounds(1, 100)] = None


class PodAffinity(Model):
    """Pod Affinity."""

    preferredDuringSchedulingIgnoredDuringExecution: Annotated[list[WeightedPodAffinityTerm] | None, ATOMIC] = None
    requiredDuringSchedulingIgnoredDuringExecution: Annotated[list[PodAffinityTerm] | None, ATOMIC] = None


class PodAntiAffinity(Model):
    """Pod Anti Affinity."""

    preferredDuringSchedulingIgnoredDuringExecution: Annotated[list[WeightedPodAffinityTerm] | None, ATOMIC] = None
    requiredDuringSchedulingIgnoredDuringExecution: Annotated[list[PodAffinityTerm] | None, ATOMIC] = None


class Affinity(Model):
    """Affinity."""

    nodeAffinity: NodeAffinity | None = None
    podAffinity: PodAffinity | None = None
    podAntiAffinity: PodAntiAffinity | None = None


class Taint(Model):
    """Taint."""

    effect: Annotated[str | None, REQUIRED, OneOf("NoSchedule", "PreferNoSchedule", "NoExecute")] = None
    key: Annotated[str | None, REQUIRED] = None
    timeAdded: Time | None = None
    value: str | None = None


class Toleration(Model):
    """Toleration."""

    effect: Annotated[str | None, OneOf("NoSchedule", "PreferNoSchedule", "NoExecute")] = None
    key: str | None = None
    operator: Annotated[str | None, OneOf("Equal", "Exists")] = None
    tolerationSeconds: Int64 | None = None
    value: str | None = None


class TopologySpreadConstraint(Model):
    """Topology Spread Constraint."""

    labelSelector: LabelSelector | None = None
    matchLabelKeys: Annotated[list[str] | None, ATOMIC] = None
    maxSkew: Annotated[Int32 | None, REQUIRED, POSITIVE] = None
    minDomains: Annotated[Int32 | None, POSITIVE] = None
    nodeAffinityPolicy: Annotated[str | None, OneOf("Honor", "Ignore")] = None
    nodeTaintsPolicy: Annotated[str | None, OneOf("Honor", "Ignore")] = None
    topologyKey: Annotated[str | None, REQUIRED] = None
    whenUnsatisfiable: Annotated[str | None, REQUIRED, OneOf("DoNotSchedule", "ScheduleAnyway")] = None


class TopologySelectorLabelRequirement(Model):
    """Topology Selector Label Requirement."""

    key: Annotated[str | None, REQUIRED] = None
    values: Annotated[list[str] | None, ATOMIC, REQUIRED] = None


class TopologySelectorTerm(Model):
    """Topology Selector Term."""

    ATOMIC = True

    matchLabelExpressions: Annotated[list[TopologySelectorLabelRequirement] | None, ATOMIC] = None


class VolumeNodeAffinity(Model):
    """Volume Node Affinity."""

    required: NodeSelector | None = None


class PodSchedulingGate(Model):
    """Pod Scheduling Gate."""

    name: Annotated[str | None, REQUIRED] = None


class PodSchedulingGroup(Model):
    """Pod Scheduling Group."""

    podGroupName: str | None = None
