"""Sets of fields, and merging by ownership."""

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from api import kinds, resources
from apiserver.managed import objects, schema, sets
from apiserver.managed.sets import Fields

POD = schema.root(kinds.load(resources.PODS))
CONFIGMAP = schema.root(kinds.load(resources.CONFIGMAPS))

_names = st.sampled_from(["f:a", "f:b", "f:c"])
_trees: st.SearchStrategy[Fields] = st.recursive(
    st.just({}), lambda inner: st.dictionaries(_names, inner, min_size=1, max_size=3), max_leaves=8
).filter(bool)


def members(tree: Fields) -> set[str]:
    return set(sets.paths(tree))


@given(_trees, _trees)
def test_set_operations_are_those_of_their_members(left: Fields, right: Fields) -> None:
    assert members(sets.join(left, right)) == members(left) | members(right)
    assert members(sets.difference(left, right)) == members(left) - members(right)
    assert members(sets.intersection(left, right)) == members(left) & members(right)


@given(_trees, _trees)
def test_set_operations_leave_their_arguments_alone(left: Fields, right: Fields) -> None:
    before = copy.deepcopy((left, right))
    sets.join(left, right)
    sets.difference(left, right)
    sets.intersection(left, right)
    assert (left, right) == before


_data = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"), max_size=3)


@given(_data, _data)
def test_what_changed_and_what_went_are_told_apart(old: dict[str, str], new: dict[str, str]) -> None:
    changed, removed = objects.compare(CONFIGMAP, {"data": old}, {"data": new})
    assert {p for p in members(changed) if p != ".data"} == {f".data.{k}" for k in new if old.get(k) != new[k]}
    assert members(removed) <= {f".data.{k}" for k in old if k not in new}


def containers(*items: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"containers": list(items)}}


def test_keyed_lists_merge_by_key_in_the_applied_order() -> None:
    live = containers({"name": "a", "image": "1"}, {"name": "b", "image": "1"})
    merged = objects.merge(POD, live, containers({"name": "b", "image": "2"}, {"name": "c", "image": "3"}))
    assert merged == containers({"name": "a", "image": "1"}, {"name": "b", "image": "2"}, {"name": "c", "image": "3"})


def test_ports_without_a_protocol_are_tcp_ports() -> None:
    live = containers({"name": "a", "ports": [{"containerPort": 80, "protocol": "TCP", "name": "web"}]})
    merged = objects.merge(POD, live, containers({"name": "a", "ports": [{"containerPort": 80, "name": "http"}]}))
    assert merged["spec"]["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP", "name": "http"}]


def test_removing_fields_keeps_what_others_hold() -> None:
    value = containers({"name": "a", "image": "1", "imagePullPolicy": "Always"}, {"name": "b", "image": "1"})
    mine = objects.extract(POD, value, containers=False)
    others: Fields = {"f:spec": {"f:containers": {'k:{"name":"a"}': {"f:imagePullPolicy": {}}}}}
    assert objects.remove(POD, value, mine, others) == containers({"imagePullPolicy": "Always"})


def test_paths_read_as_kubernetes_writes_them() -> None:
    value = containers({"name": "a", "image": "1", "ports": [{"containerPort": 80, "protocol": "UDP"}]})
    assert '.spec.containers[name="a"].image' in members(objects.extract(POD, value, containers=False))
    tree = objects.extract(POD, value, containers=False)
    assert '.spec.containers[name="a"].ports[containerPort=80,protocol="UDP"]' in members(tree)
