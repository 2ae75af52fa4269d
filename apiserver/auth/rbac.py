"""RBAC: indexes of roles and bindings, fed by events of the watch cache, and decisions from them.

A user's rules are compiled once into a table keyed by group and resource and kept until a role or a binding changes; a
decision is then two or three dictionary look-ups. Source: the RBAC reference of Kubernetes.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from api.types import Object
from apiserver.auth.attributes import NO_OPINION, Attributes, Decision, Verdict
from apiserver.auth.rules import Rule, matches_path
from apiserver.auth.user import User, service_account_name

ROLES, CLUSTER_ROLES = "roles", "clusterroles"
ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS = "rolebindings", "clusterrolebindings"
KINDS = (ROLES, CLUSTER_ROLES, ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS)

COMPILED_MAX = 4096
"""How many (user, namespace) tables are kept; past it the cache starts anew."""

Key = tuple[str, str]
"""(namespace or "", name)."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A role handed to subjects: `role` is None for a ClusterRole, else the namespace of the Role."""

    namespace: str
    name: str
    role_kind: str
    role_name: str
    subjects: tuple[Object, ...]

    def describe(self, subject: Object) -> str:
        """Return the reason an allowed decision gives."""
        kind = "RoleBinding" if self.namespace else "ClusterRoleBinding"
        name = f"{self.name}/{self.namespace}" if self.namespace else self.name
        who = subject.get("name", "")
        if subject.get("kind") == "ServiceAccount":
            who = f"{who}/{subject.get('namespace') or self.namespace}"
        return (
            f'RBAC: allowed by {kind} "{name}" of {self.role_kind} "{self.role_name}" to {subject.get("kind")} "{who}"'
        )


@dataclass(slots=True)
class RuleTable:
    """The rules of one user in one scope, ready for look-up: (group, resource) -> [(verbs, names or None, reason)]."""

    resources: dict[tuple[str, str], list[tuple[frozenset[str], frozenset[str] | None, str]]] = field(
        default_factory=dict
    )
    paths: list[tuple[frozenset[str], str, str]] = field(default_factory=list)

    def add(self, rule: Rule, reason: str) -> None:
        """Take in one rule."""
        verbs = frozenset(rule.get("verbs") or ())
        names = frozenset(rule.get("resourceNames") or ()) or None
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                self.resources.setdefault((group, resource), []).append((verbs, names, reason))
        self.paths += [(verbs, url, reason) for url in rule.get("nonResourceURLs") or ()]

    def allows(self, verb: str, group: str, resource: str, subresource: str, name: str) -> str | None:
        """Return the reason why the request is allowed; None when no rule allows it."""
        table = self.resources
        asked = f"{resource}/{subresource}" if subresource else resource
        patterns = (asked, "*", f"*/{subresource}") if subresource else (asked, "*")
        for a_group in (group, "*"):
            for pattern in patterns:
                for verbs, names, reason in table.get((a_group, pattern), ()):
                    if (verb in verbs or "*" in verbs) and (names is None or name in names):
                        return reason
        return None

    def allows_path(self, verb: str, path: str) -> str | None:
        """Return the reason why the path is allowed; None when no rule allows it."""
        for verbs, pattern, reason in self.paths:
            if (verb in verbs or "*" in verbs) and matches_path(path, pattern):
                return reason
        return None


def _subject_key(subject: Object, binding_namespace: str) -> str | None:
    kind, name = subject.get("kind"), subject.get("name", "")
    if kind == "User":
        return f"u:{name}"
    if kind == "Group":
        return f"g:{name}"
    if kind == "ServiceAccount":
        namespace = subject.get("namespace") or binding_namespace
        return f"u:{service_account_name(namespace, name)}" if namespace else None
    return None


