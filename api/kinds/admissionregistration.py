"""Kinds of the group admissionregistration.k8s.io: webhooks and policies that judge writes."""

from typing import Annotated

from pydantic import Field

from api.kinds.base import ATOMIC, REQUIRED, SET, Base64, Bounds, Int32, Int64, ListMap, MergeKey, Model, OneOf
from api.kinds.meta import Condition, Kind, LabelSelector


class ApplyConfiguration(Model):
    """A change written in CEL that yields an apply configuration."""

    expression: str | None = None


class AuditAnnotation(Model):
    """A value that a policy adds to the audit record of a request."""

    key: Annotated[str | None, REQUIRED] = None
    valueExpression: Annotated[str | None, REQUIRED] = None


class ExpressionWarning(Model):
    """A doubt that the type checker has about one CEL expression."""

    fieldRef: Annotated[str | None, REQUIRED] = None
    warning: Annotated[str | None, REQUIRED] = None


class JSONPatch(Model):
    """A change written in CEL that yields JSON patch operations."""

    expression: str | None = None


class MatchCondition(Model):
    """A named CEL condition that a request must meet before a hook or policy looks at it."""

    expression: Annotated[str | None, REQUIRED] = None
    name: Annotated[str | None, REQUIRED] = None


class NamedRuleWithOperations(Model):
    """The operations, resources and object names that a rule covers."""

    ATOMIC_MAP = True

    apiGroups: Annotated[list[str] | None, ATOMIC] = None
    apiVersions: Annotated[list[str] | None, ATOMIC] = None
    operations: Annotated[list[str] | None, ATOMIC, OneOf("*", "CONNECT", "CREATE", "DELETE", "UPDATE")] = None
    resourceNames: Annotated[list[str] | None, ATOMIC] = None
    resources: Annotated[list[str] | None, ATOMIC] = None
    scope: Annotated[str, OneOf("*", "Cluster", "Namespaced")] = "*"


class MatchResources(Model):
    """Which requests a policy looks at."""

    ATOMIC_MAP = True

    excludeResourceRules: Annotated[list[NamedRuleWithOperations] | None, ATOMIC] = None
    matchPolicy: Annotated[str, OneOf("Equivalent", "Exact")] = "Equivalent"
    namespaceSelector: LabelSelector = Field(default_factory=LabelSelector)
    objectSelector: LabelSelector = Field(default_factory=LabelSelector)
    resourceRules: Annotated[list[NamedRuleWithOperations] | None, ATOMIC] = None


class Mutation(Model):
    """One change that a policy makes."""

    applyConfiguration: ApplyConfiguration | None = None
    jsonPatch: JSONPatch | None = None
    patchType: Annotated[str | None, REQUIRED] = None


class ParamKind(Model):
    """The kind of object that parametrises a policy."""

    ATOMIC_MAP = True

    apiVersion: str | None = None
    kind: str | None = None


class Variable(Model):
    """A named CEL expression that other expressions can use."""

    ATOMIC_MAP = True

    expression: Annotated[str | None, REQUIRED] = None
    name: Annotated[str | None, REQUIRED] = None


class MutatingAdmissionPolicySpec(Model):
    """Which requests a policy changes, and how."""

    failurePolicy: Annotated[str, OneOf("Fail", "Ignore")] = "Fail"
    matchConditions: Annotated[list[MatchCondition] | None, MergeKey("name")] = None
    matchConstraints: MatchResources | None = None
    mutations: Annotated[list[Mutation] | None, ATOMIC] = None
    paramKind: ParamKind | None = None
    reinvocationPolicy: Annotated[str | None, OneOf("IfNeeded", "Never")] = None
    variables: Annotated[list[Variable] | None, ATOMIC] = None


class MutatingAdmissionPolicy(Kind):
    """A policy in CEL that changes objects as they are written."""

    spec: MutatingAdmissionPolicySpec = Field(default_factory=MutatingAdmissionPolicySpec)


class ParamRef(Model):
    """Which objects hold the parameters of a bound policy."""

    ATOMIC_MAP = True

    name: str | None = None
    namespace: str | None = None
    parameterNotFoundAction: str | None = None
    selector: LabelSelector | None = None


class MutatingAdmissionPolicyBindingSpec(Model):
    """Which policy is bound, with which parameters, to which requests."""

    matchResources: MatchResources | None = None
    paramRef: ParamRef | None = None
    policyName: str | None = None


class MutatingAdmissionPolicyBinding(Kind):
    """Puts a mutating policy into force."""

    spec: MutatingAdmissionPolicyBindingSpec = Field(default_factory=MutatingAdmissionPolicyBindingSpec)


class RuleWithOperations(Model):
    """The operations and resources that a rule covers."""

    apiGroups: Annotated[list[str] | None, ATOMIC] = None
    apiVersions: Annotated[list[str] | None, ATOMIC] = None
    operations: Annotated[list[str] | None, ATOMIC, OneOf("*", "CONNECT", "CREATE", "DELETE", "UPDATE")] = None
    resources: Annotated[list[str] | None, ATOMIC] = None
    scope: Annotated[str, OneOf("*", "Cluster", "Namespaced")] = "*"


