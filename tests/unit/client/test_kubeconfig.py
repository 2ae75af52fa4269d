"""Kubeconfigs: what is read, what is written, what is said of a bad one."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from client import kubeconfig
from client.kubeconfig import KubeconfigError
from cloudctl.cluster.pki import Authority, Leaf


def test_what_is_written_reads_back_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "config"
    kubeconfig.write(path, "c", ["https://a:1", "https://b:2"], b"CA", user="admin", cert=b"CERT", key=b"KEY")
    config = kubeconfig.load(path)
    assert config.servers == ["https://a:1", "https://b:2"]
    assert (config.ca, config.cert, config.key) == (b"CA", b"CERT", b"KEY")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_server_in_front_of_the_others_is_for_clients_that_know_one_alone(tmp_path: Path) -> None:
    path = tmp_path / "config"
    for servers in (["https://a:1"], ["https://a:1", "https://b:2"]):
        kubeconfig.write(path, "c", servers, b"CA", user="admin", token="t", front="https://vip:1")
        assert kubeconfig.load(path).servers == servers
        assert kubeconfig.read(path)["clusters"][0]["cluster"]["server"] == "https://vip:1"


def test_files_are_found_relative_to_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_bytes(b"CA")
    (tmp_path / "token").write_text("secret\n")
    path = tmp_path / "config"
    text = {
        "clusters": [{"name": "c", "cluster": {"server": "https://a:1/", "certificate-authority": "ca.crt"}}],
        "users": [{"name": "u", "user": {"tokenFile": str(tmp_path / "token")}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "team"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(text))
    config = kubeconfig.load(path)
    assert config.servers == ["https://a:1"]
    assert config.ca == b"CA"
    assert config.token == "secret"
    assert config.namespace == "team"


def test_a_certificate_and_its_key_may_be_one_file(tmp_path: Path) -> None:
    authority = Authority.have(tmp_path, "ca", "ca")
    pair = authority.issue(Leaf("node"))
    (tmp_path / "current.pem").write_bytes(pair.cert + pair.key)
    path = tmp_path / "config"
    text = {
        "clusters": [{"name": "c", "cluster": {"server": "https://a:1", "certificate-authority": "ca.crt"}}],
        "users": [{"name": "u", "user": {"client-certificate": "current.pem", "client-key": "current.pem"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(text))
    config = kubeconfig.load(path)
    config.ssl_context()
    assert set(config.files) == {path, tmp_path / "ca.crt", tmp_path / "current.pem"}
    assert not config.changed()
    (tmp_path / "current.pem").unlink()
    assert config.changed()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty or no mapping"),
        ("{", "not YAML"),
        ("{}", "current-context is not set"),
        ("{current-context: x}", "no context 'x'"),
        ("{current-context: x, contexts: [{name: x, context: {cluster: c}}]}", "no cluster 'c'"),
    ],
)
def test_a_bad_file_is_refused_with_its_cause(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(KubeconfigError, match=said):
        kubeconfig.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match="absent: No such file"):
        kubeconfig.load(tmp_path / "absent")
