"""Namespaces, their bounds and quotas."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from api.kinds.base import ATOMIC, LISTED, REQUIRED, MergeKey, Model, Quantity, Time
from api.kinds.meta import Kind


class NamespaceSpec(Model):
    """What must be done before a namespace can go."""

    finalizers: Annotated[list[str] | None, ATOMIC] = None


class NamespaceCondition(Model):
    """One condition of a namespace."""

    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: Annotated[str, LISTED] = ""
    type: Annotated[str, LISTED] = ""


class NamespaceStatus(Model):
    """Whether a namespace is in use or on its way out."""

    conditions: Annotated[list[NamespaceCondition] | None, MergeKey("type")] = None
    phase: str = "Active"


class Namespace(Kind):
    """A room of its own for names, rights and quotas."""

    spec: NamespaceSpec = Field(default_factory=NamespaceSpec)
    status: NamespaceStatus = Field(default_factory=NamespaceStatus)


class LimitRangeItem(Model):
    """Bounds and defaults for one type of object."""

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
            self.defaultRequest = {**(self.min or {}), **(self.default or {}), **(self.defaultRequest or {})} or None
        return self


class LimitRangeSpec(Model):
    """The bounds of a namespace."""

    limits: Annotated[list[LimitRangeItem] | None, ATOMIC, LISTED] = None


class LimitRange(Kind):
    """Bounds and defaults for what pods, containers and claims of a namespace ask for."""

    spec: LimitRangeSpec = Field(default_factory=LimitRangeSpec)


class ScopedResourceSelectorRequirement(Model):
    """One requirement of a scope selector."""

    operator: Annotated[str | None, REQUIRED] = None
    scopeName: Annotated[str | None, REQUIRED] = None
    values: Annotated[list[str] | None, ATOMIC] = None


class ScopeSelector(Model):
    """The objects that a quota counts, by scope."""

    ATOMIC_MAP = True

    matchExpressions: Annotated[list[ScopedResourceSelectorRequirement] | None, ATOMIC] = None


class ResourceQuotaSpec(Model):
    """How much of what a namespace may use."""

    hard: dict[str, Quantity] | None = None
    scopeSelector: ScopeSelector | None = None
    scopes: Annotated[list[str] | None, ATOMIC] = None


class ResourceQuotaStatus(Model):
    """How much of what a namespace uses."""

    hard: dict[str, Quantity] | None = None
    used: dict[str, Quantity] | None = None


class ResourceQuota(Kind):
    """Limits what a namespace may use in all."""

    spec: ResourceQuotaSpec = Field(default_factory=ResourceQuotaSpec)
    status: ResourceQuotaStatus = Field(default_factory=ResourceQuotaStatus)
