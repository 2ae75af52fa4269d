"""RBAC escalation prevention: nobody hands out by role or binding what he does not have himself.

Source: Kubernetes, "Privilege escalation prevention and bootstrapping". The way around are the verbs `escalate` on roles and
`bind` on the role that is bound.
"""

from api import errors
from api.resources import CLUSTERROLEBINDINGS, CLUSTERROLES, ROLEBINDINGS, ROLES
from api.types import Object
from apiserver.auth.attributes import Attributes, Authorizer
from apiserver.auth.rbac import RbacIndex
from apiserver.auth.rules import Rule, compact, describe, uncovered
from apiserver.auth.user import MASTERS
from apiserver.plugins import AdmissionRequest

GROUP = "rbac.authorization.k8s.io"


class RbacEscalation:
    """Promises: a role is written only by who holds all its rules or may `escalate`; a binding only by who holds all rules of
    its role or may `bind` it; changes that leave rules, or role and subjects, as they are need neither."""

    def __init__(self, authorizer: Authorizer, index: RbacIndex) -> None:
        self._authorizer = authorizer
        self._index = index

    async def __call__(self, request: AdmissionRequest) -> None:
        """Check one write of a role or a binding."""
        new, old = request.object, request.old
        if new is None or request.operation not in ("CREATE", "UPDATE") or request.resource.group != GROUP:
            return
        if MASTERS in request.user.groups:
            return
        if request.resource in (ROLES, CLUSTERROLES):
            self._role(request, new, old)
        elif request.resource in (ROLEBINDINGS, CLUSTERROLEBINDINGS):
            self._binding(request, new, old)

    def _role(self, request: AdmissionRequest, new: Object, old: Object | None) -> None:
        if old is not None and _rules(old) == _rules(new) and old.get("aggregationRule") == new.get("aggregationRule"):
            return
        resource = request.resource
        asked = Attributes(
            request.user, "escalate", GROUP, resource.version, resource.plural, "", request.namespace, request.name
        )
        if self._authorizer.authorize(asked).allowed:
            return
        wanted = _rules(new)
        if new.get("aggregationRule") and (old is None or old.get("aggregationRule") != new.get("aggregationRule")):
            wanted = [
                *wanted,
                {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
                {"nonResourceURLs": ["*"], "verbs": ["*"]},
            ]
        self._require(request, wanted)

    def _binding(self, request: AdmissionRequest, new: Object, old: Object | None) -> None:
        same = ("roleRef", "subjects")
        if old is not None and all((old.get(field) or None) == (new.get(field) or None) for field in same):
            return
        ref = new.get("roleRef") or {}
        kind, name = str(ref.get("kind", "")), str(ref.get("name", ""))
        plural = "clusterroles" if kind == "ClusterRole" else "roles"
        asked = Attributes(request.user, "bind", GROUP, request.resource.version, plural, "", request.namespace, name)
        if self._authorizer.authorize(asked).allowed:
            return
        rules = self._index.role_rules(kind, name, request.namespace)
        if rules is None:
            missing = CLUSTERROLES if kind == "ClusterRole" else ROLES
            raise errors.not_found(missing, name)
        self._require(request, list(rules))

    def _require(self, request: AdmissionRequest, wanted: list[Rule]) -> None:
        owned = [rule for rule, _ in self._index.rules_for(request.user, request.namespace)]
        missing = uncovered(owned, wanted)
        if missing:
            listed = "\n".join(describe(rule) for rule in compact(missing))
            groups = " ".join(f'"{group}"' for group in request.user.groups)
            why = (
                f'user "{request.user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n'
                f"{listed}"
            )
            raise errors.forbidden(request.resource, request.name, why)


def _rules(role: Object) -> list[Rule]:
    return list(role.get("rules") or ())
