"""The Node authorizer: a graph of what pods refer to, and a table of questions."""

from dataclasses import replace
from typing import Any

import pytest

from api.resources import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, VOLUMEATTACHMENTS
from api.types import Object
from apiserver.auth.attributes import Attributes
from apiserver.auth.node import NodeAuthorizer, NodeGraph, pod_refs
from apiserver.auth.user import User
from tests.unit.apiserver.fakes import FakeLookup

KUBELET = User("system:node:n1", groups=("system:nodes", "system:authenticated"))
OTHER = User("system:node:n2", groups=("system:nodes", "system:authenticated"))
RICH: Object = {
    "metadata": {"namespace": "ns", "name": "p"},
    "spec": {
        "nodeName": "n1",
        "serviceAccountName": "bot",
        "imagePullSecrets": [{"name": "registry"}],
        "initContainers": [{"name": "i", "env": [{"valueFrom": {"secretKeyRef": {"name": "env-secret", "key": "k"}}}]}],
        "containers": [{"name": "c", "envFrom": [{"configMapRef": {"name": "from-config"}}]}],
        "ephemeralContainers": [{"name": "e", "envFrom": [{"secretRef": {"name": "debug-secret"}}]}],
        "volumes": [
            {"name": "a", "secret": {"secretName": "volume-secret"}},
            {"name": "b", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "d", "ephemeral": {"volumeClaimTemplate": {}}},
            {
                "name": "e",
                "projected": {"sources": [{"secret": {"name": "part"}}, {"configMap": {"name": "kube-root-ca.crt"}}]},
            },
            {"name": "f", "emptyDir": {}},
        ],
    },
}


def test_every_reference_of_a_pod_is_found() -> None:
    assert pod_refs(RICH) == {
        ("serviceaccounts", "ns", "bot"),
        ("secrets", "ns", "registry"),
        ("secrets", "ns", "env-secret"),
        ("configmaps", "ns", "from-config"),
        ("secrets", "ns", "debug-secret"),
        ("secrets", "ns", "volume-secret"),
        ("persistentvolumeclaims", "ns", "data"),
        ("persistentvolumeclaims", "ns", "p-d"),
        ("secrets", "ns", "part"),
        ("configmaps", "ns", "kube-root-ca.crt"),
    }


def test_a_mirror_pod_grants_nothing() -> None:
    mirror = {**RICH, "metadata": {**RICH["metadata"], "annotations": {"kubernetes.io/config.mirror": "x"}}}
    assert pod_refs(mirror) == frozenset()


def setup() -> tuple[NodeGraph, NodeAuthorizer, FakeLookup]:
    lookup = FakeLookup()
    graph = NodeGraph(lookup)
    graph.apply(RICH)
    return graph, NodeAuthorizer(graph, lookup), lookup


def ask(who: User, verb: str, resource: str, name: str = "", namespace: str = "ns", **more: Any) -> bool:
    _, authorizer, _ = setup()
    return authorizer.authorize(
        Attributes(who, verb, more.pop("group", ""), "v1", resource, more.pop("sub", ""), namespace, name, **more)
    ).allowed


@pytest.mark.parametrize(
    ("question", "allowed"),
    [
        (("get", "secrets", "volume-secret"), True),
        (("list", "secrets", "volume-secret"), True),
        (("watch", "configmaps", "from-config"), True),
        (("get", "secrets", "another"), False),
        (("get", "secrets", "volume-secret", "elsewhere"), False),
        (("list", "secrets"), False),
        (("update", "secrets", "volume-secret"), False),
        (("get", "persistentvolumeclaims", "data"), True),
        (("list", "persistentvolumeclaims", "data"), False),
        (("get", "pods", "p"), True),
        (("get", "pods", "q"), False),
        (("delete", "pods", "q"), True),
        (("get", "nodes", "n1", ""), True),
        (("get", "nodes", "n2", ""), False),
        (("update", "nodes", "n1", ""), True),
        (("list", "services"), True),
        (("list", "deployments"), False),
    ],
)
def test_what_a_kubelet_may(question: tuple[str, ...], allowed: bool) -> None:
    assert ask(KUBELET, *question) is allowed


