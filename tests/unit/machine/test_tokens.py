"""Bootstrap tokens and the certificates a further control plane fetches."""

from __future__ import annotations

import base64
import datetime

import pytest

from cloudctl.cluster.state import ClusterError
from cloudctl.machine import tokens
from cloudctl.machine.tokens import Token

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


def test_a_token_is_a_public_name_and_a_secret() -> None:
    token = Token.parse("abcdef.0123456789abcdef")
    assert (token.ident, token.secret) == ("abcdef", "0123456789abcdef")
    assert Token.parse(str(Token.new())) != Token.parse(str(Token.new()))


@pytest.mark.parametrize(
    "text", ["", "abcdef", "ABCDEF.0123456789abcdef", "abcdef.0123456789abcde", "abcdef.0123456789abcdeff"]
)
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(ClusterError, match=r"^--token: "):
        Token.parse(text)


def test_the_secret_of_a_token_is_what_kubeadm_makes() -> None:
    made = tokens.secret(
        Token("abcdef", "0123456789abcdef"), 3600, "why", usages=("signing", "authentication"), now=NOW
    )
    data = {key: base64.b64decode(value).decode() for key, value in made["data"].items()}
    assert made["metadata"] == {"name": "bootstrap-token-abcdef", "namespace": "kube-system"}
    assert made["type"] == "bootstrap.kubernetes.io/token"
    assert data["expiration"] == "2026-01-02T04:04:05Z"
    assert data["auth-extra-groups"] == "system:bootstrappers:kubeadm:default-node-token"
    assert (data["usage-bootstrap-signing"], data["usage-bootstrap-authentication"]) == ("true", "true")


def test_only_its_key_reads_what_was_encrypted() -> None:
    key, other = bytes(32), bytes([1]) * 32
    hidden = tokens.encrypted(b"a private key", key)
    assert b"private" not in base64.b64decode(hidden)
    assert tokens.decrypted(hidden, key) == b"a private key"
    with pytest.raises(ClusterError, match=r"^--certificate-key: "):
        tokens.decrypted(hidden, other)


@pytest.mark.parametrize("text", ["", "zz", "00" * 31, "00" * 33])
def test_what_is_no_certificate_key_is_refused(text: str) -> None:
    with pytest.raises(ClusterError, match="64 hexadecimal digits"):
        tokens.certificate_key(text)
