"""Kinds of the group policy: disruption budgets and eviction."""

from typing import Annotated

from pydantic import Field

from api.kinds.base import REPLACE, Int32, Int64, IntOrString, MergeKey, Model, OneOf, Time
from api.kinds.meta import Condition, DeleteOptions, Kind, LabelSelector


class Eviction(Kind):
    """Asks that a pod go, if its disruption budget allows."""

    deleteOptions: DeleteOptions | None = None


class PodDisruptionBudgetSpec(Model):
    """How many pods must stay."""

    maxUnavailable: IntOrString | None = None
    minAvailable: IntOrString | None = None
    selector: Annotated[LabelSelector | None, REPLACE] = None
    unhealthyPodEvictionPolicy: Annotated[str | None, OneOf("AlwaysAllow", "IfHealthyBudget")] = None


class PodDisruptionBudgetStatus(Model):
    """How many pods may go now."""

    conditions: Annotated[list[Condition] | None, MergeKey("type")] = None
    currentHealthy: Int32 = 0
    desiredHealthy: Int32 = 0
    disruptedPods: dict[str, Time] | None = None
    disruptionsAllowed: Int32 = 0
    expectedPods: Int32 = 0
    observedGeneration: Int64 | None = None


class PodDisruptionBudget(Kind):
    """Limits how many pods of a set are taken down at a time."""

    spec: PodDisruptionBudgetSpec = Field(default_factory=PodDisruptionBudgetSpec)
    status: PodDisruptionBudgetStatus = Field(default_factory=PodDisruptionBudgetStatus)
