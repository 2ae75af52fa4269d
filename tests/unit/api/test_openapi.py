"""OpenAPI: what kubectl looks up in it. Names, references, merge keys, and the operations by which features are found."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from api import openapi
from api.resources import ALL
from api.types import Object

POD = "io.k8s.api.core.v1.Pod"


@cache
def v2() -> Object:
    return openapi.document_v2()


@cache
def v3(name: str) -> Object:
    return openapi.document_v3(name)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def test_every_reference_of_version_2_leads_somewhere() -> None:
    known = {f"#/definitions/{name}" for name in v2()["definitions"]}
    assert set(references(v2())) <= known


@pytest.mark.parametrize("name", openapi.group_versions())
def test_every_reference_of_version_3_stays_in_its_document(name: str) -> None:
    known = {f"#/components/schemas/{each}" for each in v3(name)["components"]["schemas"]}
    assert set(references(v3(name))) <= known


def test_there_is_a_document_per_group_and_version() -> None:
    assert {"api/v1", "apis/apps/v1", "apis/autoscaling/v1", "apis/autoscaling/v2"} <= set(openapi.group_versions())


def test_definitions_have_the_names_of_kubernetes() -> None:
    names = set(v2()["definitions"])
    assert {
        POD,
        f"{POD}List",
        "io.k8s.api.apps.v1.Deployment",
        "io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler",
        "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
        "io.k8s.api.rbac.v1.Role",
        "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
        "io.k8s.apimachinery.pkg.api.resource.Quantity",
    } <= names


@pytest.mark.parametrize("resource", ALL, ids=lambda each: f"{each.group_version}/{each.kind}")
def test_every_kind_is_found_by_its_group_version_and_kind(resource: Any) -> None:
    mark = {"group": resource.group, "kind": resource.kind, "version": resource.version}
    schemas = v3(resource.path_prefix.removeprefix("/"))["components"]["schemas"]
    found = [each for each in schemas.values() if mark in each.get("x-kubernetes-group-version-kind", ())]
    assert len(found) == 1
    assert {"apiVersion", "kind", "metadata"} <= set(found[0]["properties"])


@pytest.mark.parametrize(
    ("model", "field", "wanted"),
    [
        ("PodSpec", "containers", {"x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge"}),
        ("PodSpec", "volumes", {"x-kubernetes-patch-strategy": "merge,retainKeys"}),
        ("PodSpec", "tolerations", {"x-kubernetes-list-type": "atomic"}),
        ("PodSpec", "nodeSelector", {"x-kubernetes-map-type": "atomic"}),
        ("Container", "ports", {"x-kubernetes-list-map-keys": ["containerPort", "protocol"]}),
        ("Container", "ports", {"x-kubernetes-patch-merge-key": "containerPort"}),
        ("ServiceSpec", "ports", {"x-kubernetes-list-map-keys": ["port", "protocol"], "x-kubernetes-list-type": "map"}),
        ("PodSpec", "restartPolicy", {"enum": ["Always", "Never", "OnFailure"], "default": "Always"}),
        ("PodSpec", "terminationGracePeriodSeconds", {"type": "integer", "format": "int64"}),
        ("Secret", "data", {"type": "object", "additionalProperties": {"type": "string", "format": "byte"}}),
    ],
)
def test_fields_carry_what_patching_needs(model: str, field: str, wanted: Object) -> None:
    found = v2()["definitions"][f"io.k8s.api.core.v1.{model}"]["properties"][field]
    assert wanted.items() <= found.items()


def test_a_rollout_strategy_retains_keys() -> None:
    found = v2()["definitions"]["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["strategy"]
    assert found["x-kubernetes-patch-strategy"] == "retainKeys"


def test_in_version_3_nothing_stands_beside_a_reference() -> None:
    spec = v3("api/v1")["components"]["schemas"][POD]["properties"]["spec"]
    assert spec["allOf"] == [{"$ref": "#/components/schemas/io.k8s.api.core.v1.PodSpec"}]
    assert "$ref" not in spec


def test_unions_of_types_are_written_as_each_version_can() -> None:
    name = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
    assert v2()["definitions"][name]["type"] == "string"
    assert v3("api/v1")["components"]["schemas"][name]["oneOf"] == [{"type": "integer"}, {"type": "string"}]


def test_required_fields_are_named() -> None:
    assert v2()["definitions"]["io.k8s.api.core.v1.PodSpec"]["required"] == ["containers"]
    assert v2()["definitions"]["io.k8s.api.apps.v1.DeploymentSpec"]["required"] == ["selector", "template"]


@pytest.mark.parametrize(
    "path",
    [
        "/apis/apps/v1/deployments",
        "/apis/apps/v1/namespaces/{namespace}/deployments",
        "/apis/apps/v1/namespaces/{namespace}/deployments/{name}",
        "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/status",
        "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale",
    ],
)
def test_paths_stand_in_both_versions(path: str) -> None:
    assert path in v2()["paths"]
    assert path in v3("apis/apps/v1")["paths"]


def test_kubectl_finds_field_validation_on_patch() -> None:
    operation = v3("api/v1")["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]
    assert operation["x-kubernetes-group-version-kind"] == {"group": "", "kind": "Pod", "version": "v1"}
    assert operation["x-kubernetes-action"] == "patch"
    assert {"dryRun", "fieldManager", "fieldValidation", "force"} <= {each["name"] for each in operation["parameters"]}
    assert "application/strategic-merge-patch+json" in operation["requestBody"]["content"]


def test_subresources_have_kinds_of_their_own() -> None:
    paths = v3("api/v1")["paths"]
    eviction = paths["/api/v1/namespaces/{namespace}/pods/{name}/eviction"]["post"]
    assert eviction["x-kubernetes-group-version-kind"] == {"group": "policy", "kind": "Eviction", "version": "v1"}
    scale = v2()["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"]["put"]
    assert scale["parameters"][0]["schema"] == {"$ref": "#/definitions/io.k8s.api.autoscaling.v1.Scale"}


def test_operations_have_names_of_their_own() -> None:
    seen: list[str] = [
        operation["operationId"]
        for name in openapi.group_versions()
        for item in v3(name)["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
    ]
    assert len(seen) == len(set(seen))
    assert {"createAppsV1NamespacedDeployment", "listCoreV1PodForAllNamespaces", "readCoreV1NamespacedPod"} <= set(seen)


def test_explain_has_a_sentence_for_every_kind_and_for_the_fields_of_a_pod() -> None:
    definitions = v2()["definitions"]
    assert [name for name, schema in definitions.items() if not schema.get("description")] == []
    spec = definitions["io.k8s.api.core.v1.PodSpec"]["properties"]
    assert [name for name in spec if not spec[name].get("description") and "$ref" not in spec[name]] == []


def test_a_patch_without_field_validation_is_not_taken_for_that_of_a_kind() -> None:
    patches = [path["patch"] for path in v3("api/v1")["paths"].values() if "patch" in path]
    for patch in patches:
        if "fieldValidation" not in {parameter["name"] for parameter in patch["parameters"]}:
            assert patch["x-kubernetes-group-version-kind"]["kind"].endswith("ProxyOptions")
