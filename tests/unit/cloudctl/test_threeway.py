"""The patch that `apply` sends."""

from __future__ import annotations

from typing import Any

import pytest

from cloudctl.schema import Document
from cloudctl.threeway import Merge

ENV = {"type": "object", "properties": {"name": {}, "value": {}}}
CONTAINER = {
    "type": "object",
    "properties": {
        "name": {},
        "image": {},
        "args": {"type": "array", "items": {}},
        "env": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/Env"},
            "x-kubernetes-patch-merge-key": "name",
            "x-kubernetes-patch-strategy": "merge",
        },
    },
}
SPEC = {
    "type": "object",
    "properties": {
        "replicas": {},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "strategy": {
            "type": "object",
            "properties": {"type": {}, "rollingUpdate": {}},
            "x-kubernetes-patch-strategy": "retainKeys",
        },
        "finalizers": {"type": "array", "items": {}, "x-kubernetes-patch-strategy": "merge"},
        "containers": {
            "type": "array",
            "items": {"allOf": [{"$ref": "#/components/schemas/Container"}]},
            "x-kubernetes-patch-merge-key": "name",
            "x-kubernetes-patch-strategy": "merge",
        },
    },
}
DOCUMENT = Document({"Container": CONTAINER, "Env": ENV}, SPEC)


def patch(last: Any, wanted: Any, live: Any) -> Any:
    return Merge(DOCUMENT).patch(last, wanted, live, DOCUMENT.root)


def containers(*names: str, **more: Any) -> dict[str, Any]:
    return {"containers": [{"name": name, **more} for name in names]}


@pytest.mark.parametrize(
    ("last", "wanted", "live", "expected"),
    [
        ({}, {"replicas": 3}, {"replicas": 3}, {}),
        ({"replicas": 2}, {"replicas": 3}, {"replicas": 2}, {"replicas": 3}),
        # What was applied and is gone from the manifest goes; what others set stays.
        ({"replicas": 2}, {}, {"replicas": 2}, {"replicas": None}),
        ({}, {}, {"replicas": 5}, {}),
        # Gone from the server already: nothing to remove.
        ({"replicas": 2}, {}, {}, {}),
        ({"labels": {"a": "1", "b": "2"}}, {"labels": {"a": "1"}}, {"labels": {"a": "1", "b": "2", "c": "3"}},
         {"labels": {"b": None}}),
        # Lists without a merge key are replaced whole.
        (containers("a", args=["x"]), containers("a", args=["y"]), containers("a", args=["x"]),
         {"containers": [{"name": "a", "args": ["y"]}], "$setElementOrder/containers": [{"name": "a"}]}),
        # A container that others injected stays; one that the manifest dropped goes; a new one is added.
        (containers("a", "b"), containers("a", "c"), containers("a", "b", "injected"),
         {"containers": [{"name": "c"}, {"$patch": "delete", "name": "b"}],
          "$setElementOrder/containers": [{"name": "a"}, {"name": "c"}]}),
        # Order alone is a change.
        (containers("a", "b"), containers("b", "a"), containers("a", "b"),
         {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}),
        # Server-side defaults inside an item are no change.
        (containers("a"), containers("a"), containers("a", image="default"), {}),
        ({"finalizers": ["x", "y"]}, {"finalizers": ["x", "z"]}, {"finalizers": ["x", "y", "w"]},
         {"finalizers": ["z"], "$deleteFromPrimitiveList/finalizers": ["y"], "$setElementOrder/finalizers": ["x", "z"]}),
        # A changed union names the keys to keep, so that the server's default of the old member goes.
        ({"strategy": {"type": "RollingUpdate"}}, {"strategy": {"type": "Recreate"}},
         {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}},
         {"strategy": {"type": "Recreate", "$retainKeys": ["type"]}}),
    ],
)  # fmt: skip
def test_patches(last: Any, wanted: Any, live: Any, expected: Any) -> None:
    assert patch(last, wanted, live) == expected


def test_a_list_in_a_list_is_merged_through_references() -> None:
    last = containers("a", env=[{"name": "X", "value": "1"}, {"name": "Y", "value": "1"}])
    wanted = containers("a", env=[{"name": "X", "value": "2"}])
    found = patch(last, wanted, last)
    env = found["containers"][0]["env"]
    assert env == [{"name": "X", "value": "2"}, {"$patch": "delete", "name": "Y"}]


def test_without_a_schema_the_patch_is_a_json_merge_patch() -> None:
    found = Merge(None).patch({"a": 1, "l": [1]}, {"l": [1, 2]}, {"a": 1, "l": [1], "other": 1}, None)
    assert found == {"l": [1, 2], "a": None}
