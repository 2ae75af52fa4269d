"""What one RBAC rule permits, and whether a set of rules covers another. Pure functions on plain rules.

Source: the RBAC reference of Kubernetes ("Referring to resources", "Privilege escalation prevention").
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

Rule = Mapping[str, Any]
"""A PolicyRule: apiGroups, resources, resourceNames, nonResourceURLs, verbs."""


def _list(rule: Rule, field: str) -> Sequence[str]:
    return rule.get(field) or ()


def matches_resource(asked: str, resource: str, subresource: str, pattern: str) -> bool:
    """Tell whether a rule's resource pattern (`*`, `pods`, `pods/log`, `*/scale`) stands for the resource asked for."""
    return pattern in ("*", asked) or bool(subresource and pattern == f"*/{subresource}")


def matches_path(path: str, pattern: str) -> bool:
    """Tell whether a nonResourceURL (`*`, exact, or with a closing `*`) stands for a path."""
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern.rstrip("*")))


def permits(rule: Rule, verb: str, group: str, resource: str, subresource: str = "", name: str = "") -> bool:
    """Tell whether one rule allows the verb on a resource; a rule with names never allows a request without one."""
    verbs, groups = _list(rule, "verbs"), _list(rule, "apiGroups")
    if verb not in verbs and "*" not in verbs:
        return False
    if group not in groups and "*" not in groups:
        return False
    asked = f"{resource}/{subresource}" if subresource else resource
    if not any(matches_resource(asked, resource, subresource, pattern) for pattern in _list(rule, "resources")):
        return False
    names = _list(rule, "resourceNames")
    return not names or name in names


def permits_path(rule: Rule, verb: str, path: str) -> bool:
    """Tell whether one rule allows the verb on a path that is no resource."""
    verbs = _list(rule, "verbs")
    if verb not in verbs and "*" not in verbs:
        return False
    return any(matches_path(path, pattern) for pattern in _list(rule, "nonResourceURLs"))


def _atoms(rule: Rule) -> Iterator[Rule]:
    """Break a rule into rules of one verb and one group, resource and name (or one path) each."""
    for verb, url in product(_list(rule, "verbs"), _list(rule, "nonResourceURLs")):
        yield {"verbs": [verb], "nonResourceURLs": [url]}
    names: Sequence[str | None] = _list(rule, "resourceNames") or (None,)
    for verb, group, resource, name in product(
        _list(rule, "verbs"), _list(rule, "apiGroups"), _list(rule, "resources"), names
    ):
        atom = {"verbs": [verb], "apiGroups": [group], "resources": [resource]}
        yield {**atom, "resourceNames": [name]} if name is not None else atom


def _covers_atom(owner: Rule, atom: Rule) -> bool:
    verb = atom["verbs"][0]
    verbs = _list(owner, "verbs")
    if verb not in verbs and "*" not in verbs:
        return False
    if urls := atom.get("nonResourceURLs"):
        return any(matches_path(urls[0], pattern) for pattern in _list(owner, "nonResourceURLs"))
    groups = _list(owner, "apiGroups")
    if atom["apiGroups"][0] not in groups and "*" not in groups:
        return False
    resource, _, subresource = atom["resources"][0].partition("/")
    asked = atom["resources"][0]
    if not any(matches_resource(asked, resource, subresource, pattern) for pattern in _list(owner, "resources")):
        return False
    names, wanted = _list(owner, "resourceNames"), atom.get("resourceNames")
    return not names or bool(wanted and wanted[0] in names)


def uncovered(owned: Sequence[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """Return the parts of `wanted` that `owned` does not include, one verb and one resource each.

    An empty list means that whoever owns the rules may hand out all of `wanted`.
    """
    return [atom for rule in wanted for atom in _atoms(rule) if not any(_covers_atom(owner, atom) for owner in owned)]


def _go(values: Sequence[str]) -> str:
    return "[" + " ".join(f'"{value}"' for value in values) + "]"


def describe(rule: Rule) -> str:
    """Return a rule as escalation errors print it: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`."""
    named = {
        "NonResourceURLs": _list(rule, "nonResourceURLs"),
        "APIGroups": _list(rule, "apiGroups"),
        "Resources": _list(rule, "resources"),
        "ResourceNames": _list(rule, "resourceNames"),
        "Verbs": _list(rule, "verbs"),
    }
    return "{" + ", ".join(f"{label}:{_go(values)}" for label, values in named.items() if values) + "}"


def compact(rules: Iterable[Rule]) -> list[Rule]:
    """Join atoms that differ in their verb alone, so that a message names each resource once."""
    joined: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for rule in rules:
        key = tuple(
            tuple(_list(rule, field)) for field in ("nonResourceURLs", "apiGroups", "resources", "resourceNames")
        )
        verbs = joined.setdefault(key, [])
        verbs += [verb for verb in _list(rule, "verbs") if verb not in verbs]
    fields = ("nonResourceURLs", "apiGroups", "resources", "resourceNames")
    return [
        {**{field: list(values) for field, values in zip(fields, key, strict=True) if values}, "verbs": verbs}
        for key, verbs in joined.items()
    ]
