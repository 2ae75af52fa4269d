"""Every stored resource has every verb it declares: create, get, list, watch, update, three patches, delete, deletecollection."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from api import resources
from api.types import Resource
from tests.api.http import Api

Object = dict[str, Any]
_LABELS = {"app": "x"}
_POD: Object = {"containers": [{"name": "c", "image": "busybox"}]}
_TEMPLATE: Object = {"metadata": {"labels": _LABELS}, "spec": _POD}
_SELECTOR: Object = {"matchLabels": _LABELS}
_CLAIM: Object = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
_SCALED: Object = {"scaleTargetRef": {"kind": "Deployment", "name": "d"}, "maxReplicas": 3}
_PEM = b"-----BEGIN CERTIFICATE REQUEST-----\nMIG2MF0CAQAwUjELMAkGA1UEBhMCQVU=\n-----END CERTIFICATE REQUEST-----\n"
_CSR = base64.b64encode(_PEM).decode()

SAMPLES: dict[str, Object] = {
    "nodes": {"spec": {"unschedulable": True}},
    "pods": {"spec": _POD},
    "services": {"spec": {"ports": [{"port": 80}]}},
    "endpoints": {"subsets": [{"addresses": [{"ip": "10.1.2.3"}], "ports": [{"port": 80}]}]},
    "events": {"involvedObject": {"kind": "Pod", "namespace": "NAMESPACE"}, "reason": "R", "message": "m", "type": "Normal"},
    "events.events.k8s.io": {
        "regarding": {"kind": "Pod", "namespace": "NAMESPACE"}, "reason": "R", "note": "n", "type": "Normal", "action": "A",
        "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "test", "reportingInstance": "t-1",
    },
    "persistentvolumes": {
        "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/tmp"}}
    },
    "persistentvolumeclaims": {"spec": _CLAIM},
    "replicationcontrollers": {"spec": {"replicas": 0, "selector": _LABELS, "template": _TEMPLATE}},
    "podtemplates": {"template": _TEMPLATE},
    "limitranges": {"spec": {"limits": [{"type": "Pod", "max": {"cpu": "4"}}]}},
    "resourcequotas": {"spec": {"hard": {"pods": "50"}}},
    "leases.coordination.k8s.io": {"spec": {"holderIdentity": "me", "leaseDurationSeconds": 15}},
    "endpointslices.discovery.k8s.io": {"addressType": "IPv4", "endpoints": [{"addresses": ["10.1.2.3"]}]},
    "poddisruptionbudgets.policy": {"spec": {"minAvailable": 1, "selector": _SELECTOR}},
    "priorityclasses.scheduling.k8s.io": {"value": 7},
    "runtimeclasses.node.k8s.io": {"handler": "runc"},
    "deployments.apps": {"spec": {"selector": _SELECTOR, "template": _TEMPLATE}},
    "replicasets.apps": {"spec": {"selector": _SELECTOR, "template": _TEMPLATE}},
    "daemonsets.apps": {"spec": {"selector": _SELECTOR, "template": _TEMPLATE}},
    "statefulsets.apps": {"spec": {"selector": _SELECTOR, "template": _TEMPLATE, "serviceName": "s"}},
    "controllerrevisions.apps": {"revision": 1, "data": {"any": "thing"}},
    "jobs.batch": {"spec": {"template": {"spec": _POD | {"restartPolicy": "Never"}}}},
    "cronjobs.batch": {
        "spec": {
            "schedule": "*/1 * * * *",
            "jobTemplate": {"spec": {"template": {"spec": _POD | {"restartPolicy": "Never"}}}},
        }
    },
    "horizontalpodautoscalers.autoscaling": {"spec": _SCALED},
    "roles.rbac.authorization.k8s.io": {"rules": []},
    "clusterroles.rbac.authorization.k8s.io": {"rules": []},
    "rolebindings.rbac.authorization.k8s.io": {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
    },
    "clusterrolebindings.rbac.authorization.k8s.io": {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"}
    },
    "certificatesigningrequests.certificates.k8s.io": {
        "spec": {"request": _CSR, "signerName": "example.com/test", "usages": ["client auth"]}
    },
    "storageclasses.storage.k8s.io": {"provisioner": "example.com/disk"},
    "csidrivers.storage.k8s.io": {"spec": {"attachRequired": False}},
    "csinodes.storage.k8s.io": {"spec": {"drivers": []}},
    "csistoragecapacities.storage.k8s.io": {"storageClassName": "s", "capacity": "1Gi"},
    "volumeattachments.storage.k8s.io": {
        "spec": {"attacher": "a", "nodeName": "n", "source": {"persistentVolumeName": "v"}}
    },
    "volumeattributesclasses.storage.k8s.io": {"driverName": "example.com/d", "parameters": {"iops": "1"}},
    "ingresses.networking.k8s.io": {"spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}},
    "ingressclasses.networking.k8s.io": {"spec": {"controller": "example.com/i"}},
    "networkpolicies.networking.k8s.io": {"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}},
    "servicecidrs.networking.k8s.io": {"spec": {"cidrs": ["10.77.0.0/24"]}},
    "ipaddresses.networking.k8s.io": {"spec": {"parentRef": {"resource": "services", "namespace": "d", "name": "n"}}},
}  # fmt: skip
_NAMES = {"ipaddresses.networking.k8s.io": "10.77.0.9"}
STORED = [row for row in resources.ALL if "watch" in row.verbs]


def _id(row: Resource) -> str:
    return f"{row.qualified}/{row.version}"


@pytest.fixture
def clean(api: Api) -> Iterator[list[str]]:
    """Paths of cluster-scoped objects to remove afterwards."""
    paths: list[str] = []
    yield paths
    for path in paths:
        api.client.patch(
            path, json={"metadata": {"finalizers": None}}, headers={"content-type": "application/merge-patch+json"}
        )
        api.client.delete(path)


@pytest.mark.parametrize("row", STORED, ids=_id)
def test_the_life_of_one_object(api: Api, namespace: str, clean: list[str], row: Resource) -> None:
    name = _NAMES.get(row.qualified, f"every-{row.plural}")
    space = namespace if row.namespaced else None
    collection, path = row.path(space), row.path(space, name)
    clean.append(path)
    sample = json.loads(json.dumps(SAMPLES.get(row.qualified, {})).replace("NAMESPACE", namespace))
    body = sample | {"metadata": {"name": name, "labels": {"every": row.plural}}}
    start = api.get(collection)["metadata"]["resourceVersion"]

    made = api.post(collection, body)
    assert (made["kind"], made["apiVersion"]) == (row.kind, row.group_version)
    assert api.get(path)["metadata"]["uid"] == made["metadata"]["uid"]
    assert name in {item["metadata"]["name"] for item in api.get(row.path())["items"]}

    for kind, patch in (
        ("merge", {"metadata": {"annotations": {"a": "1"}}}),
        ("strategic", {"metadata": {"annotations": {"b": "2"}}}),
        ("json", [{"op": "add", "path": "/metadata/annotations/c", "value": "3"}]),
    ):
        changed = api.patch(path, patch, kind)
    assert {"a", "b", "c"} <= set(changed["metadata"]["annotations"])
    current = api.get(path)
    current["metadata"]["labels"]["updated"] = "yes"
    assert api.put(path, current)["metadata"]["labels"]["updated"] == "yes"
    if "status" in row.subresources:
        assert api.get(f"{path}/status")["kind"] == row.kind
        api.patch(f"{path}/status", {"metadata": {"annotations": {"d": "4"}}})

    table = api.client.get(collection, headers={"accept": "application/json;as=Table;g=meta.k8s.io;v=v1"}).json()
    assert table["kind"] == "Table" and any(name in str(r["object"]["metadata"]["name"]) for r in table["rows"])

    api.delete(collection if row.namespaced else path, labelSelector=f"every={row.plural}")
    selector = {"labelSelector": f"every={row.plural}"}
    with api.watch(collection, resourceVersion=start, **selector) as watch:
        events = watch.take(5)
    assert events[0] == ("ADDED", name) and {kind for kind, _ in events[1:]} <= {"MODIFIED", "DELETED"}