def test_another_nodes_kubelet_sees_nothing_of_it() -> None:
    assert not ask(OTHER, "get", "secrets", "volume-secret")
    assert not ask(OTHER, "get", "pods", "p")


def test_pods_are_listed_by_node_only() -> None:
    assert ask(KUBELET, "list", "pods", namespace="", field_selector="spec.nodeName=n1")
    assert ask(KUBELET, "watch", "pods", namespace="", field_selector="status.phase!=Failed,spec.nodeName==n1")
    assert not ask(KUBELET, "list", "pods", namespace="", field_selector="spec.nodeName=n2")
    assert not ask(KUBELET, "list", "pods", namespace="")


def test_tokens_are_made_for_accounts_of_own_pods() -> None:
    assert ask(KUBELET, "create", "serviceaccounts", "bot", sub="token")
    assert not ask(KUBELET, "create", "serviceaccounts", "other", sub="token")
    assert not ask(KUBELET, "get", "serviceaccounts", "bot")


def test_leases_are_the_nodes_own_in_their_namespace() -> None:
    group = "coordination.k8s.io"
    assert ask(KUBELET, "update", "leases", "n1", "kube-node-lease", group=group)
    assert not ask(KUBELET, "update", "leases", "n2", "kube-node-lease", group=group)
    assert not ask(KUBELET, "update", "leases", "n1", "kube-system", group=group)
    assert not ask(KUBELET, "list", "leases", "", "kube-node-lease", group=group)


def test_what_a_claims_volume_needs_is_seen_through_the_claim() -> None:
    _, authorizer, lookup = setup()
    lookup.put(PERSISTENTVOLUMECLAIMS, {"metadata": {"namespace": "ns", "name": "data"}, "spec": {"volumeName": "v"}})
    csi = {"nodePublishSecretRef": {"namespace": "storage", "name": "key"}}
    claim = {"namespace": "ns", "name": "data"}
    lookup.put(PERSISTENTVOLUMES, {"metadata": {"name": "v"}, "spec": {"claimRef": claim, "csi": csi}})
    assert authorizer.authorize(Attributes(KUBELET, "get", "", "v1", "persistentvolumes", "", "", "v")).allowed
    assert authorizer.authorize(Attributes(KUBELET, "get", "", "v1", "secrets", "", "storage", "key")).allowed
    assert not authorizer.authorize(Attributes(OTHER, "get", "", "v1", "secrets", "", "storage", "key")).allowed


def test_attachments_are_read_by_their_node() -> None:
    _, authorizer, lookup = setup()
    lookup.put(VOLUMEATTACHMENTS, {"metadata": {"name": "a"}, "spec": {"nodeName": "n1"}})
    asked = Attributes(KUBELET, "get", "storage.k8s.io", "v1", "volumeattachments", "", "", "a")
    assert authorizer.authorize(asked).allowed
    assert not authorizer.authorize(replace(asked, user=OTHER)).allowed


def test_references_end_with_their_last_pod() -> None:
    graph, _, _ = setup()
    second = {**RICH, "metadata": {"namespace": "ns", "name": "p2"}}
    graph.apply(second)
    graph.remove("ns", "p")
    assert graph.relates("n1", "secrets", "ns", "volume-secret")
    graph.remove("ns", "p2")
    assert not graph.relates("n1", "secrets", "ns", "volume-secret")


def test_a_pod_that_is_bound_later_counts_from_then_on() -> None:
    graph = NodeGraph(FakeLookup())
    unbound = {**RICH, "spec": {k: v for k, v in RICH["spec"].items() if k != "nodeName"}}
    graph.apply(unbound)
    assert not graph.relates("n1", "secrets", "ns", "volume-secret")
    graph.apply(RICH)
    assert graph.relates("n1", "secrets", "ns", "volume-secret")


def test_people_are_none_of_its_business() -> None:
    assert not ask(User("alice"), "get", "secrets", "volume-secret")
    assert not ask(User("alice", groups=("system:nodes",)), "get", "secrets", "volume-secret")
