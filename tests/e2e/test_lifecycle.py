"""`up` again, `status`, and `down` that leaves nothing: a cluster of simulated nodes beside the real one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.cluster import Cluster


@pytest.fixture
def fake(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    return Cluster(tmp_path_factory.mktemp("fake"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def processes_of(cluster: Cluster) -> list[str]:
    """The command lines that mention the cluster's folder, but for our own."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if any(str(cluster.state) in word for word in words):
                found.append(" ".join(words))
    return found


def test_simulated_nodes_from_start_to_end(fake: Cluster) -> None:
    state = ["--state", str(fake.state)]
    said = fake.cloudctl("up", "--fake-nodes", "3", "--port", str(free_port()), *state)
    assert "ready in" in said.err
    assert fake.kubectl("get", "nodes", "--no-headers").out.count(" Ready ") == 3
    fake.kubectl("create", "deployment", "web", "--image=any", "--replicas=5")
    fake.kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    pids = {name: daemon["pid"] for name, daemon in fake.daemons().items()}
    fake.cloudctl("up", *state)
    assert {name: daemon["pid"] for name, daemon in fake.daemons().items()} == pids, "a second up starts nothing"
    fake.cloudctl("up", "--fake-nodes", "5", *state)
    assert fake.kubectl("get", "nodes", "--no-headers").out.count(" Ready ") == 5
    fake.cloudctl("down", *state)
    assert processes_of(fake) == []
    assert "not running" in fake.cloudctl("status", *state, code=1).out
    fake.cloudctl("up", *state)
    assert "web" in fake.kubectl("get", "deployments").out, "what was stored is there after down and up"
    fake.cloudctl("down", "--delete", *state)
    assert not fake.state.exists()
    assert processes_of(fake) == []


def test_a_supervisor_that_died_is_no_obstacle(fake: Cluster) -> None:
    state = ["--state", str(fake.state)]
    fake.cloudctl("up", "--fake-nodes", "1", "--port", str(free_port()), *state)
    pids = {name: daemon["pid"] for name, daemon in fake.daemons().items()}
    supervisor = int((fake.state / "run" / "supervisor.pid").read_text().split()[0])
    os.kill(supervisor, signal.SIGKILL)
    fake.kubectl("get", "nodes")
    fake.cloudctl("up", *state)
    assert {name: daemon["pid"] for name, daemon in fake.daemons().items()} == pids, "the daemons went on"
    os.kill(int((fake.state / "run" / "supervisor.pid").read_text().split()[0]), signal.SIGKILL)
    fake.cloudctl("down", "--delete", *state)
    assert processes_of(fake) == []


def test_what_stands_in_the_way_is_named(fake: Cluster) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = fake.cloudctl("up", "--fake-nodes", "1", "--port", str(port), "--state", str(fake.state), code=1)
    assert f"port {port} of the API server is taken" in done.err and "--port" in done.err
    bare = subprocess.run(
        [sys.executable, "-m", "cloudctl", "up", "--fake-nodes", "1", "--state", str(fake.state)],
        env={**os.environ, "PATH": "/nonexistent"}, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    if not any(Path(folder, "etcd").exists() for folder in ("/usr/local/sbin", "/usr/sbin", "/sbin")):
        assert bare.returncode == 1 and "apt-get install etcd-server" in bare.stderr


def test_a_second_real_cluster_is_refused(cluster: Cluster, fake: Cluster) -> None:
    done = fake.cloudctl("up", "--nodes", "1", "--port", str(free_port()), "--state", str(fake.state), code=1)
    assert f"cloudctl down --state {cluster.state}" in done.err


def test_status_tells_all_daemons(cluster: Cluster) -> None:
    done = cluster.cloudctl("status", "--state", str(cluster.state))
    assert "2 of 2 nodes Ready" in done.out
    for daemon in (
        "etcd",
        "apiserver",
        "controllers",
        "scheduler",
        "cloud",
        "kubelet-node-1",
        "kubelet-node-2",
        "proxy",
    ):
        assert daemon in done.out
