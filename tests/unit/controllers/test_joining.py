"""What lets a machine join: cluster-info signed by tokens, serving certificates approved, a CA that may be replaced."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from api.types import Object
from client import cluster_info
from controllers.bootstrapsigner import signed
from controllers.certificates import policy
from controllers.certificates.authority import Authority
from kubelet.certificates.pair import parse
from kubelet.certificates.signing import Wanted, client_certificate, serving_certificate, signing_request
from tests.unit.client.test_cluster_info import config_map
from tests.unit.kubelet.authority import authority, issue

NOW = datetime.now(UTC)


def token(token_id: str = "abcdef", **fields: str) -> Object:  # noqa: S107 (a public id)
    data = {
        "token-id": token_id, "token-secret": "0123456789abcdef", "usage-bootstrap-signing": "true",
        "expiration": (NOW + timedelta(hours=1)).isoformat(timespec="seconds"), **fields,
    }  # fmt: skip
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    return {"metadata": {"name": f"bootstrap-token-{token_id}", "namespace": "kube-system"}, "data": encoded}


# --- cluster-info ---------------------------------------------------------------------------------------------------


def test_every_token_for_signing_signs() -> None:
    made = config_map()
    made["data"] = signed(made["data"], [token(), token("fedcba", expiration="")], NOW)
    assert cluster_info.is_signed(made, "abcdef", "0123456789abcdef")
    assert cluster_info.is_signed(made, "fedcba", "0123456789abcdef")
    assert signed(made["data"], [token(), token("fedcba", expiration="")], NOW) == made["data"]


@pytest.mark.parametrize(
    "fields",
    [
        {"usage-bootstrap-signing": "false"},
        {"expiration": (NOW - timedelta(seconds=1)).isoformat()},
        {"token-secret": ""},
        {"token-id": "other1"},
    ],
)
def test_other_tokens_do_not(fields: dict[str, str]) -> None:
    data = config_map()["data"]
    assert signed(data, [token(**fields)], NOW) == data


def test_a_token_that_cannot_be_read_harms_no_other() -> None:
    data, odd = config_map()["data"], token()
    odd["data"]["token-id"] = base64.b64encode(b"\xff").decode()
    assert signed(data, [odd, token("fedcba")], NOW) == signed(data, [token("fedcba")], NOW)


def test_a_token_that_is_gone_takes_its_signature_along() -> None:
    data = config_map()["data"]
    assert signed(signed(data, [token()], NOW), [], NOW) == data


# --- serving certificates -------------------------------------------------------------------------------------------


def node(name: str, *addresses: str) -> Object:
    stated = [{"type": "InternalIP", "address": a} for a in addresses] + [{"type": "Hostname", "address": "kubernetes"}]
    return {"metadata": {"name": name}, "status": {"addresses": stated}}


def request(wanted: Wanted) -> policy.Request:
    pem = signing_request(wanted, ec.generate_private_key(ec.SECP256R1()))
    return policy.parse({"usages": list(wanted.usages), "username": wanted.common_name}, pem)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("10.0.0.1",), None),
        (("10.0.0.1", "fd00::1"), None),
        (("10.0.0.9",), "10.0.0.9 is no address of node n"),
        (("kubernetes",), "kubernetes is no address of node n"),
        (("other",), "other is no address of node n"),
        (("10.0.0.2",), "10.0.0.2 is not node n's alone"),
        (("127.0.0.1",), "127.0.0.1 is not node n's alone"),
    ],
)
def test_a_node_may_have_what_is_its_own_alone(names: tuple[str, ...], said: str | None) -> None:
    nodes = [node("n", "10.0.0.1", "fd00::1", "10.0.0.2", "127.0.0.1"), node("other", "10.0.0.2")]
    asked = request(serving_certificate("n", names))
    assert policy.refusal(policy.KUBELET_SERVING, asked) is None
    assert policy.serving_mismatch(asked, nodes) == said


def test_a_node_that_is_not_there_may_have_nothing() -> None:
    assert policy.serving_mismatch(request(serving_certificate("n", ())), []) == "there is no node n"


# --- the CA ---------------------------------------------------------------------------------------------------------


def test_of_a_bundle_the_certificate_of_the_key_signs(tmp_path: Path) -> None:
    (old, _), (new, new_key) = authority("old"), authority("new")
    bundle, key = tmp_path / "ca.crt", tmp_path / "ca.key"
    bundle.write_bytes(old + new)
    key.write_bytes(new_key)
    assert Authority.from_files(bundle, key).certificate.subject.rfc4514_string() == "CN=new"


def test_a_key_without_its_certificate_is_refused() -> None:
    with pytest.raises(ValueError, match="do not belong together"):
        Authority(authority()[0], authority()[1])


@pytest.mark.parametrize(("life", "back"), [(86400, 300), (600, 300), (60, 30)])
def test_a_certificate_begins_before_now_but_not_by_more_than_half_its_life(life: float, back: float) -> None:
    now = NOW.replace(microsecond=0)
    pem = issue(Authority(*authority()), client_certificate("n"), life, now)
    found = parse(pem)
    assert (found.begin, found.end) == (now.timestamp() - back, now.timestamp() + life)
