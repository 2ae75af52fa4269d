"""The defaults of the API, as the API reference states them."""

from typing import Any

import pytest

from api import resources
from api.decode import decode
from api.kinds.core.pod_containers import pull_policy
from api.types import Object


def made(resource: Any, **fields: Any) -> Object:
    return decode(resource, {"metadata": {"name": "x"}, **fields}, "Strict")[0]


def pod(**spec: Any) -> Object:
    found: Object = made(resources.PODS, spec={"containers": [{"name": "c", "image": "i:1"}], **spec})["spec"]
    return found


TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def test_a_pod_gets_its_defaults() -> None:
    assert pod() == {
        "containers": [
            {
                "image": "i:1",
                "imagePullPolicy": "IfNotPresent",
                "name": "c",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    }


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("registry:5000/nginx", "Always"),
        ("registry:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:abc", "IfNotPresent"),
        ("nginx:latest@sha256:abc", "Always"),
        ("", "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


def test_requests_default_to_limits_in_pods_and_not_in_templates() -> None:
    container = {
        "name": "c",
        "image": "i",
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}},
    }
    assert pod(containers=[container])["containers"][0]["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}
    template = {"spec": {"containers": [container]}}
    spec = made(resources.DEPLOYMENTS, spec={"template": template})["spec"]["template"]["spec"]
    assert spec["containers"][0]["resources"]["requests"] == {"cpu": "500m"}
    assert "enableServiceLinks" not in spec


def test_host_ports_follow_container_ports_in_the_host_network() -> None:
    containers = [{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}]
    assert pod(hostNetwork=True, containers=containers)["containers"][0]["ports"] == [
        {"containerPort": 80, "hostPort": 80, "protocol": "TCP"}
    ]


def test_probes_get_their_defaults() -> None:
    probe = pod(containers=[{"name": "c", "image": "i", "livenessProbe": {"httpGet": {"port": 80}}}])["containers"][0][
        "livenessProbe"
    ]
    assert probe == {
        "failureThreshold": 3,
        "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
        "periodSeconds": 10,
        "successThreshold": 1,
        "timeoutSeconds": 1,
    }


def test_volumes_get_modes_and_empty_dirs_survive() -> None:
    volumes = pod(
        volumes=[
            {"name": "a"},
            {"name": "b", "emptyDir": {}},
            {"name": "c", "configMap": {"name": "m"}},
            {"name": "d", "secret": {"secretName": "s"}},
            {"name": "e", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
            {"name": "f", "hostPath": {"path": "/x"}},
        ]
    )["volumes"]
    assert volumes[0]["emptyDir"] == volumes[1]["emptyDir"] == {}
    assert volumes[2]["configMap"]["defaultMode"] == volumes[3]["secret"]["defaultMode"] == 420
    assert volumes[4]["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"] == 3600
    assert volumes[5]["hostPath"]["type"] == ""


def test_both_names_of_the_service_account_are_kept_equal() -> None:
    assert pod(serviceAccount="a")["serviceAccountName"] == "a"
    assert pod(serviceAccountName="b")["serviceAccount"] == "b"


def test_a_deployment_rolls_a_quarter_at_a_time() -> None:
    spec = made(resources.DEPLOYMENTS, spec={"selector": {}, "template": TEMPLATE})["spec"]
    assert spec["strategy"] == {
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
        "type": "RollingUpdate",
    }
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)


def test_recreate_has_no_rolling_update() -> None:
    assert made(resources.DEPLOYMENTS, spec={"strategy": {"type": "Recreate"}})["spec"]["strategy"] == {
        "type": "Recreate"
    }


def test_a_daemon_set_takes_one_pod_down_at_a_time() -> None:
    spec = made(resources.DAEMONSETS)["spec"]
    assert spec["updateStrategy"] == {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}, "type": "RollingUpdate"}
    assert spec["revisionHistoryLimit"] == 10


def test_a_stateful_set_keeps_claims_and_order() -> None:
    spec = made(resources.STATEFULSETS)["spec"]
    assert spec["podManagementPolicy"] == "OrderedReady"
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert spec["updateStrategy"] == {"rollingUpdate": {"partition": 0}, "type": "RollingUpdate"}


def test_a_job_runs_once_and_tries_six_times() -> None:
    job = made(resources.JOBS, spec={"template": TEMPLATE})
    wanted = {
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "completions": 1,
        "parallelism": 1,
        "podReplacementPolicy": "TerminatingOrFailed",
        "suspend": False,
    }
    assert wanted.items() <= job["spec"].items()
    assert job["metadata"]["labels"] == {"a": "b"}


def test_a_work_queue_job_has_parallelism_alone() -> None:
    assert "completions" not in made(resources.JOBS, spec={"parallelism": 3})["spec"]


def test_a_replication_controller_takes_selector_and_labels_from_its_template() -> None:
    found = made(resources.REPLICATIONCONTROLLERS, spec={"template": TEMPLATE})
    assert found["spec"]["selector"] == found["metadata"]["labels"] == {"a": "b"}
    assert found["spec"]["replicas"] == 1


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, {"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"}),
        ({"type": "NodePort"}, {"externalTrafficPolicy": "Cluster"}),
        ({"type": "LoadBalancer"}, {"externalTrafficPolicy": "Cluster", "allocateLoadBalancerNodePorts": True}),
        ({"sessionAffinity": "ClientIP"}, {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}}}),
        ({"ports": [{"port": 80}]}, {"ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}]}),
    ],
)
def test_services_get_defaults_by_type(given: Object, wanted: Object) -> None:
    assert wanted.items() <= made(resources.SERVICES, spec=given)["spec"].items()


