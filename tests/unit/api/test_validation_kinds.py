"""The rules of all other kinds: good objects pass, each broken rule is named, what may not change does not."""

from copy import deepcopy
from typing import Any

import pytest

from api import resources as r
from api.types import Object, Resource
from api.validation import validate_create, validate_update
from tests.unit.api.objects import CONTAINER, GOOD, JOB_TEMPLATE, LABELS, TEMPLATE, changed, container, made, said


@pytest.mark.parametrize(("resource", "fields"), GOOD, ids=lambda each: getattr(each, "kind", ""))
def test_good_objects_pass_and_may_be_written_again(resource: Resource, fields: Object) -> None:
    obj = made(resource, **fields)
    assert validate_create(resource, obj) == []
    assert validate_update(resource, obj, deepcopy(obj)) == []


BROKEN: list[tuple[Resource, Object, str]] = [
    (r.DEPLOYMENTS, {}, "spec.selector: Required value"),
    (r.DEPLOYMENTS, {"spec": {"selector": {}, "template": TEMPLATE}}, "spec.selector: Invalid value"),
    (
        r.DEPLOYMENTS,
        {"spec": {"selector": {"matchLabels": {"x": "y"}}, "template": TEMPLATE}},
        "spec.template.metadata.labels: Invalid value",
    ),
    (
        r.DEPLOYMENTS,
        {"spec": {"selector": LABELS, "template": TEMPLATE, "replicas": -1}},
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
    ),
    (
        r.DEPLOYMENTS,
        {
            "spec": {
                "selector": LABELS,
                "template": {**TEMPLATE, "spec": {"restartPolicy": "Never", "containers": [CONTAINER]}},
            }
        },
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
    ),
    (
        r.DEPLOYMENTS,
        {"spec": {"selector": LABELS, "template": TEMPLATE, "strategy": {"type": "Recreate", "rollingUpdate": {}}}},
        "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
    ),
    (
        r.DEPLOYMENTS,
        {
            "spec": {
                "selector": LABELS,
                "template": TEMPLATE,
                "strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}},
            }
        },
        "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
    ),
    (
        r.DEPLOYMENTS,
        {"spec": {"selector": LABELS, "template": TEMPLATE, "strategy": {"rollingUpdate": {"maxSurge": "x"}}}},
        'spec.strategy.rollingUpdate.maxSurge: Invalid value: "x": a valid percent string',
    ),
    (
        r.DEPLOYMENTS,
        {"spec": {"selector": LABELS, "template": TEMPLATE, "minReadySeconds": 700}},
        "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds",
    ),
    (r.REPLICATIONCONTROLLERS, {}, "spec.selector: Required value"),
    (
        r.DAEMONSETS,
        {
            "spec": {
                "selector": LABELS,
                "template": TEMPLATE,
                "updateStrategy": {"rollingUpdate": {"maxUnavailable": 0}},
            }
        },
        "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
    ),
    (
        r.JOBS,
        {"spec": {"template": TEMPLATE}},
        'spec.template.spec.restartPolicy: Unsupported value: "Always": supported values: "Never", "OnFailure"',
    ),
    (
        r.JOBS,
        {"spec": {"template": JOB_TEMPLATE, "completionMode": "Indexed", "parallelism": 1}},
        "spec.completions: Required value: when completion mode is Indexed",
    ),
    (r.JOBS, {"spec": {"template": JOB_TEMPLATE, "backoffLimit": -1}}, "spec.backoffLimit: Invalid value: -1"),
    (
        r.CRONJOBS,
        {"spec": {"schedule": "x", "jobTemplate": {"spec": {"template": JOB_TEMPLATE}}}},
        "spec.schedule: Invalid value",
    ),
    (
        r.CRONJOBS,
        {
            "metadata": {"name": "x" * 53},
            "spec": {"schedule": "@daily", "jobTemplate": {"spec": {"template": JOB_TEMPLATE}}},
        },
        "metadata.name: Invalid value",
    ),
    (r.SERVICES, {"spec": {}}, "spec.ports: Required value"),
    (
        r.SERVICES,
        {"spec": {"ports": [{"port": 0}]}},
        "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
    ),
    (r.SERVICES, {"spec": {"ports": [{"port": 1}, {"port": 2}]}}, "spec.ports[0].name: Required value"),
    (
        r.SERVICES,
        {"spec": {"ports": [{"port": 1, "name": "a"}, {"port": 1, "name": "b"}]}},
        "spec.ports[1]: Duplicate value",
    ),
    (
        r.SERVICES,
        {"spec": {"ports": [{"port": 1, "nodePort": 30000}]}},
        "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
    ),
    (r.SERVICES, {"spec": {"type": "X", "ports": [{"port": 1}]}}, 'spec.type: Unsupported value: "X"'),
    (r.SERVICES, {"spec": {"type": "ExternalName"}}, "spec.externalName: Required value"),
    (
        r.SERVICES,
        {"spec": {"clusterIP": "x", "ports": [{"port": 1}]}},
        'spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address',
    ),
    (
        r.ENDPOINTS,
        {"subsets": [{"addresses": [{"ip": "127.0.0.1"}]}]},
        'subsets[0].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range',
    ),
    (r.ENDPOINTSLICES, {}, "addressType: Required value"),
    (r.ENDPOINTSLICES, {"addressType": "IPv4", "endpoints": [{}]}, "endpoints[0].addresses: Required value"),
    (
        r.ENDPOINTSLICES,
        {"addressType": "IPv4", "endpoints": [{"addresses": ["2001:db8::1"]}]},
        "endpoints[0].addresses[0]: Invalid value",
    ),
    (r.CONFIGMAPS, {"data": {"a b": ""}}, 'data[a b]: Invalid value: "a b": a valid config key'),
    (r.CONFIGMAPS, {"data": {"a": ""}, "binaryData": {"a": ""}}, "data[a]: Invalid value"),
    (r.CONFIGMAPS, {"data": {"a": "x" * 1048577}}, ": Too long: may not be more than 1048576 bytes"),
    (r.SECRETS, {"type": "kubernetes.io/tls"}, "data[tls.crt]: Required value"),
    (
        r.SECRETS,
        {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "eA=="}},
        'data[.dockerconfigjson]: Invalid value: "<secret contents redacted>"',
    ),
    (r.NODES, {"spec": {"taints": [{"key": "a", "effect": "X"}]}}, 'spec.taints[0].effect: Unsupported value: "X"'),
    (r.PERSISTENTVOLUMECLAIMS, {}, "spec.accessModes: Required value: at least 1 access mode is required"),
    (r.PERSISTENTVOLUMECLAIMS, {"spec": {"accessModes": ["X"]}}, 'spec.accessModes[0]: Unsupported value: "X"'),
    (r.PERSISTENTVOLUMES, {}, "spec: Required value: must specify a volume type"),
    (
        r.PERSISTENTVOLUMES,
        {"spec": {"local": {"path": "/x"}}},
        "spec.nodeAffinity: Required value: Local volume requires node affinity",
    ),
    (r.STORAGECLASSES, {}, "provisioner: Required value"),
    (r.ROLES, {"rules": [{"verbs": []}]}, "rules[0].verbs: Required value: verbs must contain at least one value"),
    (r.ROLES, {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/"]}]}, "rules[0].nonResourceURLs: Invalid value"),
    (r.ROLEBINDINGS, {"roleRef": {"kind": "X", "name": "r"}}, 'roleRef.kind: Unsupported value: "X"'),
    (
        r.CLUSTERROLEBINDINGS,
        {"roleRef": {"kind": "Role", "name": "r"}},
        'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
    ),
    (
        r.CLUSTERROLEBINDINGS,
        {"roleRef": {"kind": "ClusterRole", "name": "r"}, "subjects": [{"kind": "ServiceAccount", "name": "s"}]},
        "subjects[0].namespace: Required value",
    ),
    (
        r.LEASES,
        {"spec": {"leaseDurationSeconds": 0}},
        "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
    ),
    (
        r.PRIORITYCLASSES,
        {"value": 10**9 + 1},
        "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
    ),
    (r.PODDISRUPTIONBUDGETS, {"spec": {"minAvailable": 1, "maxUnavailable": 1}}, "spec: Invalid value"),
    (r.RESOURCEQUOTAS, {"spec": {"hard": {"pods": "-1"}}}, "spec.hard[pods]: Invalid value"),
    (
        r.LIMITRANGES,
        {"spec": {"limits": [{"type": "Pod", "min": {"cpu": "2"}, "max": {"cpu": "1"}}]}},
        "spec.limits[0].min[cpu]: Invalid value",
    ),
    (
        r.EVENTS,
        {"involvedObject": {"namespace": "b"}},
        'involvedObject.namespace: Invalid value: "b": does not match event.namespace',
    ),
    (
        r.NETWORKPOLICIES,
        {"spec": {"ingress": [{"from": [{"ipBlock": {"cidr": "x"}}]}]}},
        "spec.ingress[0].from[0].ipBlock.cidr: Invalid value",
    ),
    (r.INGRESSES, {}, "spec: Invalid value"),
]


@pytest.mark.parametrize(("resource", "fields", "wanted"), BROKEN, ids=lambda each: getattr(each, "kind", None))
def test_broken_objects_are_refused(resource: Resource, fields: Object, wanted: str) -> None:
    found = said(resource, **fields)
    assert any(each.startswith(wanted) for each in found), found


def _deployment(**spec: Any) -> Object:
    return made(r.DEPLOYMENTS, spec={"selector": LABELS, "template": TEMPLATE, **spec})


def _claim(size: str, **spec: Any) -> Object:
    return made(
        r.PERSISTENTVOLUMECLAIMS,
        spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec},
        status={"phase": "Bound", "capacity": {"storage": "1Gi"}},
    )


