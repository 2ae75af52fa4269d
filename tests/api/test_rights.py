"""Who may do what: RBAC as objects change, escalation, reviews, nodes."""

import secrets
from collections.abc import Iterator

import pytest

from tests.api.cluster import Cluster
from tests.api.conftest import connect
from tests.api.http import Api, Object
from tests.api.objects import configmap, pod

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ACCESS = "/apis/authorization.k8s.io/v1"
READ_PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
AS_ALICE = {"impersonate-user": "alice"}


def bind(
    api: Api, namespace: str, name: str, kind: str, user: str = "alice", expect: int = 201, **more: object
) -> Object:
    body = {
        "metadata": {"name": f"{name}-{secrets.token_hex(3)}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
    return api.ask("POST", f"{RBAC}/namespaces/{namespace}/rolebindings", body, expect=expect, **more)


def test_a_binding_takes_effect_and_ends_with_it(api: Api, core: str, namespace: str) -> None:
    roles = f"{RBAC}/namespaces/{namespace}/roles"
    api.post(roles, {"metadata": {"name": "reader"}, "rules": [READ_PODS]})
    api.ask("GET", f"{core}/pods", expect=403, headers=AS_ALICE)
    made = bind(api, namespace, "reader", "Role")
    api.ask("GET", f"{core}/pods", headers=AS_ALICE)
    api.ask("GET", "/api/v1/namespaces/default/pods", expect=403, headers=AS_ALICE)
    api.delete(f"{RBAC}/namespaces/{namespace}/rolebindings/{made['metadata']['name']}")
    api.ask("GET", f"{core}/pods", expect=403, headers=AS_ALICE)


def test_edit_and_view_are_aggregated(api: Api, core: str, namespace: str) -> None:
    bind(api, namespace, "view", "ClusterRole")
    api.ask("GET", f"{core}/pods", headers=AS_ALICE)
    api.ask("GET", f"{core}/secrets", expect=403, headers=AS_ALICE)
    api.ask("POST", f"{core}/configmaps", configmap("c"), expect=403, headers=AS_ALICE)
    bind(api, namespace, "edit", "ClusterRole")
    api.ask("GET", f"{core}/secrets", headers=AS_ALICE)
    api.ask("POST", f"{core}/configmaps", configmap("c"), expect=201, headers=AS_ALICE)


@pytest.fixture
def editor(api: Api, namespace: str) -> Iterator[dict[str, str]]:
    """Headers of a user who administers one namespace."""
    bind(api, namespace, "admin", "ClusterRole", "carol")
    yield {"impersonate-user": "carol"}


def test_nobody_writes_a_role_with_more_than_he_has(api: Api, namespace: str, editor: dict[str, str]) -> None:
    roles = f"{RBAC}/namespaces/{namespace}/roles"
    body = {"metadata": {"name": "own"}, "rules": [READ_PODS]}
    api.ask("POST", roles, body, expect=201, headers=editor)
    nodes = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}
    refused = api.ask("POST", roles, {"metadata": {"name": "more"}, "rules": [nodes]}, expect=403, headers=editor)
    assert "is attempting to grant RBAC permissions not currently held" in refused["message"]
    assert '{APIGroups:[""], Resources:["nodes"], Verbs:["get"]}' in refused["message"]


def test_nobody_binds_a_role_with_more_than_he_has(api: Api, namespace: str, editor: dict[str, str]) -> None:
    bind(api, namespace, "view", "ClusterRole", "dave", 201, headers=editor)
    bind(api, namespace, "cluster-admin", "ClusterRole", "dave", 403, headers=editor)
    bind(api, namespace, "no-such-role", "ClusterRole", "dave", 404, headers=editor)


def test_access_reviews_agree_with_real_access(api: Api, core: str, namespace: str) -> None:
    bind(api, namespace, "view", "ClusterRole")

    def asked(verb: str, resource: str) -> Object:
        attributes = {"namespace": namespace, "verb": verb, "resource": resource}
        return {"spec": {"user": "alice", "resourceAttributes": attributes}}

    for resource, allowed in (("pods", True), ("secrets", False)):
        review = api.post(f"{ACCESS}/subjectaccessreviews", asked("list", resource))
        local = api.post(f"{ACCESS}/namespaces/{namespace}/localsubjectaccessreviews", asked("list", resource))
        own = {"spec": {"resourceAttributes": asked("list", resource)["spec"]["resourceAttributes"]}}
        self_ = api.ask("POST", f"{ACCESS}/selfsubjectaccessreviews", own, expect=201, headers=AS_ALICE)
        assert [r["status"]["allowed"] for r in (review, local, self_)] == [allowed] * 3
        api.ask("GET", f"{core}/{resource}", expect=200 if allowed else 403, headers=AS_ALICE)
    assert "RoleBinding" in api.post(f"{ACCESS}/subjectaccessreviews", asked("list", "pods"))["status"]["reason"]


def test_reviews_are_checked(api: Api, namespace: str) -> None:
    api.post(f"{ACCESS}/subjectaccessreviews", {"spec": {"user": "alice"}}, expect=422)
    attributes = {"namespace": "elsewhere", "verb": "get", "resource": "pods"}
    body = {"spec": {"user": "alice", "resourceAttributes": attributes}}
    api.post(f"{ACCESS}/namespaces/{namespace}/localsubjectaccessreviews", body, expect=422)
    headers = {"accept": "application/json;as=Table;g=meta.k8s.io;v=v1"}
    own = {"spec": {"resourceAttributes": attributes}}
    api.ask("POST", f"{ACCESS}/selfsubjectaccessreviews", own, expect=406, headers=headers)


def test_a_rules_review_lists_what_one_may(api: Api, namespace: str) -> None:
    bind(api, namespace, "view", "ClusterRole")
    body = {"spec": {"namespace": namespace}}
    found = api.ask("POST", f"{ACCESS}/selfsubjectrulesreviews", body, expect=201, headers=AS_ALICE)["status"]
    assert any("pods" in rule["resources"] and "list" in rule["verbs"] for rule in found["resourceRules"])
    assert any("/version" in rule["nonResourceURLs"] for rule in found["nonResourceRules"])
    assert found["incomplete"] is False


def test_default_roles_are_there_and_may_be_completed(api: Api) -> None:
    names = {role["metadata"]["name"] for role in api.get(f"{RBAC}/clusterroles")["items"]}
    wanted = "cluster-admin admin edit view system:node system:node-proxier system:kube-scheduler system:basic-user"
    assert set(wanted.split()) <= names
    admin = api.get(f"{RBAC}/clusterroles/admin")
    assert admin["metadata"]["labels"]["kubernetes.io/bootstrapping"] == "rbac-defaults"
    assert any("rolebindings" in rule["resources"] for rule in admin["rules"])


@pytest.fixture(scope="session")
def kubelet(cluster: Cluster) -> Iterator[Api]:
    """A kubelet's connection, and its node."""
    with connect(cluster, "node-a") as client:
        yield Api(client)


def test_a_kubelet_makes_its_own_node_and_sees_its_own_pods_only(api: Api, core: str, kubelet: Api) -> None:
    node = {"metadata": {"name": "node-a"}}
    made = kubelet.post("/api/v1/nodes", node)
    try:
        assert {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"} in made["spec"]["taints"]
        kubelet.post("/api/v1/nodes", {"metadata": {"name": "node-b"}}, expect=403)
        kubelet.get("/api/v1/nodes/node-a")
        kubelet.get("/api/v1/nodes")  # for the node's proxy, which has the same identity
        api.post("/api/v1/nodes", {"metadata": {"name": "node-b"}})
        kubelet.patch("/api/v1/nodes/node-b", {"metadata": {"labels": {"a": "b"}}}, expect=403)
        kubelet.get("/api/v1/pods", fieldSelector="spec.nodeName=node-a")
        kubelet.get("/api/v1/pods", expect=403)
        kubelet.get("/api/v1/pods", expect=403, fieldSelector="spec.nodeName=node-b")
        kubelet.get("/api/v1/services")
    finally:
        api.delete("/api/v1/nodes/node-a")
        api.delete("/api/v1/nodes/node-b")


def test_a_kubelet_reads_what_its_pods_refer_to(api: Api, core: str, kubelet: Api, namespace: str) -> None:
    for name in ("used", "unused"):
        api.post(f"{core}/secrets", {"metadata": {"name": name}})
        api.post(f"{core}/configmaps", configmap(name))
    volumes = [{"name": "v", "secret": {"secretName": "used"}}, {"name": "w", "configMap": {"name": "used"}}]
    kubelet.get(f"{core}/secrets/used", expect=403)
    made = api.post(f"{core}/pods", pod("p", nodeName="node-a", volumes=volumes))
    for kind in ("secrets", "configmaps"):
        kubelet.get(f"{core}/{kind}/used")
        kubelet.get(f"{core}/{kind}", fieldSelector="metadata.name=used")
        refused = kubelet.get(f"{core}/{kind}/unused", expect=403)
        assert refused["message"].endswith("no relationship found between node 'node-a' and this object")
        kubelet.get(f"{core}/{kind}", expect=403)
    kubelet.get(f"{core}/pods/p")
    token = {
        "spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": made["metadata"]["uid"]}}
    }
    kubelet.post(f"{core}/serviceaccounts/default/token", token)
    kubelet.post(f"{core}/serviceaccounts/default/token", {"spec": {}}, expect=403)
    api.delete(f"{core}/pods/p", gracePeriodSeconds=0)
    kubelet.get(f"{core}/secrets/used", expect=403)


