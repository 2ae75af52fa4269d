"""Kinds of the group batch: what runs pods to their end."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from api.kinds.base import ATOMIC, LISTED, NON_NEGATIVE, REQUIRED, SET, Int32, Int64, MergeKey, Model, OneOf, Time
from api.kinds.core.pod import PodTemplateSpec
from api.kinds.core.references import ObjectReference
from api.kinds.meta import Kind, LabelSelector, ObjectMeta


class PodFailurePolicyOnExitCodesRequirement(Model):
    """The exit codes to which a rule applies."""

    containerName: str | None = None
    operator: Annotated[str | None, REQUIRED, OneOf("In", "NotIn")] = None
    values: Annotated[list[Int32] | None, SET, REQUIRED] = None


class PodFailurePolicyOnPodConditionsPattern(Model):
    """The pod condition to which a rule applies."""

    status: str = "True"
    type: Annotated[str | None, REQUIRED] = None


class PodFailurePolicyRule(Model):
    """What a job does about one sort of failed pod."""

    action: Annotated[str | None, REQUIRED, OneOf("Count", "FailIndex", "FailJob", "Ignore")] = None
    onExitCodes: PodFailurePolicyOnExitCodesRequirement | None = None
    onPodConditions: Annotated[list[PodFailurePolicyOnPodConditionsPattern] | None, ATOMIC] = None


class PodFailurePolicy(Model):
    """What a job does about failed pods."""

    rules: Annotated[list[PodFailurePolicyRule] | None, ATOMIC, LISTED] = None


class SuccessPolicyRule(Model):
    """Which indexes must succeed for the job to succeed."""

    succeededCount: Int32 | None = None
    succeededIndexes: str | None = None


class SuccessPolicy(Model):
    """When an indexed job counts as successful before all its pods are."""

    rules: Annotated[list[SuccessPolicyRule] | None, ATOMIC, REQUIRED] = None


class JobSpec(Model):
    """How many pods must succeed, how many run at a time, and when to give up."""

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
    """The jobs that a cron job makes."""

    metadata: ObjectMeta | None = None
    spec: JobSpec = Field(default_factory=JobSpec)


class CronJobSpec(Model):
    """When which job is started."""

    concurrencyPolicy: Annotated[str, OneOf("Allow", "Forbid", "Replace")] = "Allow"
    failedJobsHistoryLimit: Annotated[Int32, NON_NEGATIVE] = 1
    jobTemplate: Annotated[JobTemplateSpec | None, REQUIRED] = None
    schedule: Annotated[str | None, REQUIRED] = None
    startingDeadlineSeconds: Annotated[Int64 | None, NON_NEGATIVE] = None
    successfulJobsHistoryLimit: Annotated[Int32, NON_NEGATIVE] = 3
    suspend: bool = False
    timeZone: str | None = None


class CronJobStatus(Model):
    """Which jobs run and when the last one started."""

    active: Annotated[list[ObjectReference] | None, ATOMIC] = None
    lastScheduleTime: Time | None = None
    lastSuccessfulTime: Time | None = None


class CronJob(Kind):
    """Starts jobs by the clock."""

    spec: Annotated[CronJobSpec, REQUIRED] = Field(default_factory=CronJobSpec)
    status: CronJobStatus = Field(default_factory=CronJobStatus)


class JobCondition(Model):
    """One condition of a job."""

    lastProbeTime: Time | None = None
    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: Annotated[str, LISTED] = ""
    type: Annotated[str, LISTED] = ""


class UncountedTerminatedPods(Model):
    """Pods that have ended and are not yet in the counts."""

    failed: Annotated[list[str] | None, SET] = None
    succeeded: Annotated[list[str] | None, SET] = None


class JobStatus(Model):
    """How many pods are active, have succeeded and have failed."""

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
    """Runs pods until a number of them has succeeded."""

    spec: JobSpec = Field(default_factory=JobSpec)
    status: JobStatus = Field(default_factory=JobStatus)

    @model_validator(mode="after")
    def _default(self) -> Self:
        template = self.spec.template
        if not self.metadata.labels and template and template.metadata and template.metadata.labels:
            self.metadata.labels = dict(template.metadata.labels)
        return self
