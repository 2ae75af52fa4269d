"""The models of flowcontrol."""

from typing import Annotated

from pydantic import Field

from api.kinds.base import ATOMIC, REQUIRED, SET, Bounds, Int32, MergeKey, Model, OneOf, Time
from api.kinds.meta import Kind


class ExemptPriorityLevelConfiguration(Model):
    """Exempt Priority Level Configuration."""

    lendablePercent: Int32 = 0
    nominalConcurrencyShares: Int32 = 0


class FlowDistinguisherMethod(Model):
    """Flow Distinguisher Method."""

    type: Annotated[str | None, REQUIRED] = None


class NonResourcePolicyRule(Model):
    """Non Resource Policy Rule."""

    nonResourceURLs: Annotated[list[str] | None, SET, REQUIRED] = None
    verbs: Annotated[list[str] | None, SET, REQUIRED] = None


class ResourcePolicyRule(Model):
    """Resource Policy Rule."""

    apiGroups: Annotated[list[str] | None, SET, REQUIRED] = None
    clusterScope: bool | None = None
    namespaces: Annotated[list[str] | None, SET] = None
    resources: Annotated[list[str] | None, SET, REQUIRED] = None
    verbs: Annotated[list[str] | None, SET, REQUIRED] = None


class GroupSubject(Model):
    """Group Subject."""

    name: Annotated[str | None, REQUIRED] = None


class ServiceAccountSubject(Model):
    """Service Account Subject."""

    name: Annotated[str | None, REQUIRED] = None
    namespace: Annotated[str | None, REQUIRED] = None


class UserSubject(Model):
    """User Subject."""

    name: Annotated[str | None, REQUIRED] = None


class Subject(Model):
    """Subject."""

    group: GroupSubject | None = None
    kind: Annotated[str | None, OneOf("ServiceAccount", "User", "Group")] = None
    serviceAccount: ServiceAccountSubject | None = None
    user: UserSubject | None = None


class PolicyRulesWithSubjects(Model):
    """Policy Rules With Subjects."""

    nonResourceRules: Annotated[list[NonResourcePolicyRule] | None, ATOMIC] = None
    resourceRules: Annotated[list[ResourcePolicyRule] | None, ATOMIC] = None
    subjects: Annotated[list[Subject] | None, ATOMIC, REQUIRED] = None


class PriorityLevelConfigurationReference(Model):
    """A reference: Priority Level Configuration."""

    name: Annotated[str | None, REQUIRED] = None


class FlowSchemaSpec(Model):
    """What is wanted of a Flow Schema."""

    distinguisherMethod: FlowDistinguisherMethod | None = None
    matchingPrecedence: Annotated[Int32, Bounds(1, 10000)] = 1000
    priorityLevelConfiguration: Annotated[PriorityLevelConfigurationReference | None, REQUIRED] = None
    rules: Annotated[list[PolicyRulesWithSubjects] | None, ATOMIC] = None


class FlowSchemaCondition(Model):
    """One condition of a Flow Schema."""

    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str | None = None
    type: str | None = None


class FlowSchemaStatus(Model):
    """What has been observed of a Flow Schema."""

    conditions: Annotated[list[FlowSchemaCondition] | None, MergeKey("type")] = None


class FlowSchema(Kind):
    """Flow Schema."""

    spec: FlowSchemaSpec = Field(default_factory=FlowSchemaSpec)
    status: FlowSchemaStatus = Field(default_factory=FlowSchemaStatus)


class QueuingConfiguration(Model):
    """Queuing Configuration."""

    handSize: Int32 = 8
    queueLengthLimit: Int32 = 50
    queues: Int32 = 64


class LimitResponse(Model):
    """Limit Response."""

    queuing: QueuingConfiguration | None = None
    type: Annotated[str | None, REQUIRED, OneOf("Queue", "Reject")] = None


class LimitedPriorityLevelConfiguration(Model):
    """Limited Priority Level Configuration."""

    borrowingLimitPercent: Int32 | None = None
    lendablePercent: Int32 = 0
    limitResponse: LimitResponse | None = None
    nominalConcurrencyShares: Int32 = 30


class PriorityLevelConfigurationSpec(Model):
    """What is wanted of a Priority Level Configuration."""

    exempt: ExemptPriorityLevelConfiguration | None = None
    limited: LimitedPriorityLevelConfiguration | None = None
    type: Annotated[str | None, REQUIRED, OneOf("Exempt", "Limited")] = None


class PriorityLevelConfigurationCondition(Model):
    """One condition of a Priority Level Configuration."""

    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str | None = None
    type: str | None = None


class PriorityLevelConfigurationStatus(Model):
    """What has been observed of a Priority Level Configuration."""

    conditions: Annotated[list[PriorityLevelConfigurationCondition] | None, MergeKey("type")] = None


class PriorityLevelConfiguration(Kind):
    """Priority Level Configuration."""

    spec: PriorityLevelConfigurationSpec = Field(default_factory=PriorityLevelConfigurationSpec)
    status: PriorityLevelConfigurationStatus = Field(default_factory=PriorityLevelConfigurationStatus)
