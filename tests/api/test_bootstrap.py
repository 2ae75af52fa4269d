"""A cluster's own objects: made once whatever number of servers makes them, given back, kept; and the audit log."""

import json
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.api.cluster import Cluster
from tests.api.conftest import connect
from tests.api.http import Api, Object

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ENDPOINTS = "/api/v1/namespaces/default/endpoints"


@pytest.fixture
def own() -> Iterator[Cluster]:
    """An etcd and a server of the test's own, with an audit log; not started yet."""
    folder = Path(tempfile.mkdtemp(prefix="cloudlet-bootstrap-"))
    cluster = Cluster(folder, flags=[f"--audit-log-path={folder}/audit.log"])
    try:
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(folder, ignore_errors=True)


def another(cluster: Cluster) -> Cluster:
    return Cluster(cluster.folder, etcd_port=cluster.etcd_port, name="apiserver-2")


def ports(endpoints: Object) -> set[int]:
    return {subset["ports"][0]["port"] for subset in endpoints["subsets"]}


def until(api: Api, wanted: set[int]) -> None:
    """Wait until default/kubernetes has the servers of these ports."""
    with api.watch(ENDPOINTS, fieldSelector="metadata.name=kubernetes", timeoutSeconds=40) as watch:
        while ports(watch.next()["object"]) != wanted:
            pass


@pytest.mark.timeout(120)
def test_two_servers_that_begin_together_make_one_cluster_and_who_dies_leaves_it(own: Cluster) -> None:
    other = another(own)
    own.start_etcd()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(Cluster.start_server, (own, other)))
    try:
        with connect(own) as client:
            client.timeout = httpx.Timeout(45)
            api = Api(client)
            until(api, {own.port, other.port})
            names = [item["metadata"]["name"] for item in api.get(f"{RBAC}/clusterroles")["items"]]
            assert len(names) == len(set(names)) > 60
            slices = api.get("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices")["items"]
            assert {one["ports"][0]["port"] for one in slices} == {own.port, other.port}
            assert other.stop("apiserver-2") == 0
            until(api, {own.port})
            other.start_server()
            until(api, {own.port, other.port})
            other.stop("apiserver-2", signal.SIGKILL)
            until(api, {own.port})
    finally:
        if "apiserver-2" in other.processes:
            other.stop("apiserver-2")


def test_a_restart_gives_back_what_was_taken_and_keeps_what_was_added(own: Cluster) -> None:
    own.start()
    with connect(own) as client:
        api = Api(client)
        api.delete(f"{RBAC}/clusterrolebindings/system:kube-scheduler")
        api.delete("/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical")
        extra = {"apiGroups": ["example.com"], "resources": ["things"], "verbs": ["get"]}
        api.patch(f"{RBAC}/clusterroles/system:kube-dns", {"rules": [extra]})
        opted_out = {"metadata": {"annotations": {"rbac.authorization.kubernetes.io/autoupdate": "false"}}, "rules": []}
        api.patch(f"{RBAC}/clusterroles/system:heapster", opted_out)
        address = api.get("/api/v1/namespaces/default/services/kubernetes")["spec"]["clusterIP"]
    assert own.stop("apiserver") == 0
    own.start_server()
    with connect(own) as client:
        api = Api(client)
        api.get(f"{RBAC}/clusterrolebindings/system:kube-scheduler")
        api.get("/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical")
        rules = api.get(f"{RBAC}/clusterroles/system:kube-dns")["rules"]
        assert extra in rules and any("services" in rule["resources"] for rule in rules)
        assert not api.get(f"{RBAC}/clusterroles/system:heapster").get("rules")
        assert api.get("/api/v1/namespaces/default/services/kubernetes")["spec"]["clusterIP"] == address


def audited(cluster: Cluster, audit_id: str) -> Object:
    """The log's line about one request; it is written within a moment."""
    path = cluster.folder / "audit.log"
    deadline = time.monotonic() + 10
    process = cluster.processes["apiserver"]
    while time.monotonic() < deadline and process.poll() is None:
        lines = path.read_text().splitlines() if path.exists() else []
        for line in lines:
            found: Object = json.loads(line)
            if found["auditID"] == audit_id:
                return found
        with httpx.Client(verify=False) as client:  # noqa: S501 only to let time pass with an event: the answer
            client.get(f"{cluster.url}/healthz")
    raise AssertionError(f"{audit_id} is not in the audit log")


def test_the_audit_log_says_who_did_what_and_never_what_it_held(own: Cluster) -> None:
    own.start()
    with connect(own) as client:
        body = {"metadata": {"name": "s"}, "stringData": {"password": "top-secret"}}
        path = "/api/v1/namespaces/default/secrets"
        headers = {"audit-id": "the-one", "user-agent": "tester"}
        headers |= {"impersonate-user": "alice", "impersonate-group": "system:masters"}
        assert client.post(path, json=body, headers=headers).status_code == 201
        client.get("/api/v1/nodes/none", headers={"audit-id": "the-other"})
    found = audited(own, "the-one")
    assert (found["verb"], found["level"], found["stage"]) == ("create", "Metadata", "ResponseComplete")
    assert found["user"]["username"] == "kubernetes-admin"
    assert found["impersonatedUser"]["username"] == "alice"
    assert found["objectRef"] == {"resource": "secrets", "namespace": "default", "apiVersion": "v1"}
    assert (found["responseStatus"]["code"], found["userAgent"], found["sourceIPs"]) == (201, "tester", ["127.0.0.1"])
    assert audited(own, "the-other")["responseStatus"]["code"] == 404
    log = own.folder / "audit.log"
    assert b"top-secret" not in log.read_bytes()
    assert log.stat().st_mode & 0o077 == 0
