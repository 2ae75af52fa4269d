"""The pure parts of subresources and services."""

from typing import Any

import pytest

from api.errors import BadRequest, Conflict, Forbidden, InternalError, Invalid, ServiceUnavailable, TooManyRequests
from api.types import Object
from apiserver.auth.policy import rule
from apiserver.bootstrap import completed_binding, completed_role
from apiserver.kubernetes_service import endpoints, slices
from apiserver.service_fields import carry_over, set_families
from apiserver.subresources.approval import decided
from apiserver.subresources.binding import bound
from apiserver.subresources.eviction import charged
from apiserver.subresources.interactive import attach_query, exec_query, forward_query
from apiserver.subresources.kubelets import address_of, container_of
from apiserver.subresources.proxy import check_address, endpoint_of, pod_port, relocated, rewrite_links, split_name

NOW = "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("web", ("", "web", "")),
        ("web:80", ("", "web", "80")),
        ("https:web:", ("https", "web", "")),
        ("http:web:port", ("http", "web", "port")),
        (":web:80", ("", "web", "80")),
    ],
)
def test_proxied_names_say_scheme_and_port(name: str, parts: tuple[str, str, str]) -> None:
    assert split_name(name) == parts


@pytest.mark.parametrize("name", ["ftp:web:80", "a:b:c:d"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(BadRequest):
        split_name(name)


def test_a_pods_port_by_name_number_or_first() -> None:
    made = {"spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8080}, {"containerPort": 9}]}]}}
    assert [pod_port(made, wanted) for wanted in ("", "http", "9", "x")] == ["8080", "8080", "9", "x"]
    assert pod_port({"spec": {"containers": [{}]}}, "") == ""


def one_slice(*addresses: str, ready: bool = True, **port: Any) -> Object:
    target = {"kind": "Pod", "name": "p"}
    found = [{"addresses": [ip], "conditions": {"ready": ready}, "targetRef": target} for ip in addresses]
    return {"endpoints": found, "ports": [port]}


def test_a_services_endpoint_is_ready_and_of_the_port_asked_for() -> None:
    service = {"metadata": {"name": "s"}, "spec": {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]}}
    parts = [
        one_slice("10.0.0.1", name="a", port=8080),
        one_slice("10.0.0.2", name="b", port=8081),
        one_slice("10.0.0.3", ready=False, name="a", port=8080),
    ]
    everything = {f"10.0.0.{number}" for number in range(9)}
    assert {endpoint_of(service, parts, "a", lambda name: everything) for _ in range(20)} == {"10.0.0.1:8080"}
    assert endpoint_of(service, parts, "81", lambda name: everything) == "10.0.0.2:8081"
    for wanted in ("99", "c"):
        with pytest.raises(ServiceUnavailable):
            endpoint_of(service, parts, wanted, lambda name: everything)


def test_an_endpoint_that_is_no_pod_is_not_proxied_to() -> None:
    service = {"metadata": {"name": "s"}, "spec": {"ports": [{"name": "a", "port": 80}]}}
    parts = [one_slice("10.0.0.1", name="a", port=8080)]
    with pytest.raises(ServiceUnavailable):
        endpoint_of(service, parts, "a", lambda name: {"10.9.9.9"})
    parts[0]["endpoints"][0].pop("targetRef")
    with pytest.raises(ServiceUnavailable):
        endpoint_of(service, parts, "a", lambda name: {"10.0.0.1"})


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "169.254.169.254", "fe80::1", "224.0.0.1", "0.0.0.0", "name"])  # noqa: S104
def test_addresses_of_the_servers_own_machine_are_not_proxied_to(address: str) -> None:
    with pytest.raises(BadRequest, match="address not allowed"):
        check_address(address)


def test_redirects_and_links_stay_inside() -> None:
    assert relocated("/x?y=1", "/p/proxy", "10.0.0.1:80") == "/p/proxy/x?y=1"
    assert relocated("http://10.0.0.1:80/x", "/p/proxy", "10.0.0.1:80") == "/p/proxy/x"
    assert relocated("https://example.com/x", "/p/proxy", "10.0.0.1:80") == "https://example.com/x"
    page = b"""<a href="/x">1</a><img src='/y'><a href="z">2</a><a href="//cdn/x">3</a>"""
    assert (
        rewrite_links(page, "/p") == b"""<a href="/p/x">1</a><img src='/p/y'><a href="z">2</a><a href="//cdn/x">3</a>"""
    )


