"""The models of policy."""

from typing import Annotated

from pydantic import Field

from api.kinds.base import ATOMIC, Int32, Int64, IntOrString, MergeKey, Model, OneOf, Time
from api.kinds.meta import Condition, DeleteOptions, Kind, LabelSelector


class Eviction(Kind):
    """Eviction."""

    deleteOptions: DeleteOptions | None = None


class PodDisruptionBudgetSpec(Model):
    """What is wanted of a Pod Disruption Budget."""

    maxUnavailable: IntOrString | None = None
    minAvailable: IntOrString | None = None
    selector: Annotated[LabelSelector | None, ATOMIC] = None
    unhealthyPodEvictionPolicy: Annotated[str | None, OneOf("AlwaysAllow", "IfHealthyBudget")] = None


class PodDisruptionBudgetStatus(Model):
    """What has been observed of a Pod Disruption Budget."""

    conditions: Annotated[list[Condition] | None, MergeKey("type")] = None
    currentHealthy: Int32 | None = None
    desiredHealthy: Int32 | None = None
    disruptedPods: dict[str, Time] | None = None
    disruptionsAllowed: Int32 | None = None
    expectedPods: Int32 | None = None
    observedGeneration: Int64 | None = None


class PodDisruptionBudget(Kind):
    """Pod Disruption Budget."""

    spec: PodDisruptionBudgetSpec = Field(default_factory=PodDisruptionBudgetSpec)
    status: PodDisruptionBudgetStatus = Field(default_factory=PodDisruptionBudgetStatus)
