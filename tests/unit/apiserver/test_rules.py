"""One RBAC rule against one request, and rules against rules: tables."""

from typing import Any

import pytest

from apiserver.auth.policy import paths, rule
from apiserver.auth.rules import Rule, compact, describe, permits, permits_path, uncovered

PODS = rule("get list", "core", "pods")


@pytest.mark.parametrize(
    ("given", "asked", "allowed"),
    [
        (PODS, ("get", "", "pods"), True),
        (PODS, ("list", "", "pods"), True),
        (PODS, ("delete", "", "pods"), False),
        (PODS, ("get", "apps", "pods"), False),
        (PODS, ("get", "", "pods", "log"), False),
        (rule("*", "*", "*"), ("delete", "apps", "deployments", "scale", "x"), True),
        (rule("get", "core", "pods/log"), ("get", "", "pods", "log"), True),
        (rule("get", "core", "pods/log"), ("get", "", "pods"), False),
        (rule("update", "*", "*/scale"), ("update", "apps", "deployments", "scale"), True),
        (rule("update", "*", "*/scale"), ("update", "apps", "deployments"), False),
        (rule("get", "core", "configmaps", "one"), ("get", "", "configmaps", "", "one"), True),
        (rule("get", "core", "configmaps", "one"), ("get", "", "configmaps", "", "two"), False),
        (rule("list", "core", "configmaps", "one"), ("list", "", "configmaps", "", ""), False),
        (rule("create", "core", "configmaps", "one"), ("create", "", "configmaps"), False),
    ],
)
def test_a_rule_permits_what_it_names(given: Rule, asked: tuple[str, ...], allowed: bool) -> None:
    assert permits(given, *asked) is allowed


@pytest.mark.parametrize(
    ("pattern", "path", "allowed"),
    [
        ("/healthz", "/healthz", True),
        ("/healthz", "/healthz/ping", False),
        ("/healthz/*", "/healthz/ping", True),
        ("/apis/*", "/apis", False),
        ("*", "/anything", True),
    ],
)
def test_a_rule_permits_paths_exactly_or_by_prefix(pattern: str, path: str, allowed: bool) -> None:
    assert permits_path(paths("get", pattern), "get", path) is allowed


def test_a_path_rule_says_nothing_of_other_verbs() -> None:
    assert not permits_path(paths("get", "*"), "post", "/x")


@pytest.mark.parametrize(
    ("owned", "wanted", "covered"),
    [
        ([PODS], [rule("get", "core", "pods")], True),
        ([PODS], [rule("get delete", "core", "pods")], False),
        ([rule("*", "*", "*")], [rule("escalate", "x", "y/z", "n")], True),
        ([rule("get", "core", "pods"), rule("list", "core", "pods")], [PODS], True),
        ([rule("get", "core", "pods", "one")], [rule("get", "core", "pods")], False),
        ([rule("get", "core", "pods")], [rule("get", "core", "pods", "one")], True),
        ([rule("get", "core", "pods", "one")], [rule("get", "core", "pods", "one two")], False),
        ([rule("get", "core", "*/log")], [rule("get", "core", "pods/log")], True),
        ([rule("get", "core", "pods")], [rule("get", "core", "*")], False),
        ([paths("get", "/a/*")], [paths("get", "/a/b")], True),
        ([paths("get", "/a/b")], [paths("get", "/a/*")], False),
        ([], [], True),
    ],
)
def test_nobody_hands_out_more_than_he_has(owned: list[Rule], wanted: list[Rule], covered: bool) -> None:
    assert (not uncovered(owned, wanted)) is covered


def test_missing_rules_are_told_once_per_resource() -> None:
    missing: list[Any] = uncovered([], [rule("get list", "core", "pods secrets")])
    assert [describe(one) for one in compact(missing)] == [
        '{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}',
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}',
    ]
