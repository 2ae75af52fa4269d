"""Objects for the tests of validation, and what validation says of them."""

from typing import Any

from api import resources as r
from api.decode import decode
from api.types import Object, Resource
from api.validation import validate_create, validate_update

CONTAINER = {"name": "c", "image": "i:1"}
LABELS = {"matchLabels": {"a": "b"}}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [CONTAINER]}}
JOB_TEMPLATE = {"spec": {"restartPolicy": "Never", "containers": [CONTAINER]}}


def made(resource: Resource, **fields: Any) -> Object:
    return decode(resource, {"metadata": {"name": "x"}, **fields}, "Strict")[0]


def said(resource: Resource, **fields: Any) -> list[str]:
    return [str(each) for each in validate_create(resource, made(resource, **fields))]


def changed(resource: Resource, old: Object, new: Object, subresource: str = "") -> list[str]:
    return [str(each) for each in validate_update(resource, new, old, subresource)]


def pod(*containers: Object, **spec: Any) -> Object:
    return made(r.PODS, spec={"containers": list(containers) or [CONTAINER], **spec})


def container(**fields: Any) -> Object:
    return {**CONTAINER, **fields}


GOOD: list[tuple[Resource, Object]] = [
    (r.PODS, {"spec": {"containers": [CONTAINER]}}),
    (r.DEPLOYMENTS, {"spec": {"selector": LABELS, "template": TEMPLATE}}),
    (r.REPLICASETS, {"spec": {"selector": LABELS, "template": TEMPLATE}}),
    (r.DAEMONSETS, {"spec": {"selector": LABELS, "template": TEMPLATE}}),
    (r.STATEFULSETS, {"spec": {"selector": LABELS, "template": TEMPLATE, "serviceName": "s"}}),
    (r.REPLICATIONCONTROLLERS, {"spec": {"template": TEMPLATE}}),
    (r.JOBS, {"spec": {"template": JOB_TEMPLATE}}),
    (r.CRONJOBS, {"spec": {"schedule": "*/5 * * * mon-fri", "jobTemplate": {"spec": {"template": JOB_TEMPLATE}}}}),
    (r.SERVICES, {"spec": {"ports": [{"port": 80}]}}),
    (r.SERVICES, {"spec": {"clusterIP": "None"}}),
    (r.SERVICES, {"spec": {"type": "ExternalName", "externalName": "example.com"}}),
    (r.CONFIGMAPS, {"data": {"a.b_c-D": "x"}, "binaryData": {"e": "eA=="}}),
    (r.SECRETS, {"type": "kubernetes.io/tls", "data": {"tls.crt": "", "tls.key": ""}}),
    (r.NAMESPACES, {}),
    (r.NODES, {"spec": {"podCIDR": "10.0.0.0/24", "taints": [{"key": "a/b", "effect": "NoSchedule"}]}}),
    (r.ENDPOINTS, {"subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]}),
    (r.ENDPOINTSLICES, {"addressType": "IPv4"}),
    (r.ENDPOINTSLICES, {"addressType": "IPv6", "endpoints": [{"addresses": ["2001:db8::1"]}]}),
    (
        r.PERSISTENTVOLUMECLAIMS,
        {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}},
    ),
    (
        r.PERSISTENTVOLUMES,
        {"spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"}}},
    ),
    (r.STORAGECLASSES, {"provisioner": "cloudlet.dev/local"}),
    (r.LEASES, {"spec": {"holderIdentity": "me", "leaseDurationSeconds": 15}}),
    (r.CLUSTERROLES, {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz"]}]}),
    (r.ROLES, {"rules": [{"verbs": ["*"], "apiGroups": [""], "resources": ["pods"]}]}),
    (r.ROLEBINDINGS, {"roleRef": {"kind": "ClusterRole", "name": "view"}, "subjects": [{"kind": "User", "name": "u"}]}),
    (r.PRIORITYCLASSES, {"value": 10**9}),
    (r.PODDISRUPTIONBUDGETS, {"spec": {"minAvailable": "50%", "selector": LABELS}}),
    (r.NETWORKPOLICIES, {"spec": {"podSelector": {}}}),
    (r.RESOURCEQUOTAS, {"spec": {"hard": {"pods": "5", "count/jobs.batch": "1", "requests.cpu": "1"}}}),
]
