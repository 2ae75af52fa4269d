"""The models of admissionregistration."""

from typing import Annotated

from pydantic import Field

from api.kinds.base import ATOMIC, LISTED, REQUIRED, SET, Base64, Bounds, Int32, Int64, ListMap, MergeKey, Model, OneOf
from api.kinds.meta import Condition, Kind, LabelSelector


class ApplyConfiguration(Model):
    """Apply Configuration."""

    expression: str | None = None


class AuditAnnotation(Model):
    """Audit Annotation."""

    key: Annotated[str | None, REQUIRED] = None
    valueExpression: Annotated[str | None, REQUIRED] = None


class ExpressionWarning(Model):
    """Expression Warning."""

    fieldRef: Annotated[str | None, REQUIRED] = None
    warning: Annotated[str | None, REQUIRED] = None


class JSONPatch(Model):
    """JSON Patch."""

    expression: str | None = None


class MatchCondition(Model):
    """One condition of a Match."""

    expression: Annotated[str | None, LISTED] = None
    name: Annotated[str | None, LISTED] = None


class NamedRuleWithOperations(Model):
    """Named Rule With Operations."""

    ATOMIC = True

    apiGroups: Annotated[list[str] | None, ATOMIC] = None
    apiVersions: Annotated[list[str] | None, ATOMIC] = None
    operations: Annotated[list[str] | None, ATOMIC, OneOf("*", "CONNECT", "CREATE", "DELETE", "UPDATE")] = None
    resourceNames: Annotated[list[str] | None, ATOMIC] = None
    resources: Annotated[list[str] | None, ATOMIC] = None
    scope: Annotated[str, OneOf("*", "Cluster", "Namespaced")] = "*"


class MatchResources(Model):
    """Match Resources."""

    ATOMIC = True

    excludeResourceRules: Annotated[list[NamedRuleWithOperations] | None, ATOMIC] = None
    matchPolicy: Annotated[str, OneOf("Equivalent", "Exact")] = "Equivalent"
    namespaceSelector: LabelSelector = Field(default_factory=LabelSelector)
    objectSelector: LabelSelector = Field(default_factory=LabelSelector)
    resourceRules: Annotated[list[NamedRuleWithOperations] | None, ATOMIC] = None


class Mutation(Model):
    """Mutation."""

    applyConfiguration: ApplyConfiguration | None = None
    jsonPatch: JSONPatch | None = None
    patchType: Annotated[str | None, REQUIRED] = None


class ParamKind(Model):
    """Param Kind."""

    ATOMIC = True

    apiVersion: str | None = None
    kind: str | None = None


class Variable(Model):
    """Variable."""

    ATOMIC = True

    expression: Annotated[str | None, REQUIRED] = None
    name: Annotated[str | None, REQUIRED] = None


class MutatingAdmissionPolicySpec(Model):
    """What is wanted of a Mutating Admission Policy."""

    failurePolicy: Annotated[str, OneOf("Fail", "Ignore")] = "Fail"
    matchConditions: Annotated[list[MatchCondition] | None, MergeKey("name")] = None
    matchConstraints: MatchResources | None = None
    mutations: Annotated[list[Mutation] | None, ATOMIC] = None
    paramKind: ParamKind | None = None
    reinvocationPolicy: Annotated[str | None, OneOf("IfNeeded", "Never")] = None
    variables: Annotated[list[Variable] | None, ATOMIC] = None


class MutatingAdmissionPolicy(Kind):
    """Mutating Admission Policy."""

    spec: MutatingAdmissionPolicySpec = Field(default_factory=MutatingAdmissionPolicySpec)


class ParamRef(Model):
    """Param Ref."""

    ATOMIC = True

    name: str | None = None
    namespace: str | None = None
    parameterNotFoundAction: str | None = None
    selector: LabelSelector | None = None


