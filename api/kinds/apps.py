"""Kinds of the group apps: what keeps pods running."""

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
    """An earlier state of a controller's template, kept for rolling back."""

    data: Annotated[JsonObject | None, IMMUTABLE] = None
    revision: Annotated[Int64, LISTED] = 0


class RollingUpdateDaemonSet(Model):
    """How many nodes a rolling update touches at a time."""

    maxSurge: IntOrString = 0
    maxUnavailable: IntOrString = 1


class DaemonSetUpdateStrategy(Model):
    """How pods are replaced when the template changes."""

    rollingUpdate: RollingUpdateDaemonSet | None = None
    type: Annotated[str, OneOf("OnDelete", "RollingUpdate")] = "RollingUpdate"

    @model_validator(mode="after")
    def _default(self) -> Self:
        if self.type == "RollingUpdate" and self.rollingUpdate is None:
            self.rollingUpdate = RollingUpdateDaemonSet()
        return self


class DaemonSetSpec(Model):
    """Which pod runs on every node, and how it is updated."""

    minReadySeconds: Annotated[Int32 | None, NON_NEGATIVE] = None
    revisionHistoryLimit: Annotated[Int32, NON_NEGATIVE] = 10
    selector: Annotated[LabelSelector | None, REQUIRED, IMMUTABLE] = None
    template: Annotated[PodTemplateSpec | None, REQUIRED] = None
    updateStrategy: DaemonSetUpdateStrategy = Field(default_factory=DaemonSetUpdateStrategy)


class DaemonSetCondition(Model):
    """One condition of a daemon set."""

    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: Annotated[str, LISTED] = ""
    type: Annotated[str, LISTED] = ""


class DaemonSetStatus(Model):
    """On how many nodes the pod runs, is ready and is up to date."""

    collisionCount: Int32 | None = None
    conditions: Annotated[list[DaemonSetCondition] | None, MergeKey("type")] = None
    currentNumberScheduled: Annotated[Int32, LISTED] = 0
    desiredNumberScheduled: Annotated[Int32, LISTED] = 0
    numberAvailable: Int32 | None = None
    numberMisscheduled: Annotated[Int32, LISTED] = 0
    numberReady: Annotated[Int32, LISTED] = 0
    numberUnavailable: Int32 | None = None
    observedGeneration: Int64 | None = None
    updatedNumberScheduled: Int32 | None = None


class DaemonSet(Kind):
    """Keeps one pod on every node that matches."""

    spec: DaemonSetSpec = Field(default_factory=DaemonSetSpec)
    status: DaemonSetStatus = Field(default_factory=DaemonSetStatus)


class RollingUpdateDeployment(Model):
    """How far a rolling update may go above and below the wanted number of pods."""

    maxSurge: IntOrString = "25%"
    maxUnavailable: IntOrString = "25%"


class DeploymentStrategy(Model):
    """How old pods are replaced by new ones."""

    rollingUpdate: RollingUpdateDeployment | None = None
    type: Annotated[str, OneOf("Recreate", "RollingUpdate")] = "RollingUpdate"

    @model_validator(mode="after")
    def _default(self) -> Self:
        if self.type == "RollingUpdate" and self.rollingUpdate is None:
            self.rollingUpdate = RollingUpdateDeployment()
        return self


class DeploymentSpec(Model):
    """How many pods of which template, and how changes roll out."""

    minReadySeconds: Annotated[Int32 | None, NON_NEGATIVE] = None
    paused: bool | None = None
    progressDeadlineSeconds: Annotated[Int32, NON_NEGATIVE] = 600
    replicas: Annotated[Int32, NON_NEGATIVE] = 1
    revisionHistoryLimit: Annotated[Int32, NON_NEGATIVE] = 10
    selector: Annotated[LabelSelector | None, REQUIRED, IMMUTABLE] = None
    strategy: Annotated[DeploymentStrategy, RETAIN_KEYS] = Field(default_factory=DeploymentStrategy)
    template: Annotated[PodTemplateSpec | None, REQUIRED] = None


class DeploymentCondition(Model):
    """One condition of a deployment."""

    lastTransitionTime: Time | None = None
    lastUpdateTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: Annotated[str, LISTED] = ""
    type: Annotated[str, LISTED] = ""


class DeploymentStatus(Model):
    """How far a rollout is."""

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
    """Keeps a number of like pods running and rolls out changes to them."""

    spec: DeploymentSpec = Field(default_factory=DeploymentSpec)
    status: DeploymentStatus = Field(default_factory=DeploymentStatus)


