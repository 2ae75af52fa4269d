"""The ownership graph: what has to be looked at after a change. And discovery, which feeds it."""

import pytest

from api import resources
from api.types import Object
from controllers.discovery import from_aggregated, from_list
from controllers.garbage.graph import FOREGROUND, ORPHAN, Graph, node_from


def obj(
    uid: str, *owners: str, block: bool = False, deleting: bool = False, finalizers: tuple[str, ...] = ()
) -> Object:
    refs = [{"uid": o, "apiVersion": "v1", "kind": "ConfigMap", "name": o, "blockOwnerDeletion": block} for o in owners]
    metadata: Object = {
        "uid": uid,
        "name": uid,
        "namespace": "ns",
        "ownerReferences": refs,
        "finalizers": list(finalizers),
    }
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"metadata": metadata}


def put(graph: Graph, *args: object, **kwargs: object) -> set[str]:
    return graph.put(node_from(resources.CONFIGMAPS, obj(*args, **kwargs)))  # type: ignore[arg-type]


@pytest.fixture
def graph() -> Graph:
    found = Graph()
    put(found, "owner")
    put(found, "a", "owner", block=True)
    put(found, "b", "owner")
    return found


def test_known_owners_need_no_look(graph: Graph) -> None:
    assert graph.unowned() == set()
    assert put(graph, "c", "owner") == set()
    assert {n.uid for n in graph.dependents("owner")} == {"a", "b", "c"}
    assert [n.uid for n in graph.blocking("owner")] == ["a"]


def test_an_unknown_owner_does(graph: Graph) -> None:
    assert put(graph, "c", "ghost") == {"c"}
    assert graph.unowned() == {"c"}
    assert put(graph, "ghost") == set() and graph.unowned() == set()


def test_dependents_are_looked_at_when_their_owner_goes(graph: Graph) -> None:
    assert graph.remove("owner") == {"a", "b"}
    assert graph.remove("owner") == set()


def test_foreground_deletion_looks_at_all_and_again_when_one_goes(graph: Graph) -> None:
    assert put(graph, "owner", deleting=True, finalizers=(FOREGROUND,)) == {"owner", "a", "b"}
    assert put(graph, "owner", deleting=True, finalizers=(FOREGROUND,)) == set()
    assert graph.in_transition() == {"owner", "a", "b"}
    assert graph.remove("a") == {"owner"}


def test_an_owner_waits_no_more_for_who_stops_blocking(graph: Graph) -> None:
    put(graph, "owner", deleting=True, finalizers=(FOREGROUND,))
    assert put(graph, "a", "owner", block=False) == {"owner"}
    assert put(graph, "b") == {"owner"}
    assert [n.uid for n in graph.dependents("owner")] == ["a"]


def test_orphaning_looks_at_the_owner(graph: Graph) -> None:
    assert put(graph, "owner", finalizers=(ORPHAN,)) == set()
    assert put(graph, "owner", deleting=True, finalizers=(ORPHAN,)) == {"owner"}


def test_a_circle_is_no_trouble() -> None:
    graph = Graph()
    put(graph, "a", "b")
    put(graph, "b", "a")
    assert graph.unowned() == set() and graph.remove("a") == {"b"}


def test_plain_discovery() -> None:
    verbs = ["create", "delete", "get", "list", "watch"]
    rows = [
        {"name": "widgets", "kind": "Widget", "namespaced": True, "verbs": verbs},
        {"name": "widgets/status", "kind": "Widget", "namespaced": True, "verbs": ["get"]},
    ]
    [widget] = from_list({"groupVersion": "example.com/v1", "resources": rows})
    assert (widget.qualified, widget.kind, widget.namespaced) == ("widgets.example.com", "Widget", True)


def test_aggregated_discovery_takes_the_preferred_version_and_known_rows() -> None:
    def version(name: str, *plurals: str) -> Object:
        rows = [
            {"resource": p, "responseKind": {"kind": p.title()}, "scope": "Namespaced", "verbs": ["list"]}
            for p in plurals
        ]
        return {"version": name, "resources": rows}

    groups = [{"metadata": {"name": "example.com"}, "versions": [version("v2", "new"), version("v1", "new", "old")]}]
    pods = {
        "resource": "pods",
        "responseKind": {"kind": "Pod"},
        "scope": "Namespaced",
        "verbs": list(resources.PODS.verbs),
    }
    core = {"metadata": {}, "versions": [{"version": "v1", "resources": [pods]}]}
    found = from_aggregated({"items": [*groups, core]})
    assert [(r.plural, r.version) for r in found] == [("new", "v2"), ("old", "v1"), ("pods", "v1")]
    assert found[-1] is resources.PODS
