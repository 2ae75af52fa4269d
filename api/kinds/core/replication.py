"""ReplicationController."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from api.kinds.base import ATOMIC, LISTED, NON_NEGATIVE, Int32, Int64, MergeKey, Model, Time
from api.kinds.core.pod import PodTemplateSpec
from api.kinds.meta import Kind


class ReplicationControllerSpec(Model):
    """How many pods of which template."""

    minReadySeconds: Annotated[Int32 | None, NON_NEGATIVE] = None
    replicas: Annotated[Int32, NON_NEGATIVE] = 1
    selector: Annotated[dict[str, str] | None, ATOMIC] = None
    template: PodTemplateSpec | None = None


class ReplicationControllerCondition(Model):
    """One condition of a replication controller."""

    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: Annotated[str, LISTED] = ""
    type: Annotated[str, LISTED] = ""


class ReplicationControllerStatus(Model):
    """How many pods there are, ready and available."""

    availableReplicas: Int32 | None = None
    conditions: Annotated[list[ReplicationControllerCondition] | None, MergeKey("type")] = None
    fullyLabeledReplicas: Int32 | None = None
    observedGeneration: Int64 | None = None
    readyReplicas: Int32 | None = None
    replicas: Annotated[Int32, LISTED] = 0


class ReplicationController(Kind):
    """Keeps a number of like pods running; ReplicaSet is its successor."""

    spec: ReplicationControllerSpec = Field(default_factory=ReplicationControllerSpec)
    status: ReplicationControllerStatus = Field(default_factory=ReplicationControllerStatus)

    @model_validator(mode="after")
    def _default(self) -> Self:
        template = self.spec.template
        labels = template.metadata.labels if template and template.metadata else None
        if labels:
            self.spec.selector = self.spec.selector or dict(labels)
            self.metadata.labels = self.metadata.labels or dict(labels)
        return self
