"""Kinds of the group authorization.k8s.io: what somebody may do."""

from typing import Annotated

from pydantic import Field

from api.kinds.base import ATOMIC, LISTED, REQUIRED, Model
from api.kinds.meta import FieldSelectorRequirement, Kind, LabelSelectorRequirement


class FieldSelectorAttributes(Model):
    """The field selector of the request in question."""

    rawSelector: str | None = None
    requirements: Annotated[list[FieldSelectorRequirement] | None, ATOMIC] = None


class LabelSelectorAttributes(Model):
    """The label selector of the request in question."""

    rawSelector: str | None = None
    requirements: Annotated[list[LabelSelectorRequirement] | None, ATOMIC] = None


class NonResourceAttributes(Model):
    """A request for a path that is no resource."""

    path: str | None = None
    verb: str | None = None


class ResourceAttributes(Model):
    """A request for a resource."""

    fieldSelector: FieldSelectorAttributes | None = None
    group: str | None = None
    labelSelector: LabelSelectorAttributes | None = None
    name: str | None = None
    namespace: str | None = None
    resource: str | None = None
    subresource: str | None = None
    verb: str | None = None
    version: str | None = None


class SubjectAccessReviewSpec(Model):
    """Who wants to do what."""

    extra: dict[str, list[str]] | None = None
    groups: Annotated[list[str] | None, ATOMIC] = None
    nonResourceAttributes: NonResourceAttributes | None = None
    resourceAttributes: ResourceAttributes | None = None
    uid: str | None = None
    user: str | None = None


class SubjectAccessReviewStatus(Model):
    """Whether it is allowed, and why."""

    allowed: Annotated[bool, LISTED] = False
    denied: bool | None = None
    evaluationError: str | None = None
    reason: str | None = None


class LocalSubjectAccessReview(Kind):
    """Asks what somebody may do in one namespace."""

    spec: Annotated[SubjectAccessReviewSpec, REQUIRED] = Field(default_factory=SubjectAccessReviewSpec)
    status: SubjectAccessReviewStatus = Field(default_factory=SubjectAccessReviewStatus)


class NonResourceRule(Model):
    """Verbs on paths that are no resources."""

    nonResourceURLs: Annotated[list[str] | None, ATOMIC] = None
    verbs: Annotated[list[str] | None, ATOMIC, REQUIRED] = None


class ResourceRule(Model):
    """Verbs on resources."""

    apiGroups: Annotated[list[str] | None, ATOMIC] = None
    resourceNames: Annotated[list[str] | None, ATOMIC] = None
    resources: Annotated[list[str] | None, ATOMIC] = None
    verbs: Annotated[list[str] | None, ATOMIC, REQUIRED] = None


class SelfSubjectAccessReviewSpec(Model):
    """What the caller wants to do."""

    nonResourceAttributes: NonResourceAttributes | None = None
    resourceAttributes: ResourceAttributes | None = None


class SelfSubjectAccessReview(Kind):
    """Asks whether one may do something oneself."""

    spec: Annotated[SelfSubjectAccessReviewSpec, REQUIRED] = Field(default_factory=SelfSubjectAccessReviewSpec)
    status: SubjectAccessReviewStatus = Field(default_factory=SubjectAccessReviewStatus)


class SelfSubjectRulesReviewSpec(Model):
    """The namespace in question."""

    namespace: str | None = None


class SubjectRulesReviewStatus(Model):
    """Everything that is allowed, as far as it can be listed."""

    evaluationError: str | None = None
    incomplete: Annotated[bool, LISTED] = False
    nonResourceRules: Annotated[list[NonResourceRule] | None, ATOMIC, LISTED] = None
    resourceRules: Annotated[list[ResourceRule] | None, ATOMIC, LISTED] = None


class SelfSubjectRulesReview(Kind):
    """Asks for all that one may do in a namespace."""

    spec: Annotated[SelfSubjectRulesReviewSpec, REQUIRED] = Field(default_factory=SelfSubjectRulesReviewSpec)
    status: SubjectRulesReviewStatus = Field(default_factory=SubjectRulesReviewStatus)


class SubjectAccessReview(Kind):
    """Asks whether somebody may do something."""

    spec: Annotated[SubjectAccessReviewSpec, REQUIRED] = Field(default_factory=SubjectAccessReviewSpec)
    status: SubjectAccessReviewStatus = Field(default_factory=SubjectAccessReviewStatus)
