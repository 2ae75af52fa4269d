"""What stands in the way of a start is named with its remedy."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from cloudctl.cluster import network, preflight
from cloudctl.cluster.state import Cluster, ClusterError, Decisions


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A cluster with real nodes on a machine that has everything, seen by root."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(preflight, "_which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr(preflight, "port_is_free", lambda port: True)
    monkeypatch.setattr(network, "owner", lambda: None)
    return Cluster(tmp_path, Decisions())


def complaint(cluster: Cluster) -> str:
    with pytest.raises(ClusterError) as caught:
        preflight.check(cluster, running=False)
    return str(caught.value)


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "docker.sock"
    monkeypatch.setattr(preflight, "DOCKER_SOCKET", path)
    return path


def test_docker_that_is_not_there_or_does_not_answer(real: Cluster, docker: Path) -> None:
    assert "Docker is not running" in complaint(real)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(docker))
    said = complaint(real)
    assert "does not answer" in said and "systemctl start docker" in said


def test_all_is_well(real: Cluster, docker: Path) -> None:
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(docker))
        engine.listen()
        preflight.check(real, running=False)


def test_missing_programs_are_packages_to_install(real: Cluster, docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "_which", lambda program: None)
    said = complaint(real)
    assert "apt-get install etcd-server" in said
    assert "haproxy iproute2 iptables nftables" in said


def test_real_nodes_need_root_and_simulated_ones_do_not(real: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "--fake-nodes" in complaint(real)
    preflight.check(Cluster(real.home, Decisions(nodes=0, fake_nodes=1)), running=False)


def test_taken_ports_are_named_unless_the_cluster_itself_runs(real: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "port_is_free", lambda port: port != 6443)
    fake = Cluster(real.home, Decisions(nodes=0, fake_nodes=1))
    assert "port 6443 of the API server" in complaint(fake)
    preflight.check(fake, running=True)