def test_streams_of_exec_and_attach() -> None:
    assert exec_query([("command", "a"), ("command", "b"), ("stdin", "true"), ("stdout", "1")]) == [
        ("command", "a"), ("command", "b"), ("input", "1"), ("output", "1"),
    ]  # fmt: skip
    assert attach_query([]) == [("output", "1"), ("error", "1")]
    assert attach_query([("tty", "true"), ("stdin", "true")]) == [("input", "1"), ("output", "1"), ("tty", "1")]
    assert forward_query([("ports", "80"), ("x", "y")]) == [("port", "80")]
    for wrong in ([("stdout", "true")], [("command", "x")], [("command", "x"), ("tty", "true")]):
        with pytest.raises(BadRequest):
            exec_query(wrong)


def test_the_container_a_request_means() -> None:
    made: Object = {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "a"}], "initContainers": [{"name": "i"}]},
    }
    assert container_of(made, "") == "a"
    assert container_of(made, "i") == "i"
    made["spec"]["containers"].append({"name": "b"})
    with pytest.raises(BadRequest, match=r"choose one of: \[a b\] or one of the init containers: \[i\]"):
        container_of(made, "")


def test_a_kubelets_address_is_the_nodes_internal_one() -> None:
    addresses = [{"type": "Hostname", "address": "n"}, {"type": "InternalIP", "address": "10.0.0.1"}]
    endpoint = {"kubeletEndpoint": {"Port": 10251}}
    assert address_of({"status": {"addresses": addresses, "daemonEndpoints": endpoint}}) == ("10.0.0.1", 10251)
    assert address_of({"status": {"addresses": addresses[:1]}}) == ("n", 10250)
    with pytest.raises(InternalError):
        address_of({"metadata": {"name": "n"}})


def unbound(**spec: Any) -> Object:
    return {"metadata": {"name": "p", "uid": "1"}, "spec": spec, "status": {"phase": "Pending"}}


def test_a_binding_sets_node_and_condition() -> None:
    conditions = [
        {
            "type": "PodScheduled",
            "status": "False",
            "lastTransitionTime": "2020-01-01T00:00:00Z",
            "reason": "Unschedulable",
        }
    ]
    made = unbound() | {"status": {"conditions": conditions}}
    new = bound(made, {"target": {"name": "n"}}, NOW)
    assert new["spec"]["nodeName"] == "n"
    assert new["status"]["conditions"] == [{"type": "PodScheduled", "status": "True", "lastTransitionTime": NOW}]
    assert made["spec"] == {} and conditions[0]["status"] == "False", "the cached object is left alone"


@pytest.mark.parametrize(
    ("made", "binding"),
    [
        (unbound(nodeName="m"), {}),
        (unbound(nodeName="n"), {}),
        (unbound(schedulingGates=[{"name": "g"}]), {}),
        ({"metadata": {"name": "p", "uid": "1", "deletionTimestamp": NOW}, "spec": {}}, {}),
        (unbound(), {"metadata": {"uid": "2"}}),
    ],
)
def test_a_binding_that_comes_too_late_conflicts(made: Object, binding: Object) -> None:
    with pytest.raises(Conflict):
        bound(made, {"target": {"name": "n"}} | binding, NOW)


READY = {"metadata": {"name": "p"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}


def budget(**status: Any) -> Object:
    counted = {"observedGeneration": 1, "currentHealthy": 3, "desiredHealthy": 2, "disruptionsAllowed": 1}
    return {"metadata": {"name": "b", "generation": 1}, "spec": {}, "status": counted | status}


def test_an_eviction_costs_one_disruption() -> None:
    new = charged(budget(), READY, NOW)
    assert new is not None
    assert new["status"]["disruptionsAllowed"] == 0
    assert new["status"]["disruptedPods"] == {"p": NOW}
    assert new["status"]["conditions"][0]["status"] == "False"


def test_an_unready_pod_of_a_healthy_application_costs_nothing() -> None:
    assert charged(budget(disruptionsAllowed=0), {"metadata": {"name": "p"}}, NOW) is None
    with pytest.raises(TooManyRequests):
        charged(budget(disruptionsAllowed=0, currentHealthy=1), {"metadata": {"name": "p"}}, NOW)
    always = budget(disruptionsAllowed=0, currentHealthy=1) | {"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}}
    assert charged(always, {"metadata": {"name": "p"}}, NOW) is None


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ({"disruptionsAllowed": 0}, TooManyRequests),
        ({"observedGeneration": 0}, TooManyRequests),
        ({"disruptionsAllowed": -1}, Forbidden),
        ({"disruptedPods": {str(n): NOW for n in range(2001)}}, Forbidden),
    ],
)
def test_a_spent_budget_refuses(status: Object, error: type[Exception]) -> None:
    with pytest.raises(error):
        charged(budget(**status), READY, NOW)


