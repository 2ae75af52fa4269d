"""Kinds of the group flowcontrol.apiserver.k8s.io: who waits when the server is busy."""

from typing import Annotated

from pydantic import Field

from api.kinds.base import ATOMIC, REQUIRED, SET, Bounds, Int32, MergeKey, Model, OneOf, Time
from api.kinds.meta import Kind


class ExemptPriorityLevelConfiguration(Model):
    """A level whose requests never wait."""

    lendablePercent: Int32 = 0
    nominalConcurrencyShares: Int32 = 0


class FlowDistinguisherMethod(Model):
    """How a schema tells its flows apart."""

    type: Annotated[str | None, REQUIRED] = None


class NonResourcePolicyRule(Model):
    """Requests for paths that are no resources."""

    nonResourceURLs: Annotated[list[str] | None, SET, REQUIRED] = None
    verbs: Annotated[list[str] | None, SET, REQUIRED] = None


class ResourcePolicyRule(Model):
    """Requests for resources."""

    apiGroups: Annotated[list[str] | None, SET, REQUIRED] = None
    clusterScope: bool | None = None
    namespaces: Annotated[list[str] | None, SET] = None
    resources: Annotated[list[str] | None, SET, REQUIRED] = None
    verbs: Annotated[list[str] | None, SET, REQUIRED] = None


class GroupSubject(Model):
    """A group of users."""

    name: Annotated[str | None, REQUIRED] = None


class ServiceAccountSubject(Model):
    """A service account."""

    name: Annotated[str | None, REQUIRED] = None
    namespace: Annotated[str | None, REQUIRED] = None


class UserSubject(Model):
    """A user."""

    name: Annotated[str | None, REQUIRED] = None


class Subject(Model):
    """Whose requests a rule is about."""

    group: GroupSubject | None = None
    kind: Annotated[str | None, OneOf("ServiceAccount", "User", "Group")] = None
    serviceAccount: ServiceAccountSubject | None = None
    user: UserSubject | None = None


class PolicyRulesWithSubjects(Model):
    """Who asks for what."""

    nonResourceRules: Annotated[list[NonResourcePolicyRule] | None, ATOMIC] = None
    resourceRules: Annotated[list[ResourcePolicyRule] | None, ATOMIC] = None
    subjects: Annotated[list[Subject] | None, ATOMIC, REQUIRED] = None


class PriorityLevelConfigurationReference(Model):
    """A priority level by its name."""

    name: Annotated[str | None, REQUIRED] = None


class FlowSchemaSpec(Model):
    """Which requests go to which priority level."""

    distinguisherMethod: FlowDistinguisherMethod | None = None
    matchingPrecedence: Annotated[Int32, Bounds(1, 10000)] = 1000
    priorityLevelConfiguration: Annotated[PriorityLevelConfigurationReference | None, REQUIRED] = None
    rules: Annotated[list[PolicyRulesWithSubjects] | None, ATOMIC] = None


class FlowSchemaCondition(Model):
    """One condition of a flow schema."""

    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str | None = None
    type: str | None = None


class FlowSchemaStatus(Model):
    """Whether a flow schema is in order."""

    conditions: Annotated[list[FlowSchemaCondition] | None, MergeKey("type")] = None


class FlowSchema(Kind):
    """Sorts requests into flows."""

    spec: FlowSchemaSpec = Field(default_factory=FlowSchemaSpec)
    status: FlowSchemaStatus = Field(default_factory=FlowSchemaStatus)


class QueuingConfiguration(Model):
    """How requests wait."""

    handSize: Int32 = 8
    queueLengthLimit: Int32 = 50
    queues: Int32 = 64


class LimitResponse(Model):
    """What becomes of requests that cannot run now."""

    queuing: QueuingConfiguration | None = None
    type: Annotated[str | None, REQUIRED, OneOf("Queue", "Reject")] = None


class LimitedPriorityLevelConfiguration(Model):
    """A level whose requests share a number of seats."""

    borrowingLimitPercent: Int32 | None = None
    lendablePercent: Int32 = 0
    limitResponse: LimitResponse | None = None
    nominalConcurrencyShares: Int32 = 30


class PriorityLevelConfigurationSpec(Model):
    """How many requests of a level run at a time."""

    exempt: ExemptPriorityLevelConfiguration | None = None
    limited: LimitedPriorityLevelConfiguration | None = None
    type: Annotated[str | None, REQUIRED, OneOf("Exempt", "Limited")] = None


class PriorityLevelConfigurationCondition(Model):
    """One condition of a priority level."""

    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str | None = None
    type: str | None = None


class PriorityLevelConfigurationStatus(Model):
    """Whether a priority level is in order."""

    conditions: Annotated[list[PriorityLevelConfigurationCondition] | None, MergeKey("type")] = None


class PriorityLevelConfiguration(Kind):
    """A share of the server for some requests."""

    spec: PriorityLevelConfigurationSpec = Field(default_factory=PriorityLevelConfigurationSpec)
    status: PriorityLevelConfigurationStatus = Field(default_factory=PriorityLevelConfigurationStatus)
