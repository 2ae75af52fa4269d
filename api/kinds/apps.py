"""The models of apps."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from api.kinds.base import (
    ATOMIC,
    IMMUTABLE,
    LISTED,
    NON_NEGATIVE,
    REQUIRED,
    RETAIN_KEYS,
    Int32,
    Int64,
    IntOrString,
    JsonObject,
    MergeKey,
    Model,
    OneOf,
    Time,
)
from api.kinds.core.pod import PodTemplateSpec
from api.kinds.core.storage import PersistentVolumeClaim
from api.kinds.meta import Kind, LabelSelector


class ControllerRevision(Kind):
    """Controller Revision."""

    data: Annotated[JsonObject | None, IMMUTABLE] = None
    revision: Annotated[Int64 | None, LISTED] = None


class RollingUpdateDaemonSet(Model):
    """Rolling Update Daemon Set."""

    maxSurge: IntOrString = 0
    maxUnavailable: IntOrString = 1


class DaemonSetUpdateStrategy(Model):
    """Daemon Set Update Strategy."""

    rollingUpdate: RollingUpdateDaemonSet | None = None
    type: Annotated[str, OneOf("OnDelete", "RollingUpdate")] = "RollingUpdate"

    @model_validator(mode="after")
    def _default(self) -> Self:
        if self.type == "RollingUpdate" and self.rollingUpdate is None:
            self.rollingUpdate = RollingUpdateDaemonSet()
        return self


class DaemonSetSpec(Model):
    """What is wanted of a Daemon Set."""

    minReadySeconds: Annotated[Int32 | None, NON_NEGATIVE] = None
    revisionHistoryLimit: Annotated[Int32, NON_NEGATIVE] = 10
    selector: Annotated[LabelSelector | None, REQUIRED, IMMUTABLE] = None
    template: Annotated[PodTemplateSpec | None, REQUIRED] = None
    updateStrategy: DaemonSetUpdateStrategy = Field(default_factory=DaemonSetUpdateStrategy)


class DaemonSetCondition(Model):
    """One condition of a Daemon Set."""

    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: Annotated[str | None, LISTED] = None
    type: Annotated[str | None, LISTED] = None


class DaemonSetStatus(Model):
    """What has been observed of a Daemon Set."""

    collisionCount: Int32 | None = None
    conditions: Annotated[list[DaemonSetCondition] | None, MergeKey("type")] = None
    currentNumberScheduled: Annotated[Int32 | None, LISTED] = None
    desiredNumberScheduled: Annotated[Int32 | None, LISTED] = None
    numberAvailable: Int32 | None = None
    numberMisscheduled: Annotated[Int32 | None, LISTED] = None
    numberReady: Annotated[Int32 | None, LISTED] = None
    numberUnavailable: Int32 | None = None
    observedGeneration: Int64 | None = None
    updatedNumberScheduled: Int32 | None = None


class DaemonSet(Kind):
    """Daemon Set."""

    spec: DaemonSetSpec = Field(default_factory=DaemonSetSpec)
    status: DaemonSetStatus = Field(default_factory=DaemonSetStatus)


class RollingUpdateDeployment(Model):
    """Rolling Update Deployment."""

    maxSurge: IntOrString = "25%"
    maxUnavailable: IntOrString = "25%"


class DeploymentStrategy(Model):
    """Deployment Strategy."""

    rollingUpdate: RollingUpdateDeployment | None = None
    type: Annotated[str, OneOf("Recreate", "RollingUpdate")] = "RollingUpdate"

    @model_validator(mode="after")
    def _default(self) -> Self:
        if self.type == "RollingUpdate" and self.rollingUpdate is None:
            self.rollingUpdate = RollingUpdateDeployment()
        return self


class DeploymentSpec(Model):
    """What is wanted of a Deployment."""

    minReadySeconds: Annotated[Int32 | None, NON_NEGATIVE] = None
    paused: bool | None = None
    progressDeadlineSeconds: Annotated[Int32, NON_NEGATIVE] = 600
    replicas: Annotated[Int32, NON_NEGATIVE] = 1
    revisionHistoryLimit: Annotated[Int32, NON_NEGATIVE] = 10
    selector: Annotated[LabelSelector | None, REQUIRED, IMMUTABLE] = None
    strategy: Annotated[DeploymentStrategy, RETAIN_KEYS] = Field(default_factory=DeploymentStrategy)
    template: Annotated[PodTemplateSpec | None, REQUIRED] = None


class DeploymentCondition(Model):
    """One condition of a Deployment."""

    lastTransitionTime: Time | None = None
    lastUpdateTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: Annotated[str | None, LISTED] = None
    type: Annotated[str | None, LISTED] = None


class DeploymentStatus(Model):
    """What has been observed of a Deployment."""

    availableReplicas: Int32 | None = None
    collisionCount: Int32 | None = None
    conditions: Annotated[list[DeploymentCondition] | None, MergeKey("type")] = None
    observedGeneration: Int64 | None = None
    readyReplicas: Int32 | None = None
    replicas: Int32 | None = None
    terminatingReplicas: Int32 | None = None
    unavailableReplicas: Int32 | None = None
    updatedReplicas: Int32 | None = None


class Deployment(Kind):
    """Deployment."""

    spec: DeploymentSpec = Field(default_factory=DeploymentSpec)
    status: DeploymentStatus = Field(default_factory=DeploymentStatus)


class ReplicaSetSpec(Model):
    """What is wanted of a Replica Set."""

    minReadySeconds: Annotated[Int32 | None, NON_NEGATIVE] = None
    replicas: Annotated[Int32, NON_NEGATIVE] = 1
    selector: Annotated[LabelSelector | None, REQUIRED, IMMUTABLE] = None
    template: PodTemplateSpec | None = None


class ReplicaSetCondition(Model):
    """One condition of a Replica Set."""

    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: Annotated[str | None, LISTED] = None
    type: Annotated[str | None, LISTED] = None


class ReplicaSetStatus(Model):
    """What has been observed of a Replica Set."""

    availableReplicas: Int32 | None = None
    conditions: Annotated[list[ReplicaSetCondition] | None, MergeKey("type")] = None
    fullyLabeledReplicas: Int32 | None = None
    observedGeneration: Int64 | None = None
    readyReplicas: Int32 | None = None
    replicas: Annotated[Int32 | None, LISTED] = None
    terminatingReplicas: Int32 | None = None


class ReplicaSet(Kind):
    """Replica Set."""

    spec: ReplicaSetSpec = Field(default_factory=ReplicaSetSpec)
    status: ReplicaSetStatus = Field(default_factory=ReplicaSetStatus)


class RollingUpdateStatefulSetStrategy(Model):
    """Rolling Update Stateful Set Strategy."""

    maxUnavailable: IntOrString | None = None
    partition: Annotated[Int32, NON_NEGATIVE] = 0


class StatefulSetOrdinals(Model):
    """Stateful Set Ordinals."""

    start: Int32 | None = None


class StatefulSetPersistentVolumeClaimRetentionPolicy(Model):
    """Stateful Set Persistent Volume Claim Retention Policy."""

    whenDeleted: Annotated[str, OneOf("Delete", "Retain")] = "Retain"
    whenScaled: Annotated[str, OneOf("Delete", "Retain")] = "Retain"


class StatefulSetUpdateStrategy(Model):
    """Stateful Set Update Strategy."""

    rollingUpdate: RollingUpdateStatefulSetStrategy | None = None
    type: Annotated[str, OneOf("OnDelete", "RollingUpdate")] = "RollingUpdate"

    @model_validator(mode="after")
    def _default(self) -> Self:
        if self.type == "RollingUpdate" and self.rollingUpdate is None:
            self.rollingUpdate = RollingUpdateStatefulSetStrategy()
        return self


class StatefulSetSpec(Model):
    """What is wanted of a Stateful Set."""

    minReadySeconds: Annotated[Int32 | None, NON_NEGATIVE] = None
    ordinals: StatefulSetOrdinals | None = None
    persistentVolumeClaimRetentionPolicy: StatefulSetPersistentVolumeClaimRetentionPolicy = Field(
        default_factory=StatefulSetPersistentVolumeClaimRetentionPolicy
    )
    podManagementPolicy: Annotated[str, OneOf("OrderedReady", "Parallel")] = "OrderedReady"
    replicas: Annotated[Int32, NON_NEGATIVE] = 1
    revisionHistoryLimit: Annotated[Int32, NON_NEGATIVE] = 10
    selector: Annotated[LabelSelector | None, LISTED] = None
    serviceName: str | None = None
    template: Annotated[PodTemplateSpec | None, LISTED] = None
    updateStrategy: StatefulSetUpdateStrategy = Field(default_factory=StatefulSetUpdateStrategy)
    volumeClaimTemplates: Annotated[list[PersistentVolumeClaim] | None, ATOMIC] = None


class StatefulSetCondition(Model):
    """One condition of a Stateful Set."""

    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: Annotated[str | None, LISTED] = None
    type: Annotated[str | None, LISTED] = None


class StatefulSetStatus(Model):
    """What has been observed of a Stateful Set."""

    availableReplicas: Int32 | None = None
    collisionCount: Int32 | None = None
    conditions: Annotated[list[StatefulSetCondition] | None, MergeKey("type")] = None
    currentReplicas: Int32 | None = None
    currentRevision: str | None = None
    observedGeneration: Int64 | None = None
    readyReplicas: Int32 | None = None
    replicas: Annotated[Int32 | None, LISTED] = None
    updateRevision: str | None = None
    updatedReplicas: Int32 | None = None


class StatefulSet(Kind):
    """Stateful Set."""

    spec: StatefulSetSpec = Field(default_factory=StatefulSetSpec)
    status: StatefulSetStatus = Field(default_factory=StatefulSetStatus)