def test_a_kubelet_changes_the_status_of_its_own_pods_only(api: Api, core: str, kubelet: Api) -> None:
    api.post(f"{core}/pods", pod("mine", nodeName="node-a"))
    api.post(f"{core}/pods", pod("other", nodeName="node-b"))
    kubelet.patch(f"{core}/pods/mine/status", {"status": {"phase": "Running"}})
    kubelet.patch(f"{core}/pods/other/status", {"status": {"phase": "Running"}}, expect=403)
    kubelet.delete(f"{core}/pods/other", expect=403, gracePeriodSeconds=0)
    kubelet.post(f"{core}/pods", pod("ordinary", nodeName="node-a"), expect=403)
    kubelet.delete(f"{core}/pods/mine", gracePeriodSeconds=0)


def test_a_kubelet_leaves_taints_and_protected_labels_alone(api: Api, kubelet: Api) -> None:
    kubelet.post("/api/v1/nodes", {"metadata": {"name": "node-a"}})
    try:
        kubelet.patch(
            "/api/v1/nodes/node-a", {"metadata": {"labels": {"kubernetes.io/hostname": "a", "example.com/x": "y"}}}
        )
        kubelet.patch(
            "/api/v1/nodes/node-a", {"metadata": {"labels": {"node-restriction.kubernetes.io/x": "y"}}}, expect=403
        )
        kubelet.patch("/api/v1/nodes/node-a", {"metadata": {"labels": {"kubernetes.io/secret": "y"}}}, expect=403)
        kubelet.patch("/api/v1/nodes/node-a", {"spec": {"taints": None}}, expect=403)
        kubelet.delete("/api/v1/nodes/node-a", expect=403)
    finally:
        api.delete("/api/v1/nodes/node-a")


def test_a_kubelet_renews_its_own_lease_only(kubelet: Api, api: Api) -> None:
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    kubelet.post(path, {"metadata": {"name": "node-a"}})
    kubelet.get(f"{path}/node-a")
    kubelet.post(path, {"metadata": {"name": "node-b"}}, expect=403)
    kubelet.get(f"{path}/node-b", expect=403)
    kubelet.post("/apis/coordination.k8s.io/v1/namespaces/default/leases", {"metadata": {"name": "node-a"}}, expect=403)
    api.delete(f"{path}/node-a")