class ReplicaSetSpec(Model):
    """How many pods of which template."""

    minReadySeconds: Annotated[Int32 | None, NON_NEGATIVE] = None
    replicas: Annotated[Int32, NON_NEGATIVE] = 1
    selector: Annotated[LabelSelector | None, REQUIRED, IMMUTABLE] = None
    template: PodTemplateSpec | None = None


class ReplicaSetCondition(Model):
    """One condition of a replica set."""

    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: Annotated[str, LISTED] = ""
    type: Annotated[str, LISTED] = ""


class ReplicaSetStatus(Model):
    """How many pods there are, ready and available."""

    availableReplicas: Int32 | None = None
    conditions: Annotated[list[ReplicaSetCondition] | None, MergeKey("type")] = None
    fullyLabeledReplicas: Int32 | None = None
    observedGeneration: Int64 | None = None
    readyReplicas: Int32 | None = None
    replicas: Annotated[Int32, LISTED] = 0
    terminatingReplicas: Int32 | None = None


class ReplicaSet(Kind):
    """Keeps a number of like pods running."""

    spec: ReplicaSetSpec = Field(default_factory=ReplicaSetSpec)
    status: ReplicaSetStatus = Field(default_factory=ReplicaSetStatus)


class RollingUpdateStatefulSetStrategy(Model):
    """From which ordinal on pods are updated, and how many at a time."""

    maxUnavailable: IntOrString | None = None
    partition: Annotated[Int32, NON_NEGATIVE] = 0


class StatefulSetOrdinals(Model):
    """Where the numbering of pods starts."""

    start: Int32 | None = None


class StatefulSetPersistentVolumeClaimRetentionPolicy(Model):
    """What becomes of claims when their pods go."""

    whenDeleted: Annotated[str, OneOf("Delete", "Retain")] = "Retain"
    whenScaled: Annotated[str, OneOf("Delete", "Retain")] = "Retain"


class StatefulSetUpdateStrategy(Model):
    """How pods are replaced when the template changes."""

    rollingUpdate: RollingUpdateStatefulSetStrategy | None = None
    type: Annotated[str, OneOf("OnDelete", "RollingUpdate")] = "RollingUpdate"

    @model_validator(mode="after")
    def _default(self) -> Self:
        if self.type == "RollingUpdate" and self.rollingUpdate is None:
            self.rollingUpdate = RollingUpdateStatefulSetStrategy()
        return self


class StatefulSetSpec(Model):
    """How many pods of which template, with which claims, in which order."""

    minReadySeconds: Annotated[Int32 | None, NON_NEGATIVE] = None
    ordinals: StatefulSetOrdinals | None = None
    persistentVolumeClaimRetentionPolicy: StatefulSetPersistentVolumeClaimRetentionPolicy = Field(
        default_factory=StatefulSetPersistentVolumeClaimRetentionPolicy
    )
    podManagementPolicy: Annotated[str, OneOf("OrderedReady", "Parallel")] = "OrderedReady"
    replicas: Annotated[Int32, NON_NEGATIVE] = 1
    revisionHistoryLimit: Annotated[Int32, NON_NEGATIVE] = 10
    selector: Annotated[LabelSelector | None, REQUIRED] = None
    serviceName: str | None = None
    template: Annotated[PodTemplateSpec | None, REQUIRED] = None
    updateStrategy: StatefulSetUpdateStrategy = Field(default_factory=StatefulSetUpdateStrategy)
    volumeClaimTemplates: Annotated[list[PersistentVolumeClaim] | None, ATOMIC] = None


class StatefulSetCondition(Model):
    """One condition of a stateful set."""

    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: Annotated[str, LISTED] = ""
    type: Annotated[str, LISTED] = ""


class StatefulSetStatus(Model):
    """How many pods there are and which revision they have."""

    availableReplicas: Int32 | None = None
    collisionCount: Int32 | None = None
    conditions: Annotated[list[StatefulSetCondition] | None, MergeKey("type")] = None
    currentReplicas: Int32 | None = None
    currentRevision: str | None = None
    observedGeneration: Int64 | None = None
    readyReplicas: Int32 | None = None
    replicas: Annotated[Int32, LISTED] = 0
    updateRevision: str | None = None
    updatedReplicas: Int32 | None = None


class StatefulSet(Kind):
    """Keeps numbered pods, each with a name and storage of its own."""

    spec: StatefulSetSpec = Field(default_factory=StatefulSetSpec)
    status: StatefulSetStatus = Field(default_factory=StatefulSetStatus)