def test_an_external_name_has_no_traffic_policy() -> None:
    assert "internalTrafficPolicy" not in made(resources.SERVICES, spec={"type": "ExternalName"})["spec"]


def test_string_data_joins_data_and_is_gone() -> None:
    secret = made(resources.SECRETS, data={"a": "eA=="}, stringData={"b": "hello"})
    assert secret["data"] == {"a": "eA==", "b": "aGVsbG8="}
    assert "stringData" not in secret
    assert secret["type"] == "Opaque"


def test_storage_defaults() -> None:
    assert made(resources.PERSISTENTVOLUMECLAIMS)["spec"]["volumeMode"] == "Filesystem"
    assert made(resources.PERSISTENTVOLUMECLAIMS)["status"] == {"phase": "Pending"}
    assert made(resources.PERSISTENTVOLUMES)["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert made(resources.STORAGECLASSES)["reclaimPolicy"] == "Delete"
    assert made(resources.STORAGECLASSES)["volumeBindingMode"] == "Immediate"


def test_single_and_plural_addresses_fill_one_another() -> None:
    assert made(resources.NODES, spec={"podCIDR": "10.0.0.0/24"})["spec"]["podCIDRs"] == ["10.0.0.0/24"]
    assert made(resources.PODS, status={"podIP": "10.0.0.1"})["status"]["podIPs"] == [{"ip": "10.0.0.1"}]


def test_a_node_offers_what_it_has_unless_it_says_otherwise() -> None:
    assert made(resources.NODES, status={"capacity": {"cpu": "2"}})["status"]["allocatable"] == {"cpu": "2"}


def test_rbac_groups_are_filled_in_for_users_and_groups_alone() -> None:
    found = made(
        resources.ROLEBINDINGS,
        roleRef={"kind": "Role", "name": "r"},
        subjects=[{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s", "namespace": "n"}],
    )
    assert found["roleRef"]["apiGroup"] == found["subjects"][0]["apiGroup"] == "rbac.authorization.k8s.io"
    assert "apiGroup" not in found["subjects"][1]


def test_limit_ranges_fill_defaults_from_bounds() -> None:
    item = {"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}}
    found = made(resources.LIMITRANGES, spec={"limits": [item]})["spec"]["limits"][0]
    assert found["default"] == {"cpu": "2"}
    assert found["defaultRequest"] == {"cpu": "2", "memory": "1Mi"}


def test_network_policies_name_the_directions_they_speak_of() -> None:
    assert made(resources.NETWORKPOLICIES)["spec"]["policyTypes"] == ["Ingress"]
    assert made(resources.NETWORKPOLICIES, spec={"egress": [{}]})["spec"]["policyTypes"] == ["Ingress", "Egress"]


@pytest.mark.parametrize(
    ("resource", "fields", "wanted"),
    [
        (resources.DAEMONSETS, {}, {"currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0}),
        (resources.REPLICASETS, {}, {"replicas": 0}),
        (resources.PODDISRUPTIONBUDGETS, {}, {"disruptionsAllowed": 0, "expectedPods": 0}),
    ],
)
def test_numbers_that_clients_count_on_are_there_from_the_start(resource: Any, fields: Object, wanted: Object) -> None:
    assert wanted.items() <= made(resource, **fields)["status"].items()


def test_a_container_status_is_complete_for_typed_clients() -> None:
    status = {"containerStatuses": [{"name": "c", "state": {"terminated": {}}}]}
    (found,) = made(resources.PODS, status=status)["status"]["containerStatuses"]
    assert {"image": "", "imageID": "", "ready": False, "restartCount": 0}.items() <= found.items()
    assert found["state"]["terminated"] == {"exitCode": 0}
