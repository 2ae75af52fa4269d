"""The official Python client: create, watch, patch, delete."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kubernetes import client, config, watch

from tests.e2e.cluster import Cluster
from tests.e2e.manifests import IDLE


@pytest.fixture
def core(cluster: Cluster) -> Iterator[client.CoreV1Api]:
    settings = client.Configuration()
    config.load_kube_config(str(cluster.kubeconfig), client_configuration=settings)
    with client.ApiClient(settings) as api:
        yield client.CoreV1Api(api)


def test_create_watch_patch_delete(core: client.CoreV1Api, namespace: str, busybox: str) -> None:
    container = client.V1Container(name="main", image=busybox, command=IDLE)
    spec = client.V1PodSpec(containers=[container], termination_grace_period_seconds=1)
    pod = client.V1Pod(metadata=client.V1ObjectMeta(name="one"), spec=spec)
    made = core.create_namespaced_pod(namespace, pod)
    phases, types = [], []
    stream = watch.Watch()
    for event in stream.stream(
        core.list_namespaced_pod, namespace, resource_version=made.metadata.resource_version, timeout_seconds=60
    ):
        found = event["object"]
        types.append(event["type"])
        phases.append(found.status.phase)
        if found.status.phase == "Running" and "seen" not in (found.metadata.labels or {}):
            patched = core.patch_namespaced_pod("one", namespace, {"metadata": {"labels": {"seen": "yes"}}})
            assert patched.metadata.labels == {"seen": "yes"}
            core.delete_namespaced_pod("one", namespace)
        if event["type"] == "DELETED":
            stream.stop()
    assert types[-1] == "DELETED"
    assert "Running" in phases
    with pytest.raises(client.ApiException) as caught:
        core.read_namespaced_pod("one", namespace)
    assert caught.value.status == 404
