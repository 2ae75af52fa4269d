"""The small notation in which the default roles are written, and the objects made from it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from api.types import Object
from apiserver.auth.rules import Rule

API = "rbac.authorization.k8s.io"
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
BOOTSTRAPPING = {"kubernetes.io/bootstrapping": "rbac-defaults"}
READ = "get list watch"
WRITE = "create delete deletecollection patch update"
ALL = "*"


def rule(verbs: str, groups: str, resources: str, names: str = "") -> Rule:
    """Return a rule from space-separated lists; the group "core" stands for ""."""
    made: dict[str, Any] = {
        "apiGroups": ["" if group == "core" else group for group in groups.split()],
        "resources": resources.split(),
        "verbs": verbs.split(),
    }
    if names:
        made["resourceNames"] = names.split()
    return made


def paths(verbs: str, urls: str) -> Rule:
    """Return a rule about paths that are no resources."""
    return {"nonResourceURLs": urls.split(), "verbs": verbs.split()}


EVENTS = rule("create patch update", "core events.k8s.io", "events")
"""What every component needs to tell what it does."""


@dataclass(frozen=True, slots=True)
class Role:
    """A default (cluster) role: its rules, or the label value it is aggregated by, and labels that aggregate it."""

    name: str
    rules: tuple[Rule, ...] = ()
    aggregates: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    namespace: str = ""

    def as_object(self) -> Object:
        """Return the Role or ClusterRole object."""
        obj: Object = {
            "apiVersion": f"{API}/v1",
            "kind": "Role" if self.namespace else "ClusterRole",
            "metadata": _meta(self.name, self.namespace, {**BOOTSTRAPPING, **self.labels}),
            "rules": [dict(rule) for rule in self.rules],
        }
        if self.aggregates:
            obj["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {_aggregate(self.aggregates): "true"}}]}
        return obj


@dataclass(frozen=True, slots=True)
class Grant:
    """A default binding of a role to subjects; in `namespace`, or cluster-wide when that is empty."""

    name: str
    role: str
    subjects: tuple[Object, ...]
    namespace: str = ""
    role_kind: str = "ClusterRole"

    def as_object(self) -> Object:
        """Return the RoleBinding or ClusterRoleBinding object."""
        return {
            "apiVersion": f"{API}/v1",
            "kind": "RoleBinding" if self.namespace else "ClusterRoleBinding",
            "metadata": _meta(self.name, self.namespace, dict(BOOTSTRAPPING)),
            "roleRef": {"apiGroup": API, "kind": self.role_kind, "name": self.role},
            "subjects": [dict(subject) for subject in self.subjects],
        }


def _meta(name: str, namespace: str, labels: dict[str, str]) -> Object:
    meta: Object = {"name": name, "labels": labels, "annotations": {AUTOUPDATE: "true"}}
    if namespace:
        meta["namespace"] = namespace
    return meta


def _aggregate(target: str) -> str:
    return f"{API}/aggregate-to-{target}"


def aggregate_to(target: str) -> dict[str, str]:
    """Return the label by which a role's rules become part of `admin`, `edit` or `view`."""
    return {_aggregate(target): "true"}


def group(name: str) -> Object:
    """Return a subject that is a group."""
    return {"apiGroup": API, "kind": "Group", "name": name}


def user(name: str) -> Object:
    """Return a subject that is a user."""
    return {"apiGroup": API, "kind": "User", "name": name}


def account(namespace: str, name: str) -> Object:
    """Return a subject that is a ServiceAccount."""
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def merged(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Return the rules without doubles, in order."""
    kept: list[Rule] = []
    for one in rules:
        if one not in kept:
            kept.append(one)
    return tuple(kept)
