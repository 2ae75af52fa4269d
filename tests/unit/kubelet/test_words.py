"""Environment, names, fields, references to images: text that comes out of a pod's spec."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.types import Object
from kubelet import environment, fields, hosts
from kubelet.environment import EnvironmentFault, Source, expand, service_variables
from kubelet.fields import FieldFault
from kubelet.images import credentials, pull_policy, registry
from kubelet.resources import Capacity
from tests.unit.kubelet.build import container, pod

CAPACITY = Capacity(cpu=4000, memory=8 << 30, storage=100 << 30, reserved_cpu=500)


def _source(objects: dict[tuple[str, str], Object] | None = None, **more: Any) -> Source:
    return Source(lookup=lambda kind, name: (objects or {}).get((kind, name)), capacity=CAPACITY, **more)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)", "x1y$(B)"),
        ("$$(A)", "$(A)"),
        ("$$", "$"),
        ("$A", "$A"),
        ("$(", "$("),
        ("$$$(A)", "$1"),
    ],
)
def test_expansion(text: str, wanted: str) -> None:
    assert expand(text, {"A": "1"}) == wanted


@given(st.text(alphabet="abc=/-_. \n", max_size=40))
def test_text_without_a_dollar_stays(text: str) -> None:
    assert expand(text, {"a": "x"}) == text


def test_variables_see_those_before_them() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)$(C)"}, {"name": "C", "value": "3"}]
    found = environment.environment(pod(), container(env=env), _source())
    assert found == {"A": "1", "B": "1$(C)", "C": "3"}


def test_from_maps_and_secrets() -> None:
    objects = {
        ("configmaps", "m"): {"data": {"a": "1", "b": "2"}},
        ("secrets", "s"): {"data": {"p": base64.b64encode(b"pw").decode()}},
    }
    given_: dict[str, Any] = {
        "envFrom": [{"configMapRef": {"name": "m"}}, {"prefix": "S_", "secretRef": {"name": "s"}}],
        "env": [{"name": "a", "value": "own"}, {"name": "P", "valueFrom": {"secretKeyRef": {"name": "s", "key": "p"}}}],
    }
    found = environment.environment(pod(), container(**given_), _source(objects))
    assert found == {"a": "own", "b": "2", "S_p": "pw", "P": "pw"}


@pytest.mark.parametrize(
    ("ref", "wanted"),
    [
        ({"configMapKeyRef": {"name": "no", "key": "k"}}, 'configmap "no" not found'),
        ({"secretKeyRef": {"name": "no", "key": "k"}}, 'secret "no" not found'),
        ({"configMapKeyRef": {"name": "m", "key": "k"}}, "couldn't find key k in ConfigMap ns/m"),
        ({"fieldRef": {"fieldPath": "spec.what"}}, "unsupported fieldPath: spec.what"),
    ],
)
def test_what_is_missing_is_named(ref: Object, wanted: str) -> None:
    env = [{"name": "A", "valueFrom": ref}]
    with pytest.raises(EnvironmentFault, match=wanted.replace("'", ".")):
        environment.environment(pod(), container(env=env), _source({("configmaps", "m"): {"data": {}}}))


def test_what_is_optional_may_be_missing() -> None:
    env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "no", "key": "k", "optional": True}}}]
    from_ = [{"secretRef": {"name": "no", "optional": True}}]
    assert environment.environment(pod(), container(env=env, envFrom=from_), _source()) == {}


def test_service_variables() -> None:
    service: Object = {
        "metadata": {"name": "my-db", "namespace": "ns"},
        "spec": {
            "clusterIP": "10.0.0.9",
            "ports": [{"name": "sql", "port": 5432}, {"name": "dns", "port": 53, "protocol": "UDP"}],
        },
    }
    found = service_variables([service])
    assert found["MY_DB_SERVICE_HOST"] == "10.0.0.9" and found["MY_DB_SERVICE_PORT"] == "5432"
    assert found["MY_DB_SERVICE_PORT_DNS"] == "53" and found["MY_DB_PORT"] == "tcp://10.0.0.9:5432"
    assert found["MY_DB_PORT_53_UDP_ADDR"] == "10.0.0.9"
    headless = {**service, "spec": {**service["spec"], "clusterIP": "None"}}
    assert service_variables([headless]) == {}
    other = {**service, "metadata": {"name": "x", "namespace": "elsewhere"}}
    assert environment.environment(pod(), container(), _source(services=[service, other])) == found
    assert environment.environment(pod(enableServiceLinks=False), container(), _source(services=[service])) == {}


@pytest.mark.parametrize(
    ("ref", "wanted"),
    [
        ({"resource": "limits.cpu"}, "1"),
        ({"resource": "limits.cpu", "divisor": "1m"}, "250"),
        ({"resource": "limits.memory", "divisor": "1Mi"}, "64"),
        ({"resource": "requests.memory"}, str(64 << 20)),
        ({"resource": "limits.ephemeral-storage", "divisor": "1Gi"}, "100"),
        ({"resource": "limits.cpu", "containerName": "free"}, "4"),
    ],
)
def test_resource_fields(ref: Object, wanted: str) -> None:
    found = pod(container(resources={"limits": {"cpu": "250m", "memory": "64Mi"}}), container("free"))
    assert fields.resource(found, "c", ref, CAPACITY) == wanted


def test_fields_of_metadata() -> None:
    found = pod()
    found["metadata"] |= {"labels": {"b": "2", "a": 'q"\n'}, "annotations": {"k/x": "v"}}
    assert fields.field(found, "metadata.labels") == 'a="q\\"\\n"\nb="2"'
    assert fields.field(found, "metadata.annotations['k/x']") == "v"
    assert fields.field(found, "status.podIPs", ["1", "2"]) == "1,2"
    with pytest.raises(FieldFault):
        fields.field(found, "metadata.nothing")


def test_resolver_policies() -> None:
    node = hosts.Resolver.parse("nameserver 9.9.9.9\nsearch lan # x\noptions timeout:1\n")

    def made(**spec: Any) -> hosts.Resolver:
        return hosts.resolver(pod(**spec), node, ["10.96.0.10"], "cluster.local")

    cluster = made()
    assert cluster.servers == ("10.96.0.10",) and cluster.options == ("ndots:5",)
    assert cluster.searches == ("ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "lan")
    assert made(dnsPolicy="Default") == node
    assert made(hostNetwork=True) == node
    assert made(hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet") == cluster
    custom = made(
        dnsConfig={"nameservers": ["1.1.1.1"], "searches": ["x"], "options": [{"name": "ndots", "value": "2"}]}
    )
    assert custom.servers == ("10.96.0.10", "1.1.1.1") and custom.options == ("ndots:2",)
    assert made(dnsPolicy="None", dnsConfig={"nameservers": ["1.1.1.1"]}).text() == "nameserver 1.1.1.1\n"


def test_hostnames() -> None:
    assert hosts.hostname(pod()) == "p"
    named = pod(hostname="h", subdomain="s", setHostnameAsFQDN=True)
    assert hosts.uts_name(named, "cluster.local") == "h.s.ns.svc.cluster.local"
    long = pod()
    long["metadata"]["name"] = "a" * 62 + "-b"
    assert hosts.hostname(long) == "a" * 62
    assert "10.0.0.2\th.s.ns.svc.cluster.local\th\n" in hosts.hosts_file(named, ["10.0.0.2"], "cluster.local")


@pytest.mark.parametrize(
    ("image", "policy", "host"),
    [
        ("nginx", "Always", "docker.io"),
        ("nginx:latest", "Always", "docker.io"),
        ("nginx:1", "IfNotPresent", "docker.io"),
        ("localhost:5000/a/b", "Always", "localhost:5000"),
        ("quay.io/a@sha256:" + "0" * 64, "IfNotPresent", "quay.io"),
    ],
)
def test_images(image: str, policy: str, host: str) -> None:
    assert pull_policy({"image": image}) == policy
    assert registry(image) == host


def test_credentials() -> None:
    text = base64.b64encode(
        b'{"auths": {"https://quay.io/v1/": {"auth": "dTpwOnc="}, "other": {"username": "x"}}}'
    ).decode()
    found = credentials([{"data": {".dockerconfigjson": "!"}}, {"data": {".dockerconfigjson": text}}], "quay.io/a:1")
    assert found == {"username": "u", "password": "p:w", "serveraddress": "https://quay.io/v1/"}
    assert credentials([], "quay.io/a:1") is None
