"""Decoding: types, unknown and duplicate fields, nulls, defaults. Texts are those of Kubernetes' decoder."""

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import resources
from api.decode import decode, decode_as, find_duplicates
from api.errors import BadRequest
from api.kinds.autoscaling import Scale
from api.types import Object


def pod(**spec: Any) -> Object:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i:1"}], **spec}}


def refused(resource: Any, data: Any, mode: str = "Strict") -> str:
    with pytest.raises(BadRequest) as caught:
        decode(resource, data, mode)
    return caught.value.message


def test_missing_api_version_and_kind_are_filled_in_first() -> None:
    obj, warnings = decode(resources.PODS, pod())
    assert list(obj)[:2] == ["apiVersion", "kind"]
    assert (obj["apiVersion"], obj["kind"], warnings) == ("v1", "Pod", [])


def test_a_body_of_another_version_or_kind_is_refused() -> None:
    said = refused(resources.DEPLOYMENTS, {"apiVersion": "apps/v1beta1", "kind": "Deployment"})
    assert said == "the API version in the data (apps/v1beta1) does not match the expected API version (apps/v1)"
    assert "does not match the expected kind (Pod)" in refused(resources.PODS, {"kind": "Service", "apiVersion": "v1"})


def test_unknown_fields_are_named_by_path_in_strict_mode() -> None:
    data = pod(foo=1)
    data["spec"]["containers"][0]["bar"] = {"x": 1}
    said = refused(resources.PODS, data)
    assert said.startswith('Pod in version "v1" cannot be handled as a Pod: strict decoding error: ')
    assert 'unknown field "spec.containers[0].bar"' in said
    assert 'unknown field "spec.foo"' in said


def test_unknown_fields_are_dropped_and_warned_of() -> None:
    obj, warnings = decode(resources.PODS, pod(foo=1), "Warn")
    assert warnings == ['unknown field "spec.foo"']
    assert "foo" not in obj["spec"]


def test_unknown_fields_are_dropped_silently_when_ignored() -> None:
    obj, warnings = decode(resources.PODS, pod(foo=1), "Ignore", ['duplicate field "a"'])
    assert warnings == []
    assert "foo" not in obj["spec"]


def test_duplicates_join_the_unknown_fields() -> None:
    with pytest.raises(BadRequest) as caught:
        decode(resources.PODS, pod(foo=1), "Strict", ['duplicate field "spec.x"'])
    assert caught.value.message.endswith('strict decoding error: unknown field "spec.foo", duplicate field "spec.x"')
    assert decode(resources.PODS, pod(), "Warn", ['duplicate field "spec.x"'])[1] == ['duplicate field "spec.x"']


@pytest.mark.parametrize("mode", ["Strict", "Warn", "Ignore"])
def test_wrong_types_are_refused_in_every_mode(mode: str) -> None:
    said = refused(resources.DEPLOYMENTS, {"spec": {"replicas": "3"}}, mode)
    assert said == (
        'Deployment in version "v1" cannot be handled as a Deployment: '
        "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
    )


def test_every_wrong_type_is_a_cause_of_its_own() -> None:
    data = pod(terminationGracePeriodSeconds="30", hostNetwork="yes")
    with pytest.raises(BadRequest) as caught:
        decode(resources.PODS, data)
    details = caught.value.details
    assert details is not None
    assert {each["field"] for each in details["causes"]} == {"spec.terminationGracePeriodSeconds", "spec.hostNetwork"}


