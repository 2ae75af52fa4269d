"""Kinds of the group autoscaling, version 2; version 1 is beside it and re-exported."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from api.kinds.autoscaling_v1 import HorizontalPodAutoscalerV1, Scale
from api.kinds.base import ATOMIC, LISTED, REQUIRED, Int32, Int64, MergeKey, Model, OneOf, Quantity, Time
from api.kinds.meta import Kind, LabelSelector


class MetricTarget(Model):
    """The value at which a metric is to be held."""

    averageUtilization: Int32 | None = None
    averageValue: Quantity | None = None
    type: Annotated[str | None, REQUIRED, OneOf("AverageValue", "Utilization", "Value")] = None
    value: Quantity | None = None


class ContainerResourceMetricSource(Model):
    """A resource that one container of each pod uses."""

    container: Annotated[str | None, REQUIRED] = None
    name: Annotated[str | None, REQUIRED] = None
    target: Annotated[MetricTarget | None, REQUIRED] = None


class MetricValueStatus(Model):
    """The present value of a metric."""

    averageUtilization: Int32 | None = None
    averageValue: Quantity | None = None
    value: Quantity | None = None


class ContainerResourceMetricStatus(Model):
    """The present use of a resource by one container of each pod."""

    container: Annotated[str, LISTED] = ""
    current: Annotated[MetricValueStatus | None, LISTED] = None
    name: Annotated[str, LISTED] = ""


class CrossVersionObjectReference(Model):
    """An object by kind and name, of whatever version."""

    apiVersion: str | None = None
    kind: Annotated[str | None, REQUIRED] = None
    name: Annotated[str | None, REQUIRED] = None


class MetricIdentifier(Model):
    """A metric by name and labels."""

    name: Annotated[str | None, REQUIRED] = None
    selector: LabelSelector | None = None


class ExternalMetricSource(Model):
    """A metric from outside the cluster."""

    metric: Annotated[MetricIdentifier | None, REQUIRED] = None
    target: Annotated[MetricTarget | None, REQUIRED] = None


class ExternalMetricStatus(Model):
    """The present value of a metric from outside the cluster."""

    current: Annotated[MetricValueStatus | None, LISTED] = None
    metric: Annotated[MetricIdentifier | None, LISTED] = None


class HPAScalingPolicy(Model):
    """How much a number of pods may change in a time."""

    periodSeconds: Annotated[Int32, LISTED] = 0
    type: Annotated[str | None, REQUIRED, OneOf("Percent", "Pods")] = None
    value: Annotated[Int32, LISTED] = 0


class HPAScalingRules(Model):
    """How fast a number of pods may change in one direction."""

    policies: Annotated[list[HPAScalingPolicy] | None, ATOMIC] = None
    selectPolicy: Annotated[str | None, OneOf("Disabled", "Max", "Min")] = None
    stabilizationWindowSeconds: Int32 | None = None
    tolerance: Quantity | None = None


class HorizontalPodAutoscalerBehavior(Model):
    """How fast an autoscaler goes up and down."""

    scaleDown: HPAScalingRules | None = None
    scaleUp: HPAScalingRules | None = None


class ObjectMetricSource(Model):
    """A metric of one object."""

    describedObject: Annotated[CrossVersionObjectReference | None, REQUIRED] = None
    metric: Annotated[MetricIdentifier | None, REQUIRED] = None
    target: Annotated[MetricTarget | None, REQUIRED] = None


class PodsMetricSource(Model):
    """A metric averaged over the pods."""

    metric: Annotated[MetricIdentifier | None, REQUIRED] = None
    target: Annotated[MetricTarget | None, REQUIRED] = None


class ResourceMetricSource(Model):
    """A resource that the pods use."""

    name: Annotated[str | None, REQUIRED] = None
    target: Annotated[MetricTarget | None, REQUIRED] = None


class MetricSpec(Model):
    """One metric and the value at which it is to be held."""

    containerResource: ContainerResourceMetricSource | None = None
    external: ExternalMetricSource | None = None
    object: ObjectMetricSource | None = None
    pods: PodsMetricSource | None = None
    resource: ResourceMetricSource | None = None
    type: Annotated[str | None, REQUIRED, OneOf("ContainerResource", "External", "Object", "Pods", "Resource")] = None


def _rules(given: HPAScalingRules | None, window: int | None, policies: list[tuple[str, int]]) -> HPAScalingRules:
    rules = given or HPAScalingRules()
    if rules.stabilizationWindowSeconds is None:
        rules.stabilizationWindowSeconds = window
    rules.selectPolicy = rules.selectPolicy or "Max"
    if not rules.policies:
        rules.policies = [HPAScalingPolicy(type=kind, value=value, periodSeconds=15) for kind, value in policies]
    return rules


class HorizontalPodAutoscalerSpec(Model):
    """What is scaled, between which bounds, by which metrics."""

    behavior: HorizontalPodAutoscalerBehavior | None = None
    maxReplicas: Annotated[Int32, LISTED] = 0
    metrics: Annotated[list[MetricSpec] | None, ATOMIC] = None
    minReplicas: Int32 = 1
    scaleTargetRef: Annotated[CrossVersionObjectReference | None, REQUIRED] = None

    @model_validator(mode="after")
    def _default(self) -> Self:
        if not self.metrics:
            cpu = ResourceMetricSource(name="cpu", target=MetricTarget(type="Utilization", averageUtilization=80))
            self.metrics = [MetricSpec(type="Resource", resource=cpu)]
        if self.behavior:
            self.behavior.scaleUp = _rules(self.behavior.scaleUp, 0, [("Pods", 4), ("Percent", 100)])
            self.behavior.scaleDown = _rules(self.behavior.scaleDown, None, [("Percent", 100)])
        return self


class HorizontalPodAutoscalerCondition(Model):
    """One condition of an autoscaler."""

    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: Annotated[str, LISTED] = ""
    type: Annotated[str, LISTED] = ""


class ObjectMetricStatus(Model):
    """The present value of a metric of one object."""

    current: Annotated[MetricValueStatus | None, LISTED] = None
    describedObject: Annotated[CrossVersionObjectReference | None, LISTED] = None
    metric: Annotated[MetricIdentifier | None, LISTED] = None


class PodsMetricStatus(Model):
    """The present value of a metric averaged over the pods."""

    current: Annotated[MetricValueStatus | None, LISTED] = None
    metric: Annotated[MetricIdentifier | None, LISTED] = None


class ResourceMetricStatus(Model):
    """The present use of a resource by the pods."""

    current: Annotated[MetricValueStatus | None, LISTED] = None
    name: Annotated[str, LISTED] = ""


class MetricStatus(Model):
    """The present value of one metric."""

    containerResource: ContainerResourceMetricStatus | None = None
    external: ExternalMetricStatus | None = None
    object: ObjectMetricStatus | None = None
    pods: PodsMetricStatus | None = None
    resource: ResourceMetricStatus | None = None
    type: Annotated[str, LISTED] = ""


class HorizontalPodAutoscalerStatus(Model):
    """What the autoscaler sees and wants."""

    conditions: Annotated[list[HorizontalPodAutoscalerCondition] | None, MergeKey("type")] = None
    currentMetrics: Annotated[list[MetricStatus] | None, ATOMIC] = None
    currentReplicas: Int32 | None = None
    desiredReplicas: Annotated[Int32, LISTED] = 0
    lastScaleTime: Time | None = None
    observedGeneration: Int64 | None = None


class HorizontalPodAutoscaler(Kind):
    """Changes a number of pods as metrics rise and fall."""

    spec: Annotated[HorizontalPodAutoscalerSpec, REQUIRED] = Field(default_factory=HorizontalPodAutoscalerSpec)
    status: HorizontalPodAutoscalerStatus = Field(default_factory=HorizontalPodAutoscalerStatus)


__all__ = ["HorizontalPodAutoscaler", "HorizontalPodAutoscalerV1", "Scale"]
