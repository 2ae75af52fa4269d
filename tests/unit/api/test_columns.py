"""Columns: what `kubectl get` prints, above all the one word that sums up a pod."""

import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from api import resources as r
from api.columns import COLUMNS, columns, table
from api.columns.cells import duration, label_selector
from api.types import Object, Resource

NOW = datetime(2026, 1, 10, 12, 0, 0, tzinfo=UTC)
LONG_AGO = "2026-01-05T00:00:00Z"


def row(resource: Resource, obj: Object) -> dict[str, Any]:
    obj = {**obj, "metadata": {"name": "x", "creationTimestamp": LONG_AGO, **obj.get("metadata", {})}}
    definitions, rows = table(resource, [obj], NOW)
    return {each["name"]: cell for each, cell in zip(definitions, rows[0], strict=True)}


def running(**fields: Any) -> Object:
    return {"name": "c", "ready": True, "restartCount": 0, "state": {"running": {}}, **fields}


def waiting(reason: str, **fields: Any) -> Object:
    return {"name": "c", "ready": False, "restartCount": 0, "state": {"waiting": {"reason": reason}}, **fields}


def ended(code: int, reason: str = "", **fields: Any) -> Object:
    state = {"exitCode": code, **({"reason": reason} if reason else {})}
    return {"name": "c", "ready": False, "restartCount": 0, "state": {"terminated": state}, **fields}


def pod(phase: str, *statuses: Object, init: tuple[Object, ...] = (), **status: Any) -> Object:
    return {
        "spec": {"containers": [{"name": "c"}], "initContainers": [{"name": each["name"]} for each in init]},
        "status": {"phase": phase, "containerStatuses": list(statuses), "initContainerStatuses": list(init), **status},
    }


READY: dict[str, Any] = {"conditions": [{"type": "Ready", "status": "True"}]}


@pytest.mark.parametrize(
    ("obj", "status", "ready"),
    [
        (pod("Pending"), "Pending", "0/1"),
        (pod("Pending", waiting("ContainerCreating")), "ContainerCreating", "0/1"),
        (pod("Running", running()), "Running", "1/1"),
        (pod("Running", running(ready=False)), "Running", "0/1"),
        (pod("Running", waiting("CrashLoopBackOff")), "CrashLoopBackOff", "0/1"),
        (pod("Pending", waiting("ImagePullBackOff")), "ImagePullBackOff", "0/1"),
        (pod("Succeeded", ended(0, "Completed")), "Completed", "0/1"),
        (pod("Failed", ended(1, "Error")), "Error", "0/1"),
        (pod("Failed", ended(3)), "ExitCode:3", "0/1"),
        (pod("Failed", reason="Evicted"), "Evicted", "0/1"),
        (pod("Running", running(), ended(0, "Completed"), **READY), "Running", "1/1"),
        (pod("Running", running(), ended(0, "Completed")), "NotReady", "1/1"),
        (pod("Pending", init=(running(name="i", ready=False),)), "Init:0/1", "0/1"),
        (pod("Pending", init=(ended(0, name="i"), waiting("PodInitializing", name="j"))), "Init:1/2", "0/1"),
        (pod("Pending", init=(waiting("ErrImagePull", name="i"),)), "Init:ErrImagePull", "0/1"),
        (pod("Pending", init=(ended(1, "Error", name="i"),)), "Init:Error", "0/1"),
        (pod("Failed", init=(ended(7, name="i"),)), "Init:ExitCode:7", "0/1"),
        (
            pod("Pending", conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]),
            "SchedulingGated",
            "0/1",
        ),
    ],
)
def test_the_status_of_a_pod(obj: Object, status: str, ready: str) -> None:
    cells = row(r.PODS, obj)
    assert (cells["Status"], cells["Ready"]) == (status, ready)


def test_a_pod_that_is_going_is_terminating_until_it_has_ended() -> None:
    going = {"deletionTimestamp": LONG_AGO}
    assert row(r.PODS, {**pod("Running", running()), "metadata": going})["Status"] == "Terminating"
    assert row(r.PODS, {**pod("Succeeded", ended(0, "Completed")), "metadata": going})["Status"] == "Completed"
    assert row(r.PODS, {**pod("Running", reason="NodeLost"), "metadata": going})["Status"] == "Unknown"


