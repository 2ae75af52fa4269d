"""What servers and controllers agree on about ClusterRoles. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from api import meta, selectors
from api.types import Object


def aggregated(role: Object, roles: Iterable[Object]) -> list[Object]:
    """The rules of a ClusterRole with an `aggregationRule`: those of all roles it selects, by name, each rule once.

    Source: the Kubernetes documentation, "Using RBAC: Aggregated ClusterRoles".
    """
    rules: list[Object] = []
    chosen = [selectors.from_object(s) for s in role["aggregationRule"].get("clusterRoleSelectors") or ()]
    for other in sorted(roles, key=meta.name):
        if meta.name(other) != meta.name(role) and any(s.matches(meta.labels(other)) for s in chosen):
            rules += [rule for rule in other.get("rules") or () if rule not in rules]
    return rules
