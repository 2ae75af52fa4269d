"""The rules of metadata, which hold for every kind."""

import pytest

from api import resources as r
from api.types import Object, Resource
from tests.unit.api.objects import GOOD, changed, made, said


class TestMetadata:
    @pytest.mark.parametrize(
        ("resource", "name", "words"),
        [
            (r.PODS, "Upper", "a lowercase RFC 1123 subdomain must consist of"),
            (r.PODS, "a" * 254, "must be no more than 253 bytes"),
            (r.NAMESPACES, "a.b", "a lowercase RFC 1123 label must consist of"),
            (r.SERVICES, "1a", "a DNS-1035 label must consist of"),
            (r.ROLES, "a/b", "may not contain '/'"),
            (r.ROLES, "..", "may not be '..'"),
        ],
    )
    def test_names_follow_the_rule_of_their_kind(self, resource: Resource, name: str, words: str) -> None:
        fields = next(fields for row, fields in GOOD if row is resource)
        (found,) = said(resource, **{**fields, "metadata": {"name": name}})
        assert found.startswith(f'metadata.name: Invalid value: "{name}": ')
        assert words in found

    def test_the_text_about_a_bad_name_is_kubernetes_own(self) -> None:
        (found,) = said(r.CONFIGMAPS, metadata={"name": "A"})
        assert found == (
            'metadata.name: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric '
            "characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex "
            r"used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        )

    def test_rbac_names_may_hold_colons(self) -> None:
        assert said(r.CLUSTERROLES, metadata={"name": "system:x"}) == []

    def test_a_name_is_needed(self) -> None:
        assert said(r.CONFIGMAPS, metadata={}) == ["metadata.name: Required value: name or generateName is required"]

    def test_a_generated_name_may_end_in_a_dash(self) -> None:
        assert said(r.CONFIGMAPS, metadata={"name": "a-b", "generateName": "a-"}) == []
        assert "metadata.generateName" in said(r.CONFIGMAPS, metadata={"name": "a", "generateName": "A-"})[0]

    @pytest.mark.parametrize(
        ("meta", "start"),
        [
            ({"labels": {"a b": "c"}}, 'metadata.labels: Invalid value: "a b": name part must consist of'),
            ({"labels": {"/a": "c"}}, 'metadata.labels: Invalid value: "/a": prefix part must be non-empty'),
            ({"labels": {"a/b/c": "c"}}, 'metadata.labels: Invalid value: "a/b/c": a qualified name must consist of'),
            ({"labels": {"a": "c d"}}, 'metadata.labels: Invalid value: "c d": a valid label must be'),
            (
                {"labels": {"a": "c" * 64}},
                f'metadata.labels: Invalid value: "{"c" * 64}": must be no more than 63 bytes',
            ),
            ({"annotations": {"a b": "c"}}, 'metadata.annotations: Invalid value: "a b"'),
            ({"annotations": {"a": "c" * 262144}}, "metadata.annotations: Too long: may not be more than 262144 bytes"),
            ({"finalizers": ["x"]}, 'metadata.finalizers[0]: Invalid value: "x": name is neither a standard finalizer'),
            ({"ownerReferences": [{}]}, "metadata.ownerReferences[0].apiVersion: Invalid value"),
        ],
    )
    def test_labels_annotations_finalizers_and_owners(self, meta: Object, start: str) -> None:
        assert said(r.CONFIGMAPS, metadata={"name": "x", **meta})[0].startswith(start)

    def test_one_controller_at_most(self) -> None:
        owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "1", "controller": True}
        (found,) = said(r.CONFIGMAPS, metadata={"name": "x", "ownerReferences": [owner, {**owner, "name": "q"}]})
        assert "Only one reference can have Controller set to true" in found

    def test_identity_is_immutable(self) -> None:
        old = made(r.CONFIGMAPS, metadata={"name": "x", "uid": "1"})
        assert changed(r.CONFIGMAPS, old, made(r.CONFIGMAPS, metadata={"name": "y", "uid": "2"})) == [
            'metadata.name: Invalid value: "y": field is immutable',
            'metadata.uid: Invalid value: "2": field is immutable',
        ]

    def test_what_an_update_leaves_out_is_no_change(self) -> None:
        old = made(r.CONFIGMAPS, metadata={"name": "x", "uid": "1", "creationTimestamp": "2026-01-01T00:00:00Z"})
        assert changed(r.CONFIGMAPS, old, made(r.CONFIGMAPS)) == []

    def test_no_finalizer_joins_while_the_object_is_going(self) -> None:
        old = made(
            r.CONFIGMAPS, metadata={"name": "x", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["a/b"]}
        )
        new = made(r.CONFIGMAPS, metadata={"name": "x", "finalizers": ["a/b", "c/d"]})
        (found,) = changed(r.CONFIGMAPS, old, new)
        assert found.startswith("metadata.finalizers: Forbidden: no new finalizers can be added")
