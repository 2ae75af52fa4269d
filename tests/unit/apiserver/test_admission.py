"""The pure parts of admission: tables."""

from decimal import Decimal
from typing import Any

import pytest

from api import quota
from api.resources import PERSISTENTVOLUMECLAIMS, PODS, SECRETS, SERVICES
from api.types import Object
from apiserver.admission.limit_ranger import claim_violations, pod_violations
from apiserver.admission.node_restriction import forbidden_labels
from apiserver.admission.pod_security_checks import BASELINE, LEVELS, RESTRICTED, findings
from apiserver.admission.resource_quota import charged
from apiserver.admission.service_account import mount_token, wants_token


def container(name: str = "c", **more: Any) -> Object:
    return {"name": name, "image": "x", **more}


def pod(*containers: Object, **spec: Any) -> Object:
    return {
        "metadata": {"name": "p", "namespace": "ns"},
        "spec": {"containers": list(containers or (container(),)), **spec},
    }


def resources(requests: Any = None, limits: Any = None) -> Object:
    return {"resources": {"requests": requests or {}, "limits": limits or {}}}


HARDENED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"hostNetwork": True}, "host namespaces"),
        ({"containers": [container(securityContext={"privileged": True})]}, "privileged"),
        (
            {"containers": [container(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}})]},
            "non-default capabilities",
        ),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "hostPath volumes"),
        ({"containers": [container(ports=[{"hostPort": 80}])]}, "hostPort"),
        ({"containers": [container(livenessProbe={"httpGet": {"host": "x", "port": 1}})]}, "probe or lifecycle host"),
        ({"securityContext": {"appArmorProfile": {"type": "Unconfined"}}}, "forbidden AppArmor profile"),
        ({"securityContext": {"seLinuxOptions": {"type": "spc_t"}}}, "seLinuxOptions"),
        ({"containers": [container(securityContext={"procMount": "Unmasked"})]}, "procMount"),
        ({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}, "seccompProfile"),
        ({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}, "forbidden sysctls"),
        ({"securityContext": {"windowsOptions": {"hostProcess": True}}}, "hostProcess"),
        ({"initContainers": [container("i", securityContext={"privileged": True})]}, "privileged"),
        ({"ephemeralContainers": [container("e", securityContext={"privileged": True})]}, "privileged"),
    ],
)
def test_each_baseline_rule_finds_what_breaks_it(spec: Object, reason: str) -> None:
    made = pod(**spec) if "containers" not in spec else {"metadata": {}, "spec": spec}
    full = {"containers": [container()], **made["spec"]}
    assert [found for found, _ in findings("baseline", {}, full)] == [reason]
    assert reason in [found for found, _ in findings("restricted", {}, full)] or reason == "non-default capabilities"