def request(*types: str) -> Object:
    return {"metadata": {"name": "c"}, "status": {"conditions": [{"type": t, "status": "True"} for t in types]}}


def test_a_decision_about_a_certificate_is_final() -> None:
    assert decided(request("Approved"), request(), NOW)["status"]["conditions"][0]["lastTransitionTime"] == NOW
    for wanted, current in ((request(), request("Approved")), (request("Approved", "Denied"), request("Approved"))):
        with pytest.raises(Invalid):
            decided(wanted, current, NOW)


def service(kind: str = "ClusterIP", **spec: Any) -> Object:
    return {"spec": {"type": kind, "ports": [{"port": 80}], "selector": {"a": "b"}} | spec}


def test_families_of_services() -> None:
    plain, headless, bare, external = (
        service(clusterIP="10.0.0.1"),
        service(clusterIP="None"),
        service(clusterIP="None"),
        service("ExternalName"),
    )
    bare["spec"].pop("selector")
    for one in (plain, headless, bare, external):
        set_families(one)
    assert plain["spec"]["clusterIPs"] == ["10.0.0.1"] and plain["spec"]["ipFamilyPolicy"] == "SingleStack"
    assert headless["spec"]["ipFamilies"] == ["IPv4"]
    assert bare["spec"]["ipFamilies"] == ["IPv4", "IPv6"] and bare["spec"]["ipFamilyPolicy"] == "RequireDualStack"
    assert "ipFamilies" not in external["spec"]


def test_an_update_keeps_what_it_leaves_out() -> None:
    old = service("NodePort", clusterIP="10.0.0.1", clusterIPs=["10.0.0.1"], ports=[{"port": 80, "nodePort": 30001}])
    new = service("LoadBalancer", ports=[{"port": 80}, {"port": 81}])
    carry_over(new, old)
    assert new["spec"]["clusterIP"] == "10.0.0.1"
    assert new["spec"]["ports"] == [{"port": 80, "nodePort": 30001}, {"port": 81}]


def test_an_update_drops_what_its_type_has_not() -> None:
    old = service("LoadBalancer", clusterIP="10.0.0.1", clusterIPs=["10.0.0.1"], externalTrafficPolicy="Local",
                  healthCheckNodePort=30002, ports=[{"port": 80, "nodePort": 30001}])  # fmt: skip
    new = {"spec": {**old["spec"], "type": "ClusterIP", "ports": [{"port": 80, "nodePort": 30001}]}}
    carry_over(new, old)
    assert new["spec"]["ports"] == [{"port": 80}]
    assert not {"healthCheckNodePort", "externalTrafficPolicy"} & new["spec"].keys()
    external = {"spec": {**old["spec"], "type": "ExternalName", "externalName": "x"}}
    carry_over(external, old)
    assert not {"clusterIP", "clusterIPs"} & external["spec"].keys()


def test_endpoints_of_live_servers() -> None:
    alive = [("10.0.0.2", 6443), ("10.0.0.1", 6443), ("10.0.0.1", 6444)]
    subsets = endpoints(alive)["subsets"]
    assert [[a["ip"] for a in subset["addresses"]] for subset in subsets] == [["10.0.0.1", "10.0.0.2"], ["10.0.0.1"]]
    assert [one["metadata"]["name"] for one in slices(alive)] == ["kubernetes", "kubernetes-6444"]


def role(name: str, labels: dict[str, str] | None = None, *rules: Any) -> Object:
    return {"metadata": {"name": name, "labels": labels or {}}, "rules": list(rules)}


def test_default_roles_get_back_what_they_lost_and_keep_what_was_added() -> None:
    pods, nodes = rule("get", "core", "pods"), rule("get", "core", "nodes")
    wanted = role("r", {"l": "1"}, pods)
    assert completed_role(role("r", {"own": "2"}, nodes), wanted) == {
        "metadata": {"name": "r", "labels": {"own": "2", "l": "1"}, "annotations": {}},
        "rules": [nodes, pods],
    }
    covered = role("r", {"l": "1"}, rule("*", "core", "pods")) | {}
    assert completed_role(covered, wanted)["rules"] == [rule("*", "core", "pods")]
    subjects = [{"kind": "User", "name": "a"}]
    binding = {"metadata": {"name": "b"}, "subjects": [{"kind": "User", "name": "own"}]}
    assert len(completed_binding(binding, {"metadata": {"name": "b"}, "subjects": subjects})["subjects"]) == 2
