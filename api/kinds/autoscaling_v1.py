"""Kinds of the group autoscaling, version 1: Scale, and the autoscaler that knows CPU alone."""

from typing import Annotated

from pydantic import Field

from api.kinds.base import LISTED, NON_NEGATIVE, REQUIRED, Int32, Int64, Model, Time
from api.kinds.meta import Kind


class CrossVersionObjectReference(Model):
    """An object by kind and name, of whatever version."""

    ATOMIC_MAP = True

    apiVersion: str | None = None
    kind: Annotated[str | None, REQUIRED] = None
    name: Annotated[str | None, REQUIRED] = None


class HorizontalPodAutoscalerSpecV1(Model):
    """What is scaled, between which bounds, to which CPU use."""

    maxReplicas: Annotated[Int32, LISTED] = 0
    minReplicas: Int32 | None = None
    scaleTargetRef: Annotated[CrossVersionObjectReference | None, REQUIRED] = None
    targetCPUUtilizationPercentage: Int32 | None = None


class HorizontalPodAutoscalerStatusV1(Model):
    """What the autoscaler sees and wants."""

    currentCPUUtilizationPercentage: Int32 | None = None
    currentReplicas: Annotated[Int32, LISTED] = 0
    desiredReplicas: Annotated[Int32, LISTED] = 0
    lastScaleTime: Time | None = None
    observedGeneration: Int64 | None = None


class HorizontalPodAutoscalerV1(Kind):
    """Changes a number of pods as their CPU use rises and falls."""

    spec: Annotated[HorizontalPodAutoscalerSpecV1, REQUIRED] = Field(default_factory=HorizontalPodAutoscalerSpecV1)
    status: HorizontalPodAutoscalerStatusV1 = Field(default_factory=HorizontalPodAutoscalerStatusV1)


class ScaleSpec(Model):
    """The wanted number of pods."""

    replicas: Annotated[Int32 | None, NON_NEGATIVE] = None


class ScaleStatus(Model):
    """The present number of pods, and their selector."""

    replicas: Annotated[Int32, LISTED] = 0
    selector: str | None = None


class Scale(Kind):
    """The number of pods of anything that can be scaled."""

    spec: ScaleSpec = Field(default_factory=ScaleSpec)
    status: ScaleStatus = Field(default_factory=ScaleStatus)
