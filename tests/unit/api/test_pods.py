"""What a pod requests, and which quality of service follows from it."""

from typing import Any

import pytest

from api import pods


def _container(cpu: str = "", memory: str = "", **more: Any) -> dict[str, Any]:
    asked = {k: v for k, v in (("cpu", cpu), ("memory", memory)) if v}
    return {"name": "c", "resources": {"requests": asked}, **more}


def test_containers_add_up() -> None:
    pod = {"spec": {"containers": [_container("100m", "1Mi"), _container("1", "1Mi")]}}
    assert pods.requests(pod) == {"cpu": 1100, "memory": 2 << 20}


def test_the_largest_init_container_counts_when_it_needs_more() -> None:
    pod = {"spec": {"containers": [_container("100m")], "initContainers": [_container("2"), _container("1")]}}
    assert pods.requests(pod)["cpu"] == 2000


def test_a_sidecar_runs_beside_the_containers_and_later_init_containers() -> None:
    pod = {
        "spec": {
            "containers": [_container("100m")],
            "initContainers": [_container("500m", restartPolicy="Always"), _container("200m")],
        }
    }
    assert pods.requests(pod)["cpu"] == 700


def test_overhead_comes_on_top() -> None:
    pod = {"spec": {"containers": [_container("100m")], "overhead": {"cpu": "50m"}}}
    assert pods.requests(pod)["cpu"] == 150


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}}, "Burstable"),
        ({"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}, "Burstable"),
    ],
)
def test_the_quality_of_service_follows_from_requests_and_limits(resources: dict[str, Any], expected: str) -> None:
    assert pods.qos_class({"spec": {"containers": [{"name": "c", "resources": resources}]}}) == expected


def test_a_mirror_pod_is_known_by_its_annotation() -> None:
    assert pods.is_mirror({"metadata": {"annotations": {"kubernetes.io/config.mirror": "hash"}}})
    assert not pods.is_mirror({"metadata": {}}) and not pods.is_mirror({"metadata": {"annotations": None}})