def _job(**spec: Any) -> Object:
    return made(r.JOBS, spec={"template": JOB_TEMPLATE, **spec})


OTHER_TEMPLATE = {"spec": {"restartPolicy": "Never", "containers": [container(image="other")]}}
UPDATES: list[tuple[Resource, Object, Object, str]] = [
    (
        r.DEPLOYMENTS,
        _deployment(),
        _deployment(selector={"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]}),
        "field is immutable",
    ),
    (r.JOBS, _job(), _job(completions=3), "spec.completions: Invalid value: 3: field is immutable"),
    (r.JOBS, _job(), _job(template=OTHER_TEMPLATE), "field is immutable"),
    (
        r.STATEFULSETS,
        made(r.STATEFULSETS, spec={"selector": LABELS, "template": TEMPLATE, "serviceName": "s"}),
        made(r.STATEFULSETS, spec={"selector": LABELS, "template": TEMPLATE, "serviceName": "t"}),
        "spec: Forbidden: updates to statefulset spec for fields other than 'replicas'",
    ),
    (
        r.SERVICES,
        made(r.SERVICES, spec={"clusterIP": "10.0.0.1", "ports": [{"port": 1}]}),
        made(r.SERVICES, spec={"clusterIP": "10.0.0.2", "ports": [{"port": 1}]}),
        "may not change once set",
    ),
    (
        r.CONFIGMAPS,
        made(r.CONFIGMAPS, immutable=True, data={"a": "1"}),
        made(r.CONFIGMAPS, immutable=True, data={"a": "2"}),
        "data: Forbidden: field is immutable when `immutable` is set",
    ),
    (
        r.CONFIGMAPS,
        made(r.CONFIGMAPS, immutable=True),
        made(r.CONFIGMAPS),
        "immutable: Forbidden: field is immutable when `immutable` is set",
    ),
    (r.SECRETS, made(r.SECRETS), made(r.SECRETS, type="x"), 'type: Invalid value: "x": field is immutable'),
    (
        r.PERSISTENTVOLUMECLAIMS,
        _claim("1Gi"),
        _claim("1Gi", volumeMode="Block"),
        "spec: Forbidden: spec is immutable after creation",
    ),
    (
        r.PERSISTENTVOLUMECLAIMS,
        _claim("2Gi"),
        _claim("512Mi"),
        "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity",
    ),
    (
        r.STORAGECLASSES,
        made(r.STORAGECLASSES, provisioner="a"),
        made(r.STORAGECLASSES, provisioner="b"),
        "provisioner: Forbidden: updates to provisioner are forbidden.",
    ),
    (
        r.PRIORITYCLASSES,
        made(r.PRIORITYCLASSES, value=1),
        made(r.PRIORITYCLASSES, value=2),
        "value: Forbidden: may not be changed in an update.",
    ),
    (
        r.ROLEBINDINGS,
        made(r.ROLEBINDINGS, roleRef={"kind": "Role", "name": "a"}),
        made(r.ROLEBINDINGS, roleRef={"kind": "Role", "name": "b"}),
        "cannot change roleRef",
    ),
    (
        r.ENDPOINTSLICES,
        made(r.ENDPOINTSLICES, addressType="IPv4"),
        made(r.ENDPOINTSLICES, addressType="IPv6"),
        'addressType: Invalid value: "IPv6": field is immutable',
    ),
    (
        r.NODES,
        made(r.NODES, spec={"podCIDR": "10.0.0.0/24"}),
        made(r.NODES, spec={"podCIDR": "10.0.1.0/24"}),
        "spec.podCIDRs: Forbidden: node updates may not change podCIDR",
    ),
]


@pytest.mark.parametrize(("resource", "old", "new", "wanted"), UPDATES, ids=lambda each: getattr(each, "kind", None))
def test_what_may_not_change_does_not(resource: Resource, old: Object, new: Object, wanted: str) -> None:
    found = changed(resource, old, new)
    assert len(found) == 1, found
    assert wanted in found[0]


@pytest.mark.parametrize(
    ("resource", "old", "new"),
    [
        (r.DEPLOYMENTS, _deployment(), _deployment(replicas=5, paused=True)),
        (r.JOBS, _job(completions=9), _job(completions=9, parallelism=5, suspend=True)),
        (
            r.JOBS,
            _job(suspend=True),
            _job(suspend=True, template={"spec": {**JOB_TEMPLATE["spec"], "nodeSelector": {"a": "b"}}}),
        ),
        (r.PERSISTENTVOLUMECLAIMS, _claim("1Gi"), _claim("2Gi")),
        (r.PERSISTENTVOLUMECLAIMS, _claim("1Gi"), _claim("1Gi", volumeName="v")),
        (r.CONFIGMAPS, made(r.CONFIGMAPS, data={"a": "1"}), made(r.CONFIGMAPS, immutable=True, data={"a": "2"})),
        (r.NODES, made(r.NODES), made(r.NODES, spec={"podCIDR": "10.0.1.0/24", "unschedulable": True})),
    ],
)
def test_what_may_change_does(resource: Resource, old: Object, new: Object) -> None:
    assert changed(resource, old, new) == []