@pytest.mark.parametrize(
    ("resource", "data", "said"),
    [
        (resources.PODS, [], "cannot unmarshal array into Go value of type Pod"),
        (resources.PODS, {"spec": []}, "cannot unmarshal array into Go struct field Pod.spec of type PodSpec"),
        (resources.PODS, {"metadata": {"labels": {"a": 1}}}, "cannot unmarshal number into Go struct field ObjectMeta"),
        (resources.PODS, pod(hostNetwork=1), "of type bool"),
        (resources.PODS, pod(activeDeadlineSeconds=True), "cannot unmarshal bool into"),
        (resources.PODS, pod(containers={}), "cannot unmarshal object into Go struct field PodSpec.spec.containers"),
        (resources.DEPLOYMENTS, {"spec": {"replicas": 2**31}}, "cannot unmarshal number 2147483648 into"),
        (resources.DEPLOYMENTS, {"spec": {"replicas": 1.5}}, "cannot unmarshal number 1.5 into"),
        (resources.SECRETS, {"data": {"a": "%%"}}, "illegal base64 data at input byte 0"),
        (resources.LEASES, {"spec": {"renewTime": "yesterday"}}, 'parsing time "yesterday"'),
        (
            resources.PODS,
            pod(containers=[{"name": "c", "resources": {"limits": {"cpu": "1x"}}}]),
            "quantities must match the regular expression",
        ),
    ],
)
def test_wrong_types_say_what_was_expected(resource: Any, data: Any, said: str) -> None:
    assert said in refused(resource, data)


def test_null_counts_as_absent_so_that_defaults_stand() -> None:
    data = pod(restartPolicy=None, volumes=[{"name": "v", "emptyDir": None}])
    data["metadata"]["creationTimestamp"] = None
    obj, _ = decode(resources.PODS, data, "Strict")
    assert obj["spec"]["restartPolicy"] == "Always"
    assert obj["spec"]["volumes"] == [{"emptyDir": {}, "name": "v"}]
    assert "creationTimestamp" not in obj["metadata"]


def test_decoding_does_not_change_its_input() -> None:
    data = pod(foo=1, restartPolicy=None)
    before = deepcopy(data)
    decode(resources.PODS, data, "Warn")
    assert data == before


def test_decoding_twice_changes_nothing() -> None:
    once, _ = decode(resources.PODS, pod(volumes=[{"name": "v"}]), "Strict")
    assert decode(resources.PODS, once, "Strict") == (once, [])


def test_quantities_and_times_come_out_in_canonical_form() -> None:
    containers = [{"name": "c", "image": "i", "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}}}]
    data = pod(containers=containers)
    data["metadata"]["deletionTimestamp"] = "2026-01-01T02:00:00.5+02:00"
    obj, _ = decode(resources.PODS, data)
    assert obj["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "500m", "memory": "1Gi"}
    assert obj["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:00Z"
    lease, _ = decode(resources.LEASES, {"spec": {"renewTime": "2026-01-01T00:00:00Z"}})
    assert lease["spec"]["renewTime"] == "2026-01-01T00:00:00.000000Z"


def test_bodies_of_subresources_decode_by_their_model() -> None:
    obj, _ = decode_as(Scale, {"spec": {"replicas": 3}}, "Strict", "Scale", "autoscaling/v1")
    assert obj == {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {},
        "spec": {"replicas": 3},
        "status": {"replicas": 0},
    }


@pytest.mark.parametrize("row", resources.ALL, ids=lambda row: f"{row.group_version}/{row.kind}")
def test_every_registered_kind_has_a_model_that_decodes(row: Any) -> None:
    obj, warnings = decode(row, {"metadata": {"name": "x"}}, "Strict")
    assert (obj["kind"], obj["apiVersion"], warnings) == (row.kind, row.group_version, [])


class TestDuplicates:
    def test_each_repeated_key_is_named_by_path(self) -> None:
        raw = b'{"a":1,"a":2,"b":{"c":[{"d":1,"d":2}]}}'
        assert find_duplicates(raw) == ['duplicate field "a"', 'duplicate field "b.c[0].d"']

    def test_a_key_given_three_times_is_named_once(self) -> None:
        assert find_duplicates(b'{"a":1,"a":2,"a":3}', {"a": 3}) == ['duplicate field "a"']

    def test_text_that_looks_like_keys_is_none(self) -> None:
        assert find_duplicates(b'{"x":"\\":\\":"}', {"x": '":":'}) == []

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
        )
    )
    def test_what_was_written_from_a_dict_has_no_duplicates(self, data: Any) -> None:
        raw = json.dumps({"top": data}).encode()
        assert find_duplicates(raw, json.loads(raw)) == []
