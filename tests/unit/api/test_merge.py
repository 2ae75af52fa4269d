"""The three patches. Strategic merges are those that kubectl sends; properties come from the RFCs."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import BadRequest, Invalid, RequestEntityTooLarge
from api.kinds.apps import Deployment
from api.kinds.base import Model
from api.kinds.core import ConfigMap, Pod, Service, ServiceAccount
from api.kinds.policy import PodDisruptionBudget
from api.merge import json_merge, json_patch, strategic_merge

VALUES = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=3), VALUES, max_size=4)


def merged(model: type[Model], current: Any, patch: Any) -> Any:
    kept, sent = deepcopy(current), deepcopy(patch)
    result = strategic_merge(model, current, patch)
    assert (current, patch) == (kept, sent), "arguments are read-only"
    return result


class TestJsonMerge:
    @pytest.mark.parametrize(
        ("current", "patch", "wanted"),
        [  # the table of RFC 7386, appendix A
            ({"a": "b"}, {"a": "c"}, {"a": "c"}),
            ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
            ({"a": "b"}, {"a": None}, {}),
            ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
            ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
            ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
            ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
            ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
            (["a", "b"], ["c", "d"], ["c", "d"]),
            ({"a": "b"}, ["c"], ["c"]),
            ({"a": "foo"}, None, None),
            ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
            ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
            ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ],
    )
    def test_follows_the_rfc(self, current: Any, patch: Any, wanted: Any) -> None:
        assert json_merge(current, patch) == wanted

    @given(OBJECTS, OBJECTS)
    def test_applying_twice_is_applying_once(self, current: Any, patch: Any) -> None:
        once = json_merge(current, patch)
        assert json_merge(once, patch) == once


class TestJsonPatch:
    def test_operations_apply_in_order(self) -> None:
        operations = [
            {"op": "test", "path": "/a", "value": 1},
            {"op": "add", "path": "/b", "value": [1]},
            {"op": "add", "path": "/b/-", "value": 2},
            {"op": "move", "from": "/a", "path": "/c"},
        ]
        assert json_patch({"a": 1}, operations) == {"b": [1, 2], "c": 1}

    def test_the_object_is_not_changed(self) -> None:
        current = {"a": {"b": 1}}
        json_patch(current, [{"op": "remove", "path": "/a/b"}])
        assert current == {"a": {"b": 1}}

    @pytest.mark.parametrize(
        "operations",
        [
            [{"op": "test", "path": "/a", "value": 2}],
            [{"op": "remove", "path": "/missing"}],
            [{"op": "replace", "path": "/x/y", "value": 1}],
            [{"op": "replace", "path": "", "value": 1}],
        ],
    )
    def test_what_cannot_be_applied_is_invalid(self, operations: Any) -> None:
        with pytest.raises(Invalid):
            json_patch({"a": 1}, operations)

    def test_the_failing_operation_is_named_and_the_object_is_not_printed(self) -> None:
        with pytest.raises(Invalid) as caught:
            json_patch({"a": {"secret": 1}}, [{"op": "add", "path": "/a/b/c", "value": 1}])
        assert caught.value.message == 'add operation does not apply: doc is missing path: "/a/b/c": missing value'
        with pytest.raises(Invalid, match="testing value /a failed"):
            json_patch({"a": 1}, [{"op": "test", "path": "/a", "value": 2}])

    @pytest.mark.parametrize("operations", [{}, [1], [{"op": "jump", "path": "/a"}], [{"op": "add"}]])
    def test_what_is_no_patch_is_a_bad_request(self, operations: Any) -> None:
        with pytest.raises(BadRequest):
            json_patch({}, operations)

    def test_too_many_operations_are_refused(self) -> None:
        with pytest.raises(RequestEntityTooLarge):
            json_patch({}, [{"op": "add", "path": "/a", "value": 1}] * 10_001)


def deployment(*containers: Any, **spec: Any) -> Any:
    return {"spec": {"template": {"spec": {"containers": list(containers), **spec}}}}


class TestStrategicMerge:
    def test_containers_merge_by_name(self) -> None:
        current = deployment({"name": "a", "image": "a:1", "tty": True}, {"name": "b", "image": "b:1"})
        patch = deployment({"name": "a", "image": "a:2"})
        assert merged(Deployment, current, patch) == deployment(
            {"name": "a", "image": "a:2", "tty": True}, {"name": "b", "image": "b:1"}
        )

    def test_the_order_that_kubectl_sends_is_the_result(self) -> None:
        current = deployment({"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"})
        spec = {
            "$setElementOrder/containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}],
            "containers": [{"name": "c", "image": "c:1"}, {"name": "b", "image": "b:2"}],
        }
        found = merged(Deployment, current, {"spec": {"template": {"spec": spec}}})
        assert found == deployment(
            {"name": "c", "image": "c:1"}, {"name": "b", "image": "b:2"}, {"name": "a", "image": "a:1"}
        )

    def test_elements_that_the_order_does_not_name_keep_their_place(self) -> None:
        current = deployment({"name": "a"}, {"name": "injected"}, {"name": "b"})
        spec = {"$setElementOrder/containers": [{"name": "a"}, {"name": "b"}]}
        assert merged(Deployment, current, {"spec": {"template": {"spec": spec}}}) == current

    def test_a_patch_list_against_its_own_order_is_refused(self) -> None:
        spec = {
            "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
            "containers": [{"name": "b"}, {"name": "a"}],
        }
        with pytest.raises(BadRequest, match="doesn't match"):
            merged(Deployment, deployment(), {"spec": {"template": {"spec": spec}}})

    def test_delete_removes_one_element(self) -> None:
        current = deployment({"name": "a"}, {"name": "b"})
        assert merged(Deployment, current, deployment({"name": "a", "$patch": "delete"})) == deployment({"name": "b"})

    def test_replace_in_a_list_replaces_it(self) -> None:
        current = deployment({"name": "a", "image": "x"}, {"name": "b"})
        found = merged(Deployment, current, deployment({"name": "a"}, {"$patch": "replace"}))
        assert found == deployment({"name": "a"})

    def test_replace_and_delete_of_an_object(self) -> None:
        current = {"data": {"a": "1", "b": "2"}}
        assert merged(ConfigMap, current, {"data": {"$patch": "replace", "c": "3"}}) == {"data": {"c": "3"}}
        assert merged(ConfigMap, current, {"data": {"$patch": "delete"}}) == {"data": {}}
        assert merged(ConfigMap, current, {"data": {"$patch": "merge", "c": "3"}})["data"]["a"] == "1"

    def test_null_removes_a_key_and_adds_none(self) -> None:
        current = {"metadata": {"labels": {"a": "b"}}}
        patch = {"metadata": {"labels": {"a": None, "c": None}, "annotations": {"x": None}}}
        assert merged(Pod, current, patch) == {"metadata": {"labels": {}, "annotations": {}}}

    def test_volumes_keep_only_the_keys_named(self) -> None:
        current = deployment(volumes=[{"name": "v", "hostPath": {"path": "/x"}}])
        patch = deployment(volumes=[{"name": "v", "$retainKeys": ["name", "emptyDir"], "emptyDir": {}}])
        assert merged(Deployment, current, patch) == deployment(volumes=[{"name": "v", "emptyDir": {}}])

    def test_a_strategy_changes_its_type(self) -> None:
        current = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
        patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate", "rollingUpdate": None}}}
        assert merged(Deployment, current, patch) == {"spec": {"strategy": {"type": "Recreate"}}}

    def test_keys_outside_retain_keys_are_refused(self) -> None:
        with pytest.raises(BadRequest, match="retainKeys"):
            merged(Deployment, {}, {"spec": {"strategy": {"$retainKeys": ["type"], "rollingUpdate": {}}}})

    def test_finalizers_join_and_leave(self) -> None:
        current = {"metadata": {"finalizers": ["a/x", "b/y"]}}
        joined = merged(Pod, current, {"metadata": {"finalizers": ["c/z"]}})
        assert sorted(joined["metadata"]["finalizers"]) == ["a/x", "b/y", "c/z"]
        left = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/x"], "$setElementOrder/finalizers": ["b/y"]}}
        assert merged(Pod, current, left) == {"metadata": {"finalizers": ["b/y"]}}

    def test_service_ports_merge_by_port(self) -> None:
        current = {"spec": {"ports": [{"port": 80, "name": "http", "nodePort": 30080}]}}
        patch = {"spec": {"ports": [{"port": 80, "targetPort": 8080}, {"port": 443, "name": "https"}]}}
        assert merged(Service, current, patch)["spec"]["ports"] == [
            {"port": 80, "name": "http", "nodePort": 30080, "targetPort": 8080},
            {"port": 443, "name": "https"},
        ]

    def test_conditions_merge_by_type(self) -> None:
        current = {"status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "X", "status": "True"}]}}
        patch = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
        assert merged(Pod, current, patch)["status"]["conditions"] == [
            {"type": "Ready", "status": "False"},
            {"type": "X", "status": "True"},
        ]

    def test_lists_without_a_key_are_replaced(self) -> None:
        current = deployment(tolerations=[{"key": "a"}])
        assert merged(Deployment, current, deployment(tolerations=[{"key": "b"}])) == deployment(
            tolerations=[{"key": "b"}]
        )

    def test_a_budget_replaces_its_selector(self) -> None:
        current = {"spec": {"selector": {"matchLabels": {"a": "b"}}}}
        patch = {"spec": {"selector": {"matchLabels": {"c": "d"}}}}
        assert merged(PodDisruptionBudget, current, patch) == patch

    def test_directives_do_not_survive_in_what_is_new(self) -> None:
        patch = deployment(
            {"name": "a", "$setElementOrder/env": [{"name": "E"}], "env": [{"name": "E", "value": None}]}
        )
        assert merged(Deployment, {}, patch) == deployment({"name": "a", "env": [{"name": "E"}]})

    def test_an_element_without_its_key_is_invalid(self) -> None:
        with pytest.raises(Invalid, match="does not contain declared merge key: name"):
            merged(Deployment, deployment({"name": "a"}), deployment({"image": "x"}))

    def test_an_unknown_directive_is_invalid(self) -> None:
        with pytest.raises(Invalid):
            merged(ConfigMap, {}, {"$patch": "explode"})

    def test_secrets_of_an_account_merge_by_name(self) -> None:
        current = {"secrets": [{"name": "a"}]}
        found = merged(ServiceAccount, current, {"secrets": [{"name": "b"}]})
        assert {each["name"] for each in found["secrets"]} == {"a", "b"}

    @given(st.dictionaries(st.text(min_size=1, max_size=3), st.text(max_size=3), max_size=4))
    def test_maps_of_strings_merge_as_json_does(self, data: dict[str, str]) -> None:
        plain = {key: value for key, value in data.items() if not key.startswith("$")}
        current = {"data": {"a": "1", "b": "2"}}
        assert strategic_merge(ConfigMap, current, {"data": plain}) == json_merge(current, {"data": plain})

    @given(st.lists(st.sampled_from("abcdef"), unique=True), st.lists(st.sampled_from("abcdef"), unique=True))
    def test_merging_twice_is_merging_once(self, present: list[str], sent: list[str]) -> None:
        current = deployment(*({"name": name, "image": "old"} for name in present))
        patch = deployment(*({"name": name, "image": "new"} for name in sent))
        once = strategic_merge(Deployment, current, patch)
        assert strategic_merge(Deployment, once, patch) == once
        images = {each["name"]: each["image"] for each in once["spec"]["template"]["spec"]["containers"]}
        assert images == dict.fromkeys(present, "old") | dict.fromkeys(sent, "new")
