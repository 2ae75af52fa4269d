"""Descriptions of objects as they come from the server; what matters is what a reader finds."""

from __future__ import annotations

import pytest

from api import resources
from api.types import Object, Resource
from cloudctl.describe.registry import ANYTHING, TABLE
from cloudctl.describe.text import Page

TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
POD: Object = {
    "metadata": {"name": "web-1", "namespace": "default", "labels": {"app": "web"},
                 "ownerReferences": [{"kind": "ReplicaSet", "name": "web", "uid": "u", "controller": True}]},
    "spec": {
        "nodeName": "node-1",
        "containers": [{
            "name": "c", "image": "i:1", "command": ["sh", "-c", "a\nb"], "ports": [{"containerPort": 80}],
            "resources": {"limits": {"memory": "64Mi"}},
            "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}},
            "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
            "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": True}],
        }],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "redis"}}],
        "tolerations": [{"key": "x", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}],
    },
    "status": {
        "phase": "Running", "podIP": "10.244.0.2", "podIPs": [{"ip": "10.244.0.2"}], "hostIP": "10.98.0.11",
        "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [{
            "name": "c", "ready": False, "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
        }],
    },
}  # fmt: skip
DEPLOYMENT: Object = {
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE},
    "status": {"replicas": 3, "availableReplicas": 2, "unavailableReplicas": 1},
}
NODE: Object = {
    "metadata": {"name": "node-1", "labels": {"node-role.kubernetes.io/worker": ""}},
    "spec": {"taints": [{"key": "a", "effect": "NoSchedule"}], "podCIDR": "10.244.0.0/24"},
    "status": {
        "allocatable": {"cpu": "2", "memory": "1Gi"},
        "addresses": [{"type": "InternalIP", "address": "10.98.0.11"}],
    },
}
SERVICE: Object = {
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "type": "LoadBalancer",
        "clusterIP": "10.96.1.1",
        "ports": [{"name": "http", "port": 80, "nodePort": 30080}],
    },
    "status": {"loadBalancer": {"ingress": [{"ip": "10.98.1.1"}]}},
}
SLICE: Object = {
    "ports": [{"name": "http", "port": 8080}],
    "endpoints": [{"addresses": ["10.244.0.2"], "conditions": {"ready": True}},
                  {"addresses": ["10.244.0.3"], "conditions": {"ready": False}}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "obj", "related", "parts"),
    [
        (resources.PODS, POD, {}, ["Node: node-1/10.98.0.11", "Controlled By: ReplicaSet/web", "Reason: CrashLoopBackOff",
            "Exit Code: 137", "Restart Count: 3", "memory: 64Mi", "http-get http://:http/ready", "/data from data (ro)",
            "key 'k' of secret 's'", "ClaimName: redis", "x:NoExecute op=Exists for 300s"]),
        (resources.DEPLOYMENTS, DEPLOYMENT, {}, ["3 desired", "2 available | 1 unavailable", "Image: i:1",
            "NewReplicaSet: <none>"]),
        (resources.NODES, NODE, {"pods": [POD]}, ["Roles: worker", "Taints: a:NoSchedule", "InternalIP: 10.98.0.11",
            "Non-terminated Pods (1 in total)", "web-1"]),
        (resources.SERVICES, SERVICE, {"endpointslices": [SLICE]}, ["LoadBalancer Ingress: 10.98.1.1", "NodePort: http 30080/TCP",
            "Endpoints: 10.244.0.2:8080"]),
        (resources.SECRETS, {"metadata": {"name": "s"}, "type": "Opaque", "data": {"k": "YWJj"}}, {}, ["k: 3 bytes"]),
        (resources.LEASES, {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}}, {}, ["HolderIdentity: me"]),
    ],
)  # fmt: skip
def test_a_description_says(
    resource: Resource, obj: Object, related: dict[str, list[Object]], parts: list[str]
) -> None:
    page = Page()
    TABLE.get(resource, ANYTHING).describe(page, obj, related)
    text = " ".join(page.text().split())
    for part in parts:
        assert part in text, f"{part!r} is not in\n{page.text()}"


def test_a_secret_keeps_its_value() -> None:
    page = Page()
    TABLE[resources.SECRETS].describe(page, {"metadata": {"name": "s"}, "data": {"k": "c2VjcmV0"}}, {})
    assert "secret" not in page.text() and "c2VjcmV0" not in page.text()