class MutatingAdmissionPolicyBindingSpec(Model):
    """What is wanted of a Mutating Admission Policy Binding."""

    matchResources: MatchResources | None = None
    paramRef: ParamRef | None = None
    policyName: str | None = None


class MutatingAdmissionPolicyBinding(Kind):
    """Mutating Admission Policy Binding."""

    spec: MutatingAdmissionPolicyBindingSpec = Field(default_factory=MutatingAdmissionPolicyBindingSpec)


class RuleWithOperations(Model):
    """Rule With Operations."""

    apiGroups: Annotated[list[str] | None, ATOMIC] = None
    apiVersions: Annotated[list[str] | None, ATOMIC] = None
    operations: Annotated[list[str] | None, ATOMIC, OneOf("*", "CONNECT", "CREATE", "DELETE", "UPDATE")] = None
    resources: Annotated[list[str] | None, ATOMIC] = None
    scope: Annotated[str, OneOf("*", "Cluster", "Namespaced")] = "*"


class ServiceReference(Model):
    """A reference: Service."""

    name: Annotated[str | None, REQUIRED] = None
    namespace: Annotated[str | None, REQUIRED] = None
    path: str | None = None
    port: Int32 = 443


class WebhookClientConfig(Model):
    """Webhook Client Config."""

    caBundle: Base64 | None = None
    service: ServiceReference | None = None
    url: str | None = None


class MutatingWebhook(Model):
    """Mutating Webhook."""

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
    """Mutating Webhook Configuration."""

    webhooks: Annotated[list[MutatingWebhook] | None, MergeKey("name")] = None


class TypeChecking(Model):
    """Type Checking."""

    expressionWarnings: Annotated[list[ExpressionWarning] | None, ATOMIC] = None


class Validation(Model):
    """Validation."""

    expression: Annotated[str | None, REQUIRED] = None
    message: str | None = None
    messageExpression: str | None = None
    reason: str | None = None


class ValidatingAdmissionPolicySpec(Model):
    """What is wanted of a Validating Admission Policy."""

    auditAnnotations: Annotated[list[AuditAnnotation] | None, ATOMIC] = None
    failurePolicy: Annotated[str, OneOf("Fail", "Ignore")] = "Fail"
    matchConditions: Annotated[list[MatchCondition] | None, MergeKey("name")] = None
    matchConstraints: MatchResources | None = None
    paramKind: ParamKind | None = None
    validations: Annotated[list[Validation] | None, ATOMIC] = None
    variables: Annotated[list[Variable] | None, MergeKey("name")] = None


class ValidatingAdmissionPolicyStatus(Model):
    """What has been observed of a Validating Admission Policy."""

    conditions: Annotated[list[Condition] | None, ListMap("type")] = None
    observedGeneration: Int64 | None = None
    typeChecking: TypeChecking | None = None


class ValidatingAdmissionPolicy(Kind):
    """Validating Admission Policy."""

    spec: ValidatingAdmissionPolicySpec = Field(default_factory=ValidatingAdmissionPolicySpec)
    status: ValidatingAdmissionPolicyStatus = Field(default_factory=ValidatingAdmissionPolicyStatus)


class ValidatingAdmissionPolicyBindingSpec(Model):
    """What is wanted of a Validating Admission Policy Binding."""

    matchResources: MatchResources | None = None
    paramRef: ParamRef | None = None
    policyName: Annotated[str | None, REQUIRED] = None
    validationActions: Annotated[list[str] | None, SET, REQUIRED, OneOf("Audit", "Deny", "Warn")] = None


class ValidatingAdmissionPolicyBinding(Kind):
    """Validating Admission Policy Binding."""

    spec: Annotated[ValidatingAdmissionPolicyBindingSpec, REQUIRED] = Field(
        default_factory=ValidatingAdmissionPolicyBindingSpec
    )


class ValidatingWebhook(Model):
    """Validating Webhook."""

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
    """Validating Webhook Configuration."""

    webhooks: Annotated[list[ValidatingWebhook] | None, MergeKey("name")] = None
