"""Addresses and node ports: given out once, given back, carried over."""

import concurrent.futures
from typing import Any

import pytest

from tests.api.http import Api, Object


def service(name: str, kind: str = "ClusterIP", **spec: object) -> Object:
    return {
        "metadata": {"name": name},
        "spec": {"type": kind, "ports": [{"port": 80}], "selector": {"app": "x"}} | spec,
    }


def addresses(api: Api) -> dict[str, str]:
    found = api.get("/apis/networking.k8s.io/v1/ipaddresses")["items"]
    return {one["metadata"]["name"]: one["spec"]["parentRef"]["name"] for one in found}


def gone(api: Api, path: str, field: str) -> None:
    """Wait until the IPAddress of that name is gone."""
    if field not in addresses(api):
        return
    with api.watch(path, fieldSelector=f"metadata.name={field}") as watch:
        while watch.next()["type"] != "DELETED":
            pass


def test_a_service_gets_an_address_of_its_own(api: Api, core: str) -> None:
    made = [api.post(f"{core}/services", service(f"s{n}"))["spec"] for n in range(5)]
    ips = [spec["clusterIP"] for spec in made]
    assert len(set(ips)) == 5
    assert all(ip.startswith("10.96.") for ip in ips)
    assert made[0]["clusterIPs"] == [ips[0]]
    assert (made[0]["ipFamilies"], made[0]["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")
    assert addresses(api)[ips[0]] == "s0"


def test_headless_and_external_services_have_no_address(api: Api, core: str) -> None:
    headless = api.post(f"{core}/services", service("h", clusterIP="None"))["spec"]
    assert (headless["clusterIP"], headless["clusterIPs"]) == ("None", ["None"])
    outside = api.post(
        f"{core}/services", {"metadata": {"name": "e"}, "spec": {"type": "ExternalName", "externalName": "x.org"}}
    )
    assert "clusterIP" not in outside["spec"] and "ipFamilies" not in outside["spec"]


def test_an_address_asked_for_is_given_once(api: Api, core: str) -> None:
    api.post(f"{core}/services", service("a", clusterIP="10.96.0.77"))
    refused = api.post(f"{core}/services", service("b", clusterIP="10.96.0.77"), expect=422)
    assert refused["details"]["causes"][0]["field"] == "spec.clusterIPs"
    assert "failed to allocate IP 10.96.0.77: provided IP is already allocated" in refused["message"]
    refused = api.post(f"{core}/services", service("b", clusterIP="192.168.0.1"), expect=422)
    assert "is not in the valid range" in refused["message"]


def test_an_address_is_free_again_as_soon_as_its_service_is_gone(api: Api, core: str) -> None:
    for _ in range(5):
        api.post(
            f"{core}/services",
            service("a", "NodePort", clusterIP="10.96.0.78", ports=[{"port": 80, "nodePort": 30078}]),
        )
        api.delete(f"{core}/services/a")


def test_node_ports_are_given_and_kept(api: Api, core: str) -> None:
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
    made = api.post(f"{core}/services", service("n", "NodePort", ports=ports))
    given = [port["nodePort"] for port in made["spec"]["ports"]]
    assert len(set(given)) == 2 and all(30000 <= port <= 32767 for port in given)
    again = made | {
        "spec": made["spec"] | {"ports": ports, "selector": {"app": "y"}, "clusterIP": "", "clusterIPs": []}
    }
    kept = api.put(f"{core}/services/n", again)["spec"]
    assert [port["nodePort"] for port in kept["ports"]] == given
    assert kept["clusterIP"] == made["spec"]["clusterIP"]


def test_one_node_port_serves_two_protocols_of_one_port(api: Api, core: str) -> None:
    ports = [{"name": "t", "port": 53, "protocol": "TCP"}, {"name": "u", "port": 53, "protocol": "UDP"}]
    made = api.post(f"{core}/services", service("dns", "NodePort", ports=ports))["spec"]["ports"]
    assert made[0]["nodePort"] == made[1]["nodePort"]


def test_a_node_port_asked_for_is_given_once(api: Api, core: str) -> None:
    wanted = [{"port": 80, "nodePort": 30099}]
    api.post(f"{core}/services", service("a", "NodePort", ports=wanted))
    refused = api.post(f"{core}/services", service("b", "NodePort", ports=wanted), expect=422)
    assert refused["details"]["causes"][0]["field"] == "spec.ports[0].nodePort"
    assert "provided port is already allocated" in refused["message"]
    refused = api.post(f"{core}/services", service("b", "NodePort", ports=[{"port": 80, "nodePort": 80}]), expect=422)
    assert "provided port is not in the valid range. The range of valid ports is 30000-32767" in refused["message"]


def test_what_a_refused_service_took_is_given_back(api: Api, core: str) -> None:
    body = service("a", "NodePort", clusterIP="10.96.0.79", ports=[{"port": 80, "nodePort": 99}])
    api.post(f"{core}/services", body, expect=422)
    assert "10.96.0.79" not in addresses(api)
    api.post(f"{core}/services", service("a", clusterIP="10.96.0.79"))


def test_a_dry_run_takes_nothing(api: Api, core: str) -> None:
    tried = api.post(f"{core}/services", service("a"), dryRun="All")["spec"]["clusterIP"]
    assert tried and tried not in addresses(api)


def test_a_change_of_type_takes_and_gives_back(api: Api, core: str) -> None:
    path = f"{core}/services/a"
    first = api.post(f"{core}/services", service("a", "NodePort"))["spec"]
    plain = api.patch(path, {"spec": {"type": "ClusterIP"}})["spec"]
    assert "nodePort" not in plain["ports"][0] and plain["clusterIP"] == first["clusterIP"]
    external = api.patch(path, {"spec": {"type": "ExternalName", "externalName": "x.org"}})["spec"]
    assert "clusterIP" not in external and "clusterIPs" not in external
    gone(api, "/apis/networking.k8s.io/v1/ipaddresses", first["clusterIP"])
    back = api.patch(path, {"spec": {"type": "LoadBalancer", "externalName": None, "externalTrafficPolicy": "Local"}})[
        "spec"
    ]
    assert back["clusterIP"] and back["ports"][0]["nodePort"] and back["healthCheckNodePort"]


def test_two_who_ask_at_once_never_get_one_address(api: Api, core: str) -> None:
    def create(number: int) -> int:
        body = service(f"r{number}", clusterIP="10.96.0.80")
        return api.client.post(f"{core}/services", json=body).status_code

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        codes = sorted(pool.map(create, range(8)))
    assert codes == [201] + [422] * 7


@pytest.mark.parametrize("families", [{"ipFamilyPolicy": "RequireDualStack"}, {"ipFamilies": ["IPv6"]}])
def test_what_the_cluster_does_not_speak_is_refused(api: Api, core: str, families: dict[str, Any]) -> None:
    refused = api.post(f"{core}/services", service("six", **families), expect=422)
    assert "not configured" in refused["message"]


def test_the_api_is_a_service_of_itself(api: Api) -> None:
    path = "/api/v1/namespaces/default"
    found = api.get(f"{path}/services/kubernetes")["spec"]
    assert found["clusterIP"] == "10.96.0.1"
    assert found["ports"][0]["port"] == 443
    subset = api.get(f"{path}/endpoints/kubernetes")["subsets"][0]
    one = api.get("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes")
    assert subset["addresses"][0]["ip"] == one["endpoints"][0]["addresses"][0]
    assert subset["ports"][0]["port"] == one["ports"][0]["port"]
    assert api.get("/apis/networking.k8s.io/v1/servicecidrs/kubernetes")["spec"]["cidrs"] == ["10.96.0.0/16"]
    names = {item["metadata"]["name"] for item in api.get("/api/v1/namespaces")["items"]}
    assert {"default", "kube-system", "kube-public", "kube-node-lease"} <= names
    config = api.get("/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication")["data"]
    assert "BEGIN CERTIFICATE" in config["client-ca-file"]
