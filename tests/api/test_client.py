"""The official Python client against the server."""

from collections.abc import Iterator

import pytest
from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException

from tests.api.cluster import Cluster
from tests.api.objects import deployment, pod


@pytest.fixture
def official(cluster: Cluster) -> Iterator[client.ApiClient]:
    made = config.new_client_from_config(str(cluster.kubeconfig()))
    yield made
    made.close()


def test_create_read_patch_delete(official: client.ApiClient, namespace: str) -> None:
    core = client.CoreV1Api(official)
    made = core.create_namespaced_pod(namespace, pod("a"))
    assert made.metadata.uid and made.status.phase == "Pending"
    patched = core.patch_namespaced_pod("a", namespace, {"metadata": {"labels": {"x": "y"}}})
    assert patched.metadata.labels["x"] == "y"
    assert [each.metadata.name for each in core.list_namespaced_pod(namespace, label_selector="x=y").items] == ["a"]
    core.delete_namespaced_pod("a", namespace)
    with pytest.raises(ApiException) as refused:
        core.read_namespaced_pod("a", namespace)
    assert refused.value.status == 404


def test_apps_and_scale(official: client.ApiClient, namespace: str) -> None:
    apps = client.AppsV1Api(official)
    apps.create_namespaced_deployment(namespace, deployment("d"))
    apps.patch_namespaced_deployment_scale("d", namespace, {"spec": {"replicas": 3}})
    assert apps.read_namespaced_deployment_scale("d", namespace).spec.replicas == 3


def test_watch_streams_objects(official: client.ApiClient, namespace: str) -> None:
    core = client.CoreV1Api(official)
    listed = core.list_namespaced_config_map(namespace)
    for name in ("a", "b"):
        core.create_namespaced_config_map(namespace, {"metadata": {"name": name}})
    stream = watch.Watch().stream(
        core.list_namespaced_config_map, namespace, resource_version=listed.metadata.resource_version, timeout_seconds=1
    )
    assert [(event["type"], event["object"].metadata.name) for event in stream] == [("ADDED", "a"), ("ADDED", "b")]


def test_conflicts_are_told(official: client.ApiClient, namespace: str) -> None:
    core = client.CoreV1Api(official)
    made = core.create_namespaced_config_map(namespace, {"metadata": {"name": "a"}, "data": {"k": "1"}})
    core.patch_namespaced_config_map("a", namespace, {"data": {"k": "2"}})
    with pytest.raises(ApiException) as refused:
        core.replace_namespaced_config_map("a", namespace, made)
    assert refused.value.status == 409