def test_sidecars_count_as_containers() -> None:
    obj = pod("Running", running(), init=(running(name="s", started=True, restartCount=2),))
    obj["spec"]["initContainers"][0]["restartPolicy"] = "Always"
    cells = row(r.PODS, obj)
    assert (cells["Ready"], cells["Status"], cells["Restarts"]) == ("2/2", "Running", "2")


def test_restarts_say_when_the_last_one_was() -> None:
    last = {"terminated": {"finishedAt": "2026-01-10T11:55:00Z"}}
    assert row(r.PODS, pod("Running", running(restartCount=3, lastState=last)))["Restarts"] == "3 (5m ago)"


def test_the_wide_columns_of_a_pod() -> None:
    obj = pod("Running", running(), podIP="10.0.0.1", podIPs=[{"ip": "10.0.0.1"}], nominatedNodeName="n2")
    obj["spec"] |= {"nodeName": "n1", "readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}]}
    obj["status"]["conditions"] = [{"type": "a", "status": "True"}]
    cells = row(r.PODS, obj)
    assert (cells["IP"], cells["Node"], cells["Nominated Node"], cells["Readiness Gates"]) == (
        "10.0.0.1",
        "n1",
        "n2",
        "1/2",
    )
    assert [each.name for each in columns(r.PODS) if each.wide] == ["IP", "Node", "Nominated Node", "Readiness Gates"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (330, "5m30s"),
        (600, "10m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 120, "3h2m"),
        (9 * 3600 + 120, "9h"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (132 * 3600, "5d12h"),
        (20 * 86400, "20d"),
        (2 * 365 * 86400, "2y"),
        (2 * 365 * 86400 + 86400, "2y1d"),
        (9 * 365 * 86400, "9y"),
    ],
)
def test_durations_are_short(seconds: int, text: str) -> None:
    assert duration(seconds) == text


def test_ages_count_from_creation() -> None:
    assert row(r.PODS, pod("Running"))["Age"] == "5d12h"
    assert row(r.CONFIGMAPS, {"metadata": {"creationTimestamp": None}})["Age"] == "<unknown>"


@pytest.mark.parametrize(
    ("spec", "status", "address", "ports"),
    [
        ({"type": "ClusterIP", "ports": [{"port": 80, "protocol": "TCP"}]}, {}, "<none>", "80/TCP"),
        (
            {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}]},
            {},
            "<none>",
            "80:30080/TCP",
        ),
        ({"type": "LoadBalancer"}, {}, "<pending>", "<none>"),
        ({"type": "LoadBalancer"}, {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}, "1.2.3.4", "<none>"),
        ({"type": "ExternalName", "externalName": "example.com"}, {}, "example.com", "<none>"),
        ({"type": "ClusterIP", "externalIPs": ["1.1.1.1", "2.2.2.2"]}, {}, "1.1.1.1,2.2.2.2", "<none>"),
    ],
)
def test_services(spec: Object, status: Object, address: str, ports: str) -> None:
    cells = row(r.SERVICES, {"spec": spec, "status": status})
    assert (cells["External-IP"], cells["Port(s)"]) == (address, ports)


