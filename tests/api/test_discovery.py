"""Discovery, version, health, metrics: what a client asks before it asks for anything."""

import httpx
import pytest

from api import resources
from tests.api.cluster import Cluster
from tests.api.conftest import connect
from tests.api.http import Api

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


def test_the_version_is_that_of_kubernetes_1_36(api: Api) -> None:
    version = api.get("/version")
    assert version["major"] == "1" and version["minor"] == "36" and version["gitVersion"].startswith("v1.36.")


def test_plain_discovery_names_every_group_and_version(api: Api) -> None:
    assert api.get("/api")["versions"] == ["v1"]
    groups = api.get("/apis")
    assert groups["kind"] == "APIGroupList"
    found = {version["groupVersion"] for group in groups["groups"] for version in group["versions"]}
    assert found == {row.group_version for row in resources.ALL if row.group}
    scaling = next(group for group in groups["groups"] if group["name"] == "autoscaling")
    assert scaling["preferredVersion"]["version"] == "v2"
    assert api.get("/apis/apps")["preferredVersion"]["groupVersion"] == "apps/v1"


@pytest.mark.parametrize("path", sorted({row.path_prefix for row in resources.ALL}))
def test_every_version_lists_its_resources(api: Api, path: str) -> None:
    listed = api.get(path)
    assert listed["kind"] == "APIResourceList"
    names = {entry["name"] for entry in listed["resources"]}
    for row in resources.ALL:
        if row.path_prefix == path:
            assert {row.plural, *(f"{row.plural}/{sub}" for sub in row.subresources)} <= names


def test_aggregated_discovery_holds_everything_in_two_answers(api: Api) -> None:
    response = api.client.get("/apis", headers={"accept": AGGREGATED})
    assert "as=APIGroupDiscoveryList" in response.headers["content-type"]
    found = response.json()
    assert found["kind"] == "APIGroupDiscoveryList" and found["apiVersion"] == "apidiscovery.k8s.io/v2"
    apps = next(item for item in found["items"] if item["metadata"]["name"] == "apps")
    deployment = next(row for row in apps["versions"][0]["resources"] if row["resource"] == "deployments")
    assert deployment["responseKind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert deployment["scope"] == "Namespaced" and deployment["shortNames"] == ["deploy"]
    scale = next(part for part in deployment["subresources"] if part["subresource"] == "scale")
    assert scale["responseKind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    core = api.client.get("/api", headers={"accept": AGGREGATED}).json()
    assert "pods" in {row["resource"] for row in core["items"][0]["versions"][0]["resources"]}


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
def test_health_says_ok_and_names_its_checks(api: Api, path: str) -> None:
    plain = api.client.get(path)
    assert plain.status_code == 200 and plain.text == "ok"
    verbose = api.client.get(path, params={"verbose": ""})
    assert "[+]ping ok\n" in verbose.text and verbose.text.endswith(f"{path[1:]} check passed\n")
    assert api.client.get(f"{path}/ping").text == "ok"
    assert api.client.get(f"{path}/nope").status_code == 404


def test_readiness_is_also_about_etcd(api: Api) -> None:
    assert "[+]etcd ok\n" in api.client.get("/readyz", params={"verbose": ""}).text


def test_anonymous_callers_see_health_and_version_and_nothing_else(cluster: Cluster) -> None:
    with connect(cluster, "") as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/version").status_code == 200
        refused = client.get("/api/v1/pods")
        assert refused.status_code == 403 and "system:anonymous" in refused.json()["message"]


def test_metrics_count_requests_under_kubernetes_names(api: Api, core: str) -> None:
    api.get(f"{core}/pods")
    text = api.client.get("/metrics").text
    assert 'apiserver_request_total{code="200",group="",resource="pods",subresource="",verb="list"}' in text
    assert "apiserver_request_duration_seconds_bucket" in text and "process_resident_memory_bytes" in text


def test_every_answer_has_an_audit_id(api: Api) -> None:
    assert len(api.client.get("/version").headers.get("audit-id", "x" * 36)) == 36
    response = api.client.get("/api/v1/nodes", headers={"audit-id": "mine"})
    assert response.headers["audit-id"] == "mine"


def test_paths_nobody_serves_are_a_status(api: Api) -> None:
    for path in ("/nope", "/api/v1/nope/x/y/z", "/apis/apps/v9"):
        response: httpx.Response = api.client.get(path)
        assert response.status_code == 404 and response.json()["kind"] == "Status"
