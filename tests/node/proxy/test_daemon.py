"""The whole proxy: from the API to packets, through its own death and other people's meddling."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.types import Object
from tests.api.http import Api
from tests.node.proxy.daemon import DNS, Proxy, machine, until
from tests.node.proxy.lab import Lab, sh, usable

pytestmark = pytest.mark.skipif(not (usable() and shutil.which("etcd")), reason="needs root and etcd")
DEFAULT = "/api/v1/namespaces/default"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
LIMIT_KIB = 55 * 1024


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        for name in lab.pods:
            lab.serve(name, 8080)
        yield lab


@pytest.fixture(scope="module")
def running(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Api, Proxy]]:
    with machine(lab, tmp_path_factory.mktemp("proxy")) as (api, proxy):
        node: Object = {"metadata": {"name": "n1"}}
        api.post("/api/v1/nodes", node)
        status = {"status": {"addresses": [{"type": "InternalIP", "address": lab.NODE}]}}
        headers = {"Content-Type": "application/merge-patch+json"}
        api.ask("PATCH", "/api/v1/nodes/n1/status", status, headers=headers)
        yield api, proxy


def make(api: Api, name: str, *addresses: str, **spec: object) -> Object:
    """A Service with endpoints made by hand, as no controller runs here."""
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    service = api.post(f"{DEFAULT}/services", {"metadata": {"name": name}, "spec": {"ports": ports, **spec}})
    api.post(SLICES, slice_of(name, *addresses))
    return service


def slice_of(name: str, *addresses: str) -> Object:
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [a], "conditions": {"ready": True}, "nodeName": "n1"} for a in addresses],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }


def set_endpoints(api: Api, name: str, *addresses: str) -> None:
    api.ask("PUT", f"{SLICES}/{name}", slice_of(name, *addresses))


def test_a_service_answers_by_address_and_name_and_stops_when_deleted(lab: Lab, running: tuple[Api, Proxy]) -> None:
    api, proxy = running
    ip = make(api, "web", lab.pods["a"], type="NodePort")["spec"]["clusterIP"]
    port = api.get(f"{DEFAULT}/services/web")["spec"]["ports"][0]["nodePort"]
    until(lambda: lab.ask("b", ip, 80) == [f"a {lab.pods['b']}"])
    assert lab.ask(lab.OUTSIDE, lab.NODE, port) == [f"a {lab.GATEWAY}"]
    assert proxy.resolve("web.default.svc.cluster.local") == [ip]
    assert proxy.resolve("web.default.svc.cluster.local", tcp=True) == [ip]
    set_endpoints(api, "web", lab.pods["b"])
    until(lambda: lab.ask("a", ip, 80) == [f"b {lab.pods['a']}"])
    set_endpoints(api, "web")
    until(lambda: lab.ask("a", ip, 80) == ["refused"])
    api.ask("DELETE", f"{DEFAULT}/services/web")
    until(lambda: proxy.resolve("web.default.svc.cluster.local") == [])


def test_pods_reach_cluster_dns(lab: Lab, running: tuple[Api, Proxy]) -> None:
    script = (
        "from dnslib import DNSRecord; import sys; "
        "q = DNSRecord.question('kubernetes.default.svc.cluster.local'); "
        f"print(DNSRecord.parse(q.send('{DNS}', 53, timeout=5, tcp=sys.argv[1] == 'tcp')).rr[0].rdata)"
    )
    for proto in ("udp", "tcp"):
        assert lab.on("a", sys.executable, "-c", script, proto).strip() == "10.96.0.1"


def test_the_api_server_is_a_service_like_any_other(lab: Lab, running: tuple[Api, Proxy]) -> None:
    api, _ = running
    (address,) = api.get(f"{SLICES}/kubernetes")["endpoints"][0]["addresses"]
    assert address == "127.0.0.1"
    until(lambda: lab.ask(lab.HOST, "10.96.0.1", 443, wait=0.3) in (["timeout"], ["closed"]))


def test_rules_stay_without_the_proxy_and_catch_up_with_it(lab: Lab, running: tuple[Api, Proxy]) -> None:
    api, proxy = running
    ip = make(api, "stay", lab.pods["a"])["spec"]["clusterIP"]
    until(lambda: lab.ask("b", ip, 80) == [f"a {lab.pods['b']}"])
    proxy.stop(signal.SIGKILL)
    assert lab.ask("b", ip, 80) == [f"a {lab.pods['b']}"]
    set_endpoints(api, "stay", lab.pods["b"])
    other = make(api, "new", lab.pods["a"])["spec"]["clusterIP"]
    proxy.start()
    assert lab.ask("a", ip, 80) == [f"b {lab.pods['a']}"]
    assert lab.ask("b", other, 80) == [f"a {lab.pods['b']}"]


def test_what_others_delete_is_built_again(lab: Lab, running: tuple[Api, Proxy]) -> None:
    api, _ = running
    ip = make(api, "again", lab.pods["a"])["spec"]["clusterIP"]
    until(lambda: lab.ask("b", ip, 80) == [f"a {lab.pods['b']}"])
    sh("nft", "flush", "ruleset")
    until(lambda: lab.ask("b", ip, 80, wait=0.3) == [f"a {lab.pods['b']}"])


@pytest.mark.skipif(not shutil.which("iptables"), reason="needs iptables")
def test_the_hosts_firewall_lets_pods_pass_also_after_it_was_rewritten(lab: Lab, running: tuple[Api, Proxy]) -> None:
    def accepted(chain: str) -> bool:
        listed = subprocess.run(("iptables", "-S", chain), capture_output=True, text=True, check=False).stdout
        return "-s 10.244.0.0/16" in listed and "-d 10.244.0.0/16" in listed

    until(lambda: accepted("FORWARD"))
    sh("iptables", "-F", "FORWARD")
    until(lambda: accepted("FORWARD"))
    # As Docker does when it starts.
    sh("iptables", "-N", "DOCKER-USER")
    sh("iptables", "-I", "FORWARD", "-j", "DOCKER-USER")
    sh("iptables", "-P", "FORWARD", "DROP")
    until(lambda: accepted("DOCKER-USER"))
    assert lab.ask(lab.OUTSIDE, lab.pods["a"], 8080) == [f"a {lab.CLIENT}"]


def test_a_pods_host_port(lab: Lab, running: tuple[Api, Proxy]) -> None:
    api, _ = running
    api.ask("POST", f"{DEFAULT}/serviceaccounts", {"metadata": {"name": "default"}}, expect=201)
    container = {"name": "c", "image": "x", "ports": [{"containerPort": 8080, "hostPort": 8088}]}
    spec = {"nodeName": "n1", "containers": [container]}
    api.post(f"{DEFAULT}/pods", {"metadata": {"name": "p"}, "spec": spec})
    status = {"status": {"podIP": lab.pods["a"], "hostIP": lab.NODE, "phase": "Running"}}
    headers = {"Content-Type": "application/merge-patch+json"}
    api.ask("PATCH", f"{DEFAULT}/pods/p/status", status, headers=headers)
    until(lambda: lab.ask(lab.HOST, lab.NODE, 8088) != ["refused"])
    assert lab.ask(lab.HOST, "127.0.0.1", 8088)[0].startswith("a ")
    assert lab.ask(lab.OUTSIDE, lab.NODE, 8088)[0].startswith("a ")
    api.ask("DELETE", f"{DEFAULT}/pods/p", {"gracePeriodSeconds": 0})
    until(lambda: lab.ask(lab.HOST, lab.NODE, 8088) == ["refused"])


def test_memory_and_cleanup(lab: Lab, running: tuple[Api, Proxy]) -> None:
    _, proxy = running
    assert proxy.memory() < LIMIT_KIB
    assert proxy.stop() == 0
    subprocess.run(proxy.argv("--cleanup"), check=True, timeout=60)
    assert "cloudlet" not in sh("nft", "list", "tables")
    assert "cloudlet-dns" not in sh("ip", "link")
    assert "10.244.0.0/16" not in sh("iptables", "-S")
    subprocess.run(proxy.argv("--cleanup"), check=True, timeout=60)


def test_nothing_of_ours_is_left_in_the_log(running: tuple[Api, Proxy]) -> None:
    _, proxy = running
    bad = [
        line for line in Path(proxy.log).read_text().splitlines() if '"level":"error"' in line or "Traceback" in line
    ]
    assert bad == []