def test_nodes_show_readiness_cordon_and_roles() -> None:
    node = {
        "metadata": {"labels": {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": ""}},
        "spec": {"unschedulable": True},
        "status": {
            "conditions": [{"type": "Ready", "status": "Unknown"}],
            "addresses": [{"type": "InternalIP", "address": "10.98.0.11"}],
            "nodeInfo": {"kubeletVersion": "v1.36.0"},
        },
    }
    cells = row(r.NODES, node)
    assert (cells["Status"], cells["Roles"]) == ("NotReady,SchedulingDisabled", "control-plane,worker")
    assert (cells["Version"], cells["Internal-IP"], cells["External-IP"]) == ("v1.36.0", "10.98.0.11", "<none>")


@pytest.mark.parametrize(
    ("resource", "obj", "wanted"),
    [
        (r.DEPLOYMENTS, {"spec": {"replicas": 3}, "status": {"readyReplicas": 2}}, {"Ready": "2/3", "Up-to-date": 0}),
        (r.JOBS, {"spec": {"completions": 3}, "status": {"succeeded": 1}}, {"Completions": "1/3", "Status": "Running"}),
        (r.JOBS, {"spec": {"parallelism": 4}}, {"Completions": "0/1 of 4"}),
        (
            r.JOBS,
            {"status": {"startTime": LONG_AGO, "completionTime": "2026-01-05T00:01:30Z"}},
            {"Duration": "90s"},
        ),
        (
            r.CRONJOBS,
            {"spec": {"schedule": "@daily"}},
            {"Last Schedule": "<none>", "Suspend": "False", "Timezone": "<none>"},
        ),
        (r.DAEMONSETS, {}, {"Desired": 0, "Node Selector": "<none>"}),
        (r.SECRETS, {"type": "Opaque", "data": {"a": "", "b": ""}}, {"Type": "Opaque", "Data": 2}),
        (
            r.ENDPOINTS,
            {"subsets": [{"addresses": [{"ip": f"10.0.0.{i}"} for i in range(5)], "ports": [{"port": 80}]}]},
            {"Endpoints": "10.0.0.0:80,10.0.0.1:80,10.0.0.2:80 + 2 more..."},
        ),
        (r.ENDPOINTSLICES, {"addressType": "IPv4"}, {"Ports": "<unset>", "Endpoints": "<unset>"}),
        (
            r.PERSISTENTVOLUMECLAIMS,
            {
                "spec": {"volumeName": "v", "accessModes": ["ReadWriteOnce"]},
                "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]},
            },
            {"Status": "Bound", "Capacity": "1Gi", "Access Modes": "RWO", "VolumeAttributesClass": "<unset>"},
        ),
        (r.PERSISTENTVOLUMES, {"spec": {"claimRef": {"namespace": "n", "name": "c"}}}, {"Claim": "n/c"}),
        (
            r.ROLEBINDINGS,
            {
                "roleRef": {"kind": "Role", "name": "r"},
                "subjects": [{"kind": "ServiceAccount", "name": "s", "namespace": "n"}],
            },
            {"Role": "Role/r", "ServiceAccounts": "n/s"},
        ),
        (
            r.EVENTS,
            {
                "involvedObject": {"kind": "Pod", "name": "p"},
                "lastTimestamp": "2026-01-10T11:59:00Z",
                "message": "hi\n",
            },
            {"Last Seen": "60s", "Object": "pod/p", "Message": "hi"},
        ),
        (
            r.CERTIFICATESIGNINGREQUESTS,
            {"status": {"conditions": [{"type": "Approved"}], "certificate": "x"}},
            {"Condition": "Approved,Issued"},
        ),
        (
            r.STORAGECLASSES,
            {"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}},
            {"Name": "x (default)"},
        ),
        (
            r.RESOURCEQUOTAS,
            {"status": {"hard": {"pods": "5", "limits.cpu": "1"}, "used": {"pods": "2"}}},
            {"Request": "pods: 2/5", "Limit": "limits.cpu: 0/1"},
        ),
        (r.PODDISRUPTIONBUDGETS, {"spec": {"minAvailable": 0}}, {"Min Available": 0, "Max Unavailable": "N/A"}),
    ],
)
def test_cells_of_other_kinds(resource: Resource, obj: Object, wanted: dict[str, Any]) -> None:
    cells = row(resource, obj)
    assert {name: cells[name] for name in wanted} == wanted


@pytest.mark.parametrize("resource", r.ALL, ids=lambda each: f"{each.group_version}/{each.kind}")
def test_every_kind_prints_even_when_nearly_empty(resource: Resource) -> None:
    assert row(resource, {})
    assert row(resource, {"spec": {}, "status": {}})


def test_every_table_belongs_to_a_kind_by_its_name() -> None:
    assert all(key.count("/") in (1, 2) for key in COLUMNS)


def test_selectors_read_as_on_the_command_line() -> None:
    found = label_selector(
        {
            "matchLabels": {"b": "2", "a": "1"},
            "matchExpressions": [
                {"key": "c", "operator": "In", "values": ["y", "x"]},
                {"key": "d", "operator": "Exists"},
                {"key": "e", "operator": "DoesNotExist"},
            ],
        }
    )
    assert found == "a=1,b=2,c in (x,y),d,!e"


def test_definitions_are_those_of_a_table() -> None:
    definitions, rows = table(r.PODS, [], NOW)
    assert definitions[0] == {"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}
    assert rows == []


def test_columns_need_no_models() -> None:
    module = sys.modules["api.columns"]
    assert not [name for name in vars(module) if "pydantic" in name or name == "kinds"]
