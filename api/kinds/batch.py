"""The models of batch."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from api.kinds.base import ATOMIC, LISTED, NON_NEGATIVE, REQUIRED, SET, Int32, Int64, MergeKey, Model, OneOf, Time
from api.kinds.core.pod import PodTemplateSpec
from api.kinds.core.references import ObjectReference
from api.kinds.meta import Kind, LabelSelector, ObjectMeta


class PodFailurePolicyOnExitCodesRequirement(Model):
    """Pod Failure Policy On Exit Codes Requirement."""

    containerName: str | None = None
    operator: Annotated[str | None, REQUIRED, OneOf("In", "NotIn")] = None
    values: Annotated[list[Int32] | None, SET, REQUIRED] = None


class PodFailurePolicyOnPodConditionsPattern(Model):
    """Pod Failure Policy On Pod Conditions Pattern."""

    status: str = "True"
    type: Annotated[str | None, LISTED] = None


class PodFailurePolicyRule(Model):
    """Pod Failure Policy Rule."""

    action: Annotated[str | None, REQUIRED, OneOf("Count", "FailIndex", "FailJob", "Ignore")] = None
    onExitCodes: PodFailurePolicyOnExitCodesRequirement | None = None
    onPodConditions: Annotated[list[PodFailurePolicyOnPodConditionsPattern] | None, ATOMIC] = None


class PodFailurePolicy(Model):
    """Pod Failure Policy."""

    rules: Annotated[list[PodFailurePolicyRule] | None, ATOMIC, REQUIRED] = None


class SuccessPolicyRule(Model):
    """Success Policy Rule."""

    succeededCount: Int32 | None = None
    succeededIndexes: str | None = None


class SuccessPolicy(Model):
    """Success Policy."""

    rules: Annotated[list[SuccessPolicyRule] | None, ATOMIC, REQUIRED] = None


class JobSpec(Model):
    """What is wanted of a Job."""

    activeDeadlineSeconds: Annotated[Int64 | None, NON_NEGATIVE] = None
    backoffLimit: Annotated[Int32 | None, NON_NEGATIVE] = None
    backoffLimitPerIndex: Annotated[Int32 | None, NON_NEGATIVE] = None
    completionMode: Annotated[str, OneOf("Indexed", "NonIndexed")] = "NonIndexed"
    completions: Annotated[Int32 | None, NON_NEGATIVE] = None
    managedBy: str | None = None
    manualSelector: bool | None = None
    maxFailedIndexes: Annotated[Int32 | None, NON_NEGATIVE] = None
    parallelism: Annotated[Int32 | None, NON_NEGATIVE] = None
    podFailurePolicy: PodFailurePolicy | None = None
    podReplacementPolicy: Annotated[str | None, OneOf("Failed", "TerminatingOrFailed")] = None
    selector: LabelSelector | None = None
    successPolicy: SuccessPolicy | None = None
    suspend: bool = False
    template: Annotated[PodTemplateSpec | None, REQUIRED] = None
    ttlSecondsAfterFinished: Annotated[Int32 | None, NON_NEGATIVE] = None

    @model_validator(mode="after")
    def _default(self) -> Self:
        if self.parallelism is None:
            if self.completions is None:
                self.completions = 1
            self.parallelism = 1
        if self.backoffLimit is None:
            self.backoffLimit = 6 if self.backoffLimitPerIndex is None else 2**31 - 1
        if self.podReplacementPolicy is None:
            self.podReplacementPolicy = "Failed" if self.podFailurePolicy else "TerminatingOrFailed"
        return self


class JobTemplateSpec(Model):
    """What is wanted of a Job Template."""

    metadata: ObjectMeta | None = None
    spec: JobSpec = Field(default_factory=JobSpec)


class CronJobSpec(Model):
    """What is wanted of a Cron Job."""

    concurrencyPolicy: Annotated[str, OneOf("Allow", "Forbid", "Replace")] = "Allow"
    failedJobsHistoryLimit: Annotated[Int32, NON_NEGATIVE] = 1
    jobTemplate: Annotated[JobTemplateSpec | None, REQUIRED] = None
    schedule: Annotated[str | None, REQUIRED] = None
    startingDeadlineSeconds: Annotated[Int64 | None, NON_NEGATIVE] = None
    successfulJobsHistoryLimit: Annotated[Int32, NON_NEGATIVE] = 3
    suspend: bool = False
    timeZone: str | None = None


class CronJobStatus(Model):
    """What has been observed of a Cron Job."""

    active: Annotated[list[ObjectReference] | None, ATOMIC] = None
    lastScheduleTime: Time | None = None
    lastSuccessfulTime: Time | None = None


class CronJob(Kind):
    """Cron Job."""

    spec: Annotated[CronJobSpec, REQUIRED] = Field(default_factory=CronJobSpec)
    status: CronJobStatus = Field(default_factory=CronJobStatus)


class JobCondition(Model):
    """One condition of a Job."""

    lastProbeTime: Time | None = None
    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: Annotated[str | None, LISTED] = None
    type: Annotated[str | None, LISTED] = None


class UncountedTerminatedPods(Model):
    """Uncounted Terminated Pods."""

    failed: Annotated[list[str] | None, SET] = None
    succeeded: Annotated[list[str] | None, SET] = None


class JobStatus(Model):
    """What has been observed of a Job."""

    active: Int32 | None = None
    completedIndexes: str | None = None
    completionTime: Time | None = None
    conditions: Annotated[list[JobCondition] | None, MergeKey("type", list_type="atomic")] = None
    failed: Int32 | None = None
    failedIndexes: str | None = None
    ready: Int32 | None = None
    startTime: Time | None = None
    succeeded: Int32 | None = None
    terminating: Int32 | None = None
    uncountedTerminatedPods: UncountedTerminatedPods | None = None


class Job(Kind):
    """Job."""

    spec: JobSpec = Field(default_factory=JobSpec)
    status: JobStatus = Field(default_factory=JobStatus)

    @model_validator(mode="after")
    def _default(self) -> Self:
        template = self.spec.template
        if not self.metadata.labels and template and template.metadata and template.metadata.labels:
            self.metadata.labels = dict(template.metadata.labels)
        return self