def test_an_ordinary_pod_is_baseline_and_a_hardened_one_restricted() -> None:
    assert findings("baseline", {}, pod()["spec"]) == []
    hardened = pod(container(securityContext=HARDENED))["spec"]
    assert findings("restricted", {}, hardened) == []
    on_the_pod = pod(
        container(securityContext={"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}),
        securityContext={"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    )
    assert findings("restricted", {}, on_the_pod["spec"]) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"allowPrivilegeEscalation": True}, "allowPrivilegeEscalation != false"),
        ({"capabilities": {"drop": ["NET_RAW"]}}, "unrestricted capabilities"),
        ({"capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}}, "unrestricted capabilities"),
        ({"runAsNonRoot": False}, "runAsNonRoot != true"),
        ({"runAsUser": 0}, "runAsUser=0"),
        ({"seccompProfile": {"type": "Unconfined"}}, "seccompProfile"),
    ],
)
def test_each_restricted_rule_finds_what_breaks_it(change: Object, reason: str) -> None:
    spec = pod(container(securityContext={**HARDENED, **change}))["spec"]
    assert [found for found, _ in findings("restricted", {}, spec)] == [reason]


def test_levels_grow() -> None:
    assert LEVELS["privileged"] == ()
    assert len(RESTRICTED) > len(BASELINE)


CONTAINER = {"type": "Container"}


@pytest.mark.parametrize(
    ("item", "made", "said"),
    [
        ({**CONTAINER, "min": {"cpu": "100m"}}, pod(container(**resources({"cpu": "100m"}))), []),
        (
            {**CONTAINER, "min": {"cpu": "100m"}},
            pod(),
            ["minimum cpu usage per Container is 100m.  No request is specified"],
        ),
        (
            {**CONTAINER, "max": {"memory": "1Gi"}},
            pod(container(**resources({}, {"memory": "2Gi"}))),
            ["maximum memory usage per Container is 1Gi, but limit is 2Gi"],
        ),
        (
            {**CONTAINER, "maxLimitRequestRatio": {"cpu": "2"}},
            pod(container(**resources({"cpu": "1"}, {"cpu": "3"}))),
            ["cpu max limit to request ratio per Container is 2, but provided ratio is 3"],
        ),
        (
            {"type": "Pod", "max": {"cpu": "1"}},
            pod(container("a", **resources({}, {"cpu": "600m"})), container("b", **resources({}, {"cpu": "600m"}))),
            ["maximum cpu usage per Pod is 1, but limit is 1200m"],
        ),
        (
            {"type": "Pod", "max": {"cpu": "1"}},
            pod(container("a", **resources({}, {"cpu": "600m"})), container("b")),
            ["maximum cpu usage per Pod is 1.  No limit is specified"],
        ),
    ],
)
def test_bounds_of_limit_ranges(item: Object, made: Object, said: list[str]) -> None:
    assert pod_violations(item, made) == said


def test_bounds_of_claims() -> None:
    item = {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "5Gi"}}
    claim = {"spec": {"resources": {"requests": {"storage": "6Gi"}}}}
    assert claim_violations(item, claim) == [
        "maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 6Gi"
    ]


def test_what_objects_count_for() -> None:
    made = pod(container(**resources({"cpu": "250m", "memory": "1Ki", "example.com/gpu": "1"}, {"cpu": "1"})))
    counted = quota.usage(PODS, made)
    assert counted["pods"] == counted["count/pods"] == 1
    assert counted["cpu"] == counted["requests.cpu"] == Decimal("0.25")
    assert counted["limits.cpu"] == counted["requests.example.com/gpu"] == 1
    assert "example.com/gpu" not in counted
    ended = {**made, "status": {"phase": "Succeeded"}}
    assert quota.usage(PODS, ended) == {"count/pods": 1}
    balancer = {"spec": {"type": "LoadBalancer", "ports": [{"port": 1}, {"port": 2}]}}
    assert quota.usage(SERVICES, balancer) == {
        "count/services": 1,
        "services": 1,
        "services.loadbalancers": 1,
        "services.nodeports": 2,
    }
    claim = {"metadata": {}, "spec": {"storageClassName": "gold", "resources": {"requests": {"storage": "3Gi"}}}}
    assert quota.usage(PERSISTENTVOLUMECLAIMS, claim)["gold.storageclass.storage.k8s.io/requests.storage"] == 3 * 2**30
    assert quota.usage(SECRETS, {}) == {"count/secrets": 1, "secrets": 1}


def test_init_containers_count_by_their_peak_and_sidecars_in_sum() -> None:
    sidecar = container("s", restartPolicy="Always", **resources({"cpu": "1"}))
    init = container("i", **resources({"cpu": "5"}))
    made = pod(container(**resources({"cpu": "2"})), initContainers=[sidecar, init])
    assert quota.usage(PODS, made)["requests.cpu"] == 6
    made = pod(container(**resources({"cpu": "2"})), initContainers=[sidecar])
    assert quota.usage(PODS, made)["requests.cpu"] == 3


@pytest.mark.parametrize(
    ("spec", "made", "applies"),
    [
        ({}, pod(), True),
        ({"scopes": ["BestEffort"]}, pod(), True),
        ({"scopes": ["NotBestEffort"]}, pod(), False),
        ({"scopes": ["Terminating"]}, pod(activeDeadlineSeconds=5), True),
        ({"scopes": ["NotTerminating"]}, pod(activeDeadlineSeconds=5), False),
        (
            {
                "scopeSelector": {
                    "matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]
                }
            },
            pod(priorityClassName="high"),
            True,
        ),
        (
            {
                "scopeSelector": {
                    "matchExpressions": [{"scopeName": "PriorityClass", "operator": "NotIn", "values": ["high"]}]
                }
            },
            pod(priorityClassName="high"),
            False,
        ),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}}, pod(), False),
    ],
)
def test_scopes_choose_pods(spec: Object, made: Object, applies: bool) -> None:
    assert quota.applies({"spec": spec}, PODS, made) is applies


def test_usage_never_falls_below_nothing() -> None:
    assert charged({"status": {"used": {"pods": "1"}}}, {"pods": Decimal(-2)})["status"]["used"] == {"pods": "0"}


@pytest.mark.parametrize(
    ("name", "amount", "text"),
    [
        ("pods", Decimal(3), "3"),
        ("requests.cpu", Decimal("0.25"), "250m"),
        ("requests.memory", Decimal(2**30), "1Gi"),
        ("memory", Decimal(1000), "1k"),
        ("requests.storage", Decimal(3 * 2**30), "3Gi"),
    ],
)
def test_amounts_are_shown_as_people_write_them(name: str, amount: Decimal, text: str) -> None:
    assert quota.text(name, amount) == text


def test_a_kubelet_sets_only_labels_meant_for_it() -> None:
    keys = {
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
        "kubelet.kubernetes.io/x",
        "node.kubernetes.io/x",
        "example.com/x",
        "plain",
    }
    assert forbidden_labels(keys) == set()
    assert forbidden_labels(
        {"node-restriction.kubernetes.io/x", "a.node-restriction.kubernetes.io/x", "kubernetes.io/x", "foo.k8s.io/x"}
    ) == {
        "node-restriction.kubernetes.io/x",
        "a.node-restriction.kubernetes.io/x",
        "kubernetes.io/x",
        "foo.k8s.io/x",
    }


def test_a_token_is_mounted_where_nothing_else_is() -> None:
    own = {"name": "own", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    spec = pod(container("a", volumeMounts=[own]), container("b"))["spec"]
    mount_token(spec)
    assert [len(c["volumeMounts"]) for c in spec["containers"]] == [1, 1]
    assert len(spec["volumes"]) == 1
    only_own = pod(container("a", volumeMounts=[own]))["spec"]
    mount_token(only_own)
    assert "volumes" not in only_own


@pytest.mark.parametrize(
    ("in_pod", "in_account", "wanted"),
    [(None, None, True), (False, True, False), (True, False, True), (None, False, False)],
)
def test_whether_a_token_is_wanted(in_pod: bool | None, in_account: bool | None, wanted: bool) -> None:
    given = {"automountServiceAccountToken": in_pod}
    account = {"automountServiceAccountToken": in_account}
    assert wants_token(given, account) is wanted
