"""The models of autoscaling_v1."""

from typing import Annotated

from pydantic import Field

from api.kinds.base import LISTED, NON_NEGATIVE, REQUIRED, Int32, Int64, Model, Time
from api.kinds.meta import Kind


class CrossVersionObjectReference(Model):
    """A reference: Cross Version Object."""

    ATOMIC = True

    apiVersion: str | None = None
    kind: str | None = None
    name: Annotated[str | None, REQUIRED] = None


class HorizontalPodAutoscalerSpecV1(Model):
    """Horizontal Pod Autoscaler Spec V1."""

    maxReplicas: Annotated[Int32 | None, LISTED] = None
    minReplicas: Int32 | None = None
    scaleTargetRef: Annotated[CrossVersionObjectReference | None, REQUIRED] = None
    targetCPUUtilizationPercentage: Int32 | None = None


class HorizontalPodAutoscalerStatusV1(Model):
    """Horizontal Pod Autoscaler Status V1."""

    currentCPUUtilizationPercentage: Int32 | None = None
    currentReplicas: Annotated[Int32 | None, LISTED] = None
    desiredReplicas: Annotated[Int32 | None, LISTED] = None
    lastScaleTime: Time | None = None
    observedGeneration: Int64 | None = None


class HorizontalPodAutoscalerV1(Kind):
    """Horizontal Pod Autoscaler V1."""

    spec: Annotated[HorizontalPodAutoscalerSpecV1, REQUIRED] = Field(default_factory=HorizontalPodAutoscalerSpecV1)
    status: HorizontalPodAutoscalerStatusV1 = Field(default_factory=HorizontalPodAutoscalerStatusV1)


class ScaleSpec(Model):
    """What is wanted of a Scale."""

    replicas: Annotated[Int32 | None, NON_NEGATIVE] = None


class ScaleStatus(Model):
    """What has been observed of a Scale."""

    replicas: Annotated[Int32 | None, LISTED] = None
    selector: str | None = None


class Scale(Kind):
    """Scale."""

    spec: ScaleSpec = Field(default_factory=ScaleSpec)
    status: ScaleStatus = Field(default_factory=ScaleStatus)
