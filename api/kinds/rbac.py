"""Kinds of the group rbac.authorization.k8s.io: roles and who has them."""

from typing import Annotated, Self

from pydantic import model_validator

from api.kinds.base import ATOMIC, LISTED, REQUIRED, Model, OneOf
from api.kinds.meta import Kind, LabelSelector


class AggregationRule(Model):
    """The cluster roles whose rules are gathered into one."""

    clusterRoleSelectors: Annotated[list[LabelSelector] | None, ATOMIC] = None


class PolicyRule(Model):
    """Verbs on resources or paths."""

    apiGroups: Annotated[list[str] | None, ATOMIC] = None
    nonResourceURLs: Annotated[list[str] | None, ATOMIC] = None
    resourceNames: Annotated[list[str] | None, ATOMIC] = None
    resources: Annotated[list[str] | None, ATOMIC] = None
    verbs: Annotated[list[str] | None, ATOMIC, LISTED] = None


class ClusterRole(Kind):
    """Rights everywhere in the cluster, or in whichever namespace they are bound."""

    aggregationRule: AggregationRule | None = None
    rules: Annotated[list[PolicyRule] | None, ATOMIC] = None


class RoleRef(Model):
    """The role that is given."""

    ATOMIC_MAP = True

    apiGroup: str = "rbac.authorization.k8s.io"
    kind: Annotated[str | None, LISTED] = None
    name: Annotated[str | None, REQUIRED] = None

    @model_validator(mode="after")
    def _default(self) -> Self:
        self.apiGroup = self.apiGroup or "rbac.authorization.k8s.io"
        return self


class Subject(Model):
    """Who gets a role."""

    ATOMIC_MAP = True

    apiGroup: str | None = None
    kind: Annotated[str | None, REQUIRED, OneOf("ServiceAccount", "User", "Group")] = None
    name: Annotated[str | None, REQUIRED] = None
    namespace: str | None = None

    @model_validator(mode="after")
    def _default(self) -> Self:
        if not self.apiGroup and self.kind in ("User", "Group"):
            self.apiGroup = "rbac.authorization.k8s.io"
        return self


class ClusterRoleBinding(Kind):
    """Gives a cluster role to subjects, everywhere."""

    roleRef: Annotated[RoleRef | None, REQUIRED] = None
    subjects: Annotated[list[Subject] | None, ATOMIC] = None


class Role(Kind):
    """Rights within a namespace."""

    rules: Annotated[list[PolicyRule] | None, ATOMIC] = None


class RoleBinding(Kind):
    """Gives a role to subjects, within a namespace."""

    roleRef: Annotated[RoleRef | None, REQUIRED] = None
    subjects: Annotated[list[Subject] | None, ATOMIC] = None
