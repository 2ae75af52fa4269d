"""The models of authorization."""

from typing import Annotated

from pydantic import Field

from api.kinds.base import ATOMIC, LISTED, REQUIRED, Model
from api.kinds.meta import FieldSelectorRequirement, Kind, LabelSelectorRequirement


class FieldSelectorAttributes(Model):
    """Field Selector Attributes."""

    rawSelector: str | None = None
    requirements: Annotated[list[FieldSelectorRequirement] | None, ATOMIC] = None


class LabelSelectorAttributes(Model):
    """Label Selector Attributes."""

    rawSelector: str | None = None
    requirements: Annotated[list[LabelSelectorRequirement] | None, ATOMIC] = None


class NonResourceAttributes(Model):
    """Non Resource Attributes."""

    path: str | None = None
    verb: str | None = None


class ResourceAttributes(Model):
    """Resource Attributes."""

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
    """What is wanted of a Subject Access Review."""

    extra: dict[str, list[str]] | None = None
    groups: Annotated[list[str] | None, ATOMIC] = None
    nonResourceAttributes: NonResourceAttributes | None = None
    resourceAttributes: ResourceAttributes | None = None
    uid: str | None = None
    user: str | None = None


class SubjectAccessReviewStatus(Model):
    """What has been observed of a Subject Access Review."""

    allowed: Annotated[bool | None, LISTED] = None
    denied: bool | None = None
    evaluationError: str | None = None
    reason: str | None = None


class LocalSubjectAccessReview(Kind):
    """Local Subject Access Review."""

    spec: Annotated[SubjectAccessReviewSpec, REQUIRED] = Field(default_factory=SubjectAccessReviewSpec)
    status: SubjectAccessReviewStatus = Field(default_factory=SubjectAccessReviewStatus)


class NonResourceRule(Model):
    """Non Resource Rule."""

    nonResourceURLs: Annotated[list[str] | None, ATOMIC] = None
    verbs: Annotated[list[str] | None, ATOMIC, REQUIRED] = None


class ResourceRule(Model):
    """Resource Rule."""

    apiGroups: Annotated[list[str] | None, ATOMIC] = None
    resourceNames: Annotated[list[str] | None, ATOMIC] = None
    resources: Annotated[list[str] | None, ATOMIC] = None
    verbs: Annotated[list[str] | None, ATOMIC, REQUIRED] = None


class SelfSubjectAccessReviewSpec(Model):
    """What is wanted of a Self Subject Access Review."""

    nonResourceAttributes: NonResourceAttributes | None = None
    resourceAttributes: ResourceAttributes | None = None


class SelfSubjectAccessReview(Kind):
    """Self Subject Access Review."""

    spec: Annotated[SelfSubjectAccessReviewSpec, REQUIRED] = Field(default_factory=SelfSubjectAccessReviewSpec)
    status: SubjectAccessReviewStatus = Field(default_factory=SubjectAccessReviewStatus)


class SelfSubjectRulesReviewSpec(Model):
    """What is wanted of a Self Subject Rules Review."""

    namespace: str | None = None


class SubjectRulesReviewStatus(Model):
    """What has been observed of a Subject Rules Review."""

    evaluationError: str | None = None
    incomplete: Annotated[bool | None, LISTED] = None
    nonResourceRules: Annotated[list[NonResourceRule] | None, ATOMIC, LISTED] = None
    resourceRules: Annotated[list[ResourceRule] | None, ATOMIC, LISTED] = None


class SelfSubjectRulesReview(Kind):
    """Self Subject Rules Review."""

    spec: Annotated[SelfSubjectRulesReviewSpec, REQUIRED] = Field(default_factory=SelfSubjectRulesReviewSpec)
    status: SubjectRulesReviewStatus = Field(default_factory=SubjectRulesReviewStatus)


class SubjectAccessReview(Kind):
    """Subject Access Review."""

    spec: Annotated[SubjectAccessReviewSpec, REQUIRED] = Field(default_factory=SubjectAccessReviewSpec)
    status: SubjectAccessReviewStatus = Field(default_factory=SubjectAccessReviewStatus)
