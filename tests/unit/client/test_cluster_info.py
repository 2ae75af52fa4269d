"""cluster-info: what it says, and who has signed it."""

from __future__ import annotations

import base64

import jwt
import pytest
import yaml

from api.types import Object
from client import cluster_info
from tests.unit.kubelet.authority import authority

CA = authority()[0]


def config_map(ca: bytes = CA, servers: tuple[str, ...] = ("https://a:6443", "https://b:6443"), **data: str) -> Object:
    where: Object = {"server": servers[0], "certificate-authority-data": base64.b64encode(ca).decode()}
    if len(servers) > 1:
        where["extensions"] = [{"name": "cloudlet.dev/servers", "extension": {"servers": list(servers)}}]
    text = yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "", "cluster": where}]})
    return {"metadata": {"name": "cluster-info", "namespace": "kube-public"}, "data": {"kubeconfig": text, **data}}


def test_it_names_the_servers_and_the_ca() -> None:
    assert cluster_info.parse(config_map()) == cluster_info.ClusterInfo(("https://a:6443", "https://b:6443"), CA)
    assert cluster_info.parse(config_map(servers=("https://a:6443/",))).servers == ("https://a:6443",)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"data": None},
        {"data": {"kubeconfig": "a: ["}},
        {"data": {"kubeconfig": "[]"}},
        {"data": {"kubeconfig": "{clusters: []}"}},
        config_map(ca=b"nonsense"),
        config_map(ca=b""),
    ],
)
def test_one_of_no_use_is_refused(given: Object) -> None:
    with pytest.raises(ValueError, match="kube-public/cluster-info"):
        cluster_info.parse(given)


def test_a_signature_is_a_detached_jws_with_the_tokens_id() -> None:
    header, payload, mac = cluster_info.signature("text", "abcdef", "0123456789abcdef" * 2).split(".")
    assert (base64.urlsafe_b64decode(header + "=="), payload) == (b'{"alg":"HS256","kid":"abcdef"}', "")
    whole = f"{header}.{base64.urlsafe_b64encode(b'text').decode().rstrip('=')}.{mac}"
    assert jwt.api_jws.decode(whole, b"0123456789abcdef" * 2, algorithms=["HS256"]) == b"text"


def test_only_the_tokens_secret_signs() -> None:
    made = config_map()
    signed = cluster_info.signature(made["data"]["kubeconfig"], "abcdef", "0123456789abcdef")
    made["data"]["jws-kubeconfig-abcdef"] = signed
    assert cluster_info.is_signed(made, "abcdef", "0123456789abcdef")
    assert not cluster_info.is_signed(made, "abcdef", "another-secret-1")
    assert not cluster_info.is_signed(made, "fedcba", "0123456789abcdef")
    made["data"]["kubeconfig"] += "\n"
    assert not cluster_info.is_signed(made, "abcdef", "0123456789abcdef")