class ServiceReference(Model):
    """A Service that answers a webhook."""

    name: Annotated[str | None, REQUIRED] = None
    namespace: Annotated[str | None, REQUIRED] = None
    path: str | None = None
    port: Int32 = 443


class WebhookClientConfig(Model):
    """How the server reaches a webhook."""

    caBundle: Base64 | None = None
    service: ServiceReference | None = None
    url: str | None = None


class MutatingWebhook(Model):
    """A hook that may change objects as they are written."""

    admissionReviewVersions: Annotated[list[str] | None, ATOMIC, REQUIRED] = None
    clientConfig: Annotated[WebhookClientConfig | None, REQUIRED] = None
    failurePolicy: Annotated[str, OneOf("Fail", "Ignore")] = "Fail"
    matchConditions: Annotated[list[MatchCondition] | None, MergeKey("name")] = None
    matchPolicy: Annotated[str, OneOf("Equivalent", "Exact")] = "Equivalent"
    name: Annotated[str | None, REQUIRED] = None
    namespaceSelector: LabelSelector = Field(default_factory=LabelSelector)
    objectSelector: LabelSelector = Field(default_factory=LabelSelector)
    reinvocationPolicy: Annotated[str, OneOf("IfNeeded", "Never")] = "Never"
    rules: Annotated[list[RuleWithOperations] | None, ATOMIC] = None
    sideEffects: Annotated[str | None, REQUIRED, OneOf("None", "NoneOnDryRun")] = None
    timeoutSeconds: Annotated[Int32, Bounds(1, 30)] = 10


class MutatingWebhookConfiguration(Kind):
    """A set of hooks that may change objects as they are written."""

    webhooks: Annotated[list[MutatingWebhook] | None, MergeKey("name")] = None


class TypeChecking(Model):
    """What the type checker said about a policy's expressions."""

    expressionWarnings: Annotated[list[ExpressionWarning] | None, ATOMIC] = None


class Validation(Model):
    """One CEL condition that an object must meet."""

    expression: Annotated[str | None, REQUIRED] = None
    message: str | None = None
    messageExpression: str | None = None
    reason: str | None = None


class ValidatingAdmissionPolicySpec(Model):
    """Which requests a policy judges, and by which conditions."""

    auditAnnotations: Annotated[list[AuditAnnotation] | None, ATOMIC] = None
    failurePolicy: Annotated[str, OneOf("Fail", "Ignore")] = "Fail"
    matchConditions: Annotated[list[MatchCondition] | None, MergeKey("name")] = None
    matchConstraints: MatchResources | None = None
    paramKind: ParamKind | None = None
    validations: Annotated[list[Validation] | None, ATOMIC] = None
    variables: Annotated[list[Variable] | None, MergeKey("name")] = None


class ValidatingAdmissionPolicyStatus(Model):
    """What the server found out about a policy."""

    conditions: Annotated[list[Condition] | None, ListMap("type")] = None
    observedGeneration: Int64 | None = None
    typeChecking: TypeChecking | None = None


class ValidatingAdmissionPolicy(Kind):
    """A policy in CEL that accepts or refuses objects as they are written."""

    spec: ValidatingAdmissionPolicySpec = Field(default_factory=ValidatingAdmissionPolicySpec)
    status: ValidatingAdmissionPolicyStatus = Field(default_factory=ValidatingAdmissionPolicyStatus)


class ValidatingAdmissionPolicyBindingSpec(Model):
    """Which policy is bound, with which parameters, to which requests, and what a refusal does."""

    matchResources: MatchResources | None = None
    paramRef: ParamRef | None = None
    policyName: Annotated[str | None, REQUIRED] = None
    validationActions: Annotated[list[str] | None, SET, REQUIRED, OneOf("Audit", "Deny", "Warn")] = None


class ValidatingAdmissionPolicyBinding(Kind):
    """Puts a validating policy into force."""

    spec: Annotated[ValidatingAdmissionPolicyBindingSpec, REQUIRED] = Field(
        default_factory=ValidatingAdmissionPolicyBindingSpec
    )


class ValidatingWebhook(Model):
    """A hook that accepts or refuses objects as they are written."""

    admissionReviewVersions: Annotated[list[str] | None, ATOMIC, REQUIRED] = None
    clientConfig: Annotated[WebhookClientConfig | None, REQUIRED] = None
    failurePolicy: Annotated[str, OneOf("Fail", "Ignore")] = "Fail"
    matchConditions: Annotated[list[MatchCondition] | None, MergeKey("name")] = None
    matchPolicy: Annotated[str, OneOf("Equivalent", "Exact")] = "Equivalent"
    name: Annotated[str | None, REQUIRED] = None
    namespaceSelector: LabelSelector = Field(default_factory=LabelSelector)
    objectSelector: LabelSelector = Field(default_factory=LabelSelector)
    rules: Annotated[list[RuleWithOperations] | None, ATOMIC] = None
    sideEffects: Annotated[str | None, REQUIRED, OneOf("None", "NoneOnDryRun")] = None
    timeoutSeconds: Annotated[Int32, Bounds(1, 30)] = 10


class ValidatingWebhookConfiguration(Kind):
    """A set of hooks that accept or refuse objects as they are written."""

    webhooks: Annotated[list[ValidatingWebhook] | None, MergeKey("name")] = None