class RbacIndex:
    """Roles and bindings as last seen, indexed by subject. Fed by `apply` and `remove`; read by `rules_for`."""

    def __init__(self) -> None:
        self._roles: dict[tuple[str, str, str], tuple[Rule, ...]] = {}
        self._bindings: dict[tuple[str, str, str], Binding] = {}
        self._by_subject: dict[tuple[str, str], dict[str, tuple[Binding, Object]]] = defaultdict(dict)
        self.generation = 0

    def apply(self, plural: str, obj: Object) -> None:
        """Take in a new or changed role or binding; `plural` is one of KINDS."""
        meta = obj["metadata"]
        key = (plural, meta.get("namespace", ""), meta["name"])
        if plural in (ROLES, CLUSTER_ROLES):
            rules = tuple(obj.get("rules") or ())
            if self._roles.get(key) == rules:
                return
            self._roles[key] = rules
        else:
            self._forget_binding(key)
            self._index_binding(key, obj)
        self.generation += 1

    def remove(self, plural: str, namespace: str, name: str) -> None:
        """Forget a deleted role or binding."""
        key = (plural, namespace, name)
        self._roles.pop(key, None)
        self._forget_binding(key)
        self.generation += 1

    def _index_binding(self, key: tuple[str, str, str], obj: Object) -> None:
        ref = obj.get("roleRef") or {}
        subjects = tuple(obj.get("subjects") or ())
        binding = Binding(key[1], key[2], str(ref.get("kind", "")), str(ref.get("name", "")), subjects)
        self._bindings[key] = binding
        for subject in subjects:
            if subject_key := _subject_key(subject, binding.namespace):
                self._by_subject[(binding.namespace, subject_key)].setdefault(binding.name, (binding, subject))

    def _forget_binding(self, key: tuple[str, str, str]) -> None:
        if binding := self._bindings.pop(key, None):
            for subject in binding.subjects:
                if subject_key := _subject_key(subject, binding.namespace):
                    self._by_subject[(binding.namespace, subject_key)].pop(binding.name, None)

    def role_rules(self, kind: str, name: str, namespace: str = "") -> tuple[Rule, ...] | None:
        """Return the rules of a Role or ClusterRole; None when there is no such role."""
        if kind == "ClusterRole":
            return self._roles.get((CLUSTER_ROLES, "", name))
        return self._roles.get((ROLES, namespace, name))

    def rules_for(self, user: User, namespace: str) -> Iterator[tuple[Rule, str]]:
        """Yield (rule, reason) of every rule bound to the user cluster-wide and, if one is given, in the namespace."""
        keys = [f"u:{user.name}", *(f"g:{group}" for group in user.groups)]
        for scope in ("", namespace) if namespace else ("",):
            for key in keys:
                for binding, subject in self._by_subject.get((scope, key), {}).values():
                    rules = self.role_rules(binding.role_kind, binding.role_name, binding.namespace)
                    reason = binding.describe(subject)
                    for rule in rules or ():
                        yield rule, reason


class RbacAuthorizer:
    """Allows what a rule allows; has no opinion on anything else."""

    def __init__(self, index: RbacIndex) -> None:
        self._index = index
        self._compiled: dict[tuple[User, str], RuleTable] = {}
        self._generation = -1

    def table(self, user: User, namespace: str) -> RuleTable:
        """Return the user's compiled rules for a namespace ("" for the cluster scope)."""
        if self._generation != self._index.generation or len(self._compiled) > COMPILED_MAX:
            self._compiled.clear()
            self._generation = self._index.generation
        table = self._compiled.get((user, namespace))
        if table is None:
            table = self._compiled[(user, namespace)] = RuleTable()
            for rule, reason in self._index.rules_for(user, namespace):
                table.add(rule, reason)
        return table

    def authorize(self, attributes: Attributes) -> Decision:
        """Return ALLOW with the binding and role that allow it, else NO_OPINION."""
        table = self.table(attributes.user, attributes.namespace)
        if attributes.is_resource:
            reason = table.allows(
                attributes.verb, attributes.group, attributes.resource, attributes.subresource, attributes.name
            )
        else:
            reason = table.allows_path(attributes.verb, attributes.path)
        return Decision(Verdict.ALLOW, reason) if reason is not None else NO_OPINION
