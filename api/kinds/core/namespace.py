"""The models of core.namespace."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from api.kinds.base import ATOMIC, LISTED, REQUIRED, MergeKey, Model, Quantity, Time
from api.kinds.meta import Kind


class NamespaceSpec(Model):
    """What is wanted of a Namespace."""

    finalizers: Annotated[list[str] | None, ATOMIC] = None


class NamespaceCondition(Model):
    """One condition of a Namespace."""

    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: Annotated[str | None, LISTED] = None
    type: Annotated[str | None, LISTED] = None


class NamespaceStatus(Model):
    """What has been observed of a Namespace."""

    conditions: Annotated[list[NamespaceCondition] | None, MergeKey("type")] = None
    phase: str = "Active"


class Namespace(Kind):
    """Namespace."""

    spec: NamespaceSpec = Field(default_factory=NamespaceSpec)
    status: NamespaceStatus = Field(default_factory=NamespaceStatus)


class LimitRangeItem(Model):
    """Limit Range Item."""

    default: dict[str, Quantity] | None = None
    defaultRequest: dict[str, Quantity] | None = None
    max: dict[str, Quantity] | None = None
    maxLimitRequestRatio: dict[str, Quantity] | None = None
    min: dict[str, Quantity] | None = None
    type: Annotated[str | None, REQUIRED] = None

    @model_validator(mode="after")
    def _default(self) -> Self:
        if self.type == "Container":
            self.default = {**(self.max or {}), **(self.default or {})} or None
            self.defaultRequest = {**(self.default or {}), **(self.min or {}), **(self.defaultRequest or {})} or None
        return self


class LimitRangeSpec(Model):
    """What is wanted of a Limit Range."""

    limits: Annotated[list[LimitRangeItem] | None, ATOMIC, REQUIRED] = None


class LimitRange(Kind):
    """Limit Range."""

    spec: LimitRangeSpec = Field(default_factory=LimitRangeSpec)


class ScopedResourceSelectorRequirement(Model):
    """Scoped Resource Selector Requirement."""

    operator: Annotated[str | None, REQUIRED] = None
    scopeName: Annotated[str | None, REQUIRED] = None
    values: Annotated[list[str] | None, ATOMIC] = None


class ScopeSelector(Model):
    """Scope Selector."""

    ATOMIC = True

    matchExpressions: Annotated[list[ScopedResourceSelectorRequirement] | None, ATOMIC] = None


class ResourceQuotaSpec(Model):
    """What is wanted of a Resource Quota."""

    hard: dict[str, Quantity] | None = None
    scopeSelector: ScopeSelector | None = None
    scopes: Annotated[list[str] | None, ATOMIC] = None


class ResourceQuotaStatus(Model):
    """What has been observed of a Resource Quota."""

    hard: dict[str, Quantity] | None = None
    used: dict[str, Quantity] | None = None


class ResourceQuota(Kind):
    """Resource Quota."""

    spec: ResourceQuotaSpec = Field(default_factory=ResourceQuotaSpec)
    status: ResourceQuotaStatus = Field(default_factory=ResourceQuotaStatus)
