"""The models of rbac."""

from typing import Annotated, Self

from pydantic import model_validator

from api.kinds.base import ATOMIC, LISTED, REQUIRED, Model, OneOf
from api.kinds.meta import Kind, LabelSelector


class AggregationRule(Model):
    """Aggregation Rule."""

    clusterRoleSelectors: Annotated[list[LabelSelector] | None, ATOMIC] = None


class PolicyRule(Model):
    """Policy Rule."""

    apiGroups: Annotated[list[str] | None, ATOMIC] = None
    nonResourceURLs: Annotated[list[str] | None, ATOMIC] = None
    resourceNames: Annotated[list[str] | None, ATOMIC] = None
    resources: Annotated[list[str] | None, ATOMIC] = None
    verbs: Annotated[list[str] | None, ATOMIC, LISTED] = None


class ClusterRole(Kind):
    """Cluster Role."""

    aggregationRule: AggregationRule | None = None
    rules: Annotated[list[PolicyRule] | None, ATOMIC] = None


class RoleRef(Model):
    """Role Ref."""

    ATOMIC = True

    apiGroup: str = "rbac.authorization.k8s.io"
    kind: str | None = None
    name: Annotated[str | None, REQUIRED] = None

    @model_validator(mode="after")
    def _default(self) -> Self:
        self.apiGroup = self.apiGroup or "rbac.authorization.k8s.io"
        return self


class Subject(Model):
    """Subject."""

    ATOMIC = True

    apiGroup: str | None = None
    kind: Annotated[str | None, OneOf("ServiceAccount", "User", "Group")] = None
    name: Annotated[str | None, REQUIRED] = None
    namespace: str | None = None

    @model_validator(mode="after")
    def _default(self) -> Self:
        if not self.apiGroup and self.kind in ("User", "Group"):
            self.apiGroup = "rbac.authorization.k8s.io"
        return self


class ClusterRoleBinding(Kind):
    """Cluster Role Binding."""

    roleRef: Annotated[RoleRef | None, REQUIRED] = None
    subjects: Annotated[list[Subject] | None, ATOMIC] = None


class Role(Kind):
    """Role."""

    rules: Annotated[list[PolicyRule] | None, ATOMIC] = None


class RoleBinding(Kind):
    """Role Binding."""

    roleRef: Annotated[RoleRef | None, REQUIRED] = None
    subjects: Annotated[list[Subject] | None, ATOMIC] = None
