"""Daemons that die, nodes that are drained or lost: the cluster arrives where it was going."""

from __future__ import annotations

import os
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.e2e.cluster import PROGRAMS, Cluster, following
from tests.e2e.manifests import IDLE, deployment, evicted_after, web

DAEMONS = ["etcd", "apiserver", "controllers", "scheduler", "cloud", "kubelet-node-1", "kubelet-node-2", "proxy"]
READY = "jsonpath={.status.readyReplicas}"


@pytest.fixture
def recovered(cluster: Cluster) -> Iterator[None]:
    """After the test both nodes are Ready and may be used."""
    yield
    cluster.kubectl("uncordon", "node-1", "node-2")
    cluster.kubectl("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=60s")


class Visitor:
    """Calls a URL again and again in a thread and counts what does not answer."""

    def __init__(self, url: str) -> None:
        self.answers = 0
        self.failures: list[str] = []
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._visit)

    def __enter__(self) -> Visitor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _visit(self) -> None:
        while not self._stop.wait(0.02):
            try:
                with urllib.request.urlopen(self._url, timeout=5) as response:  # noqa: S310 - always http
                    response.read()
                self.answers += 1
            except (urllib.error.URLError, OSError) as error:
                self.failures.append(str(error))


@pytest.mark.parametrize("daemon", DAEMONS)
def test_killing_a_daemon_while_scaling(
    cluster: Cluster, namespace: str, busybox: str, recovered: None, daemon: str
) -> None:
    def kubectl(*words: str, **how: str) -> str:
        return cluster.kubectl("-n", namespace, *words, **how).out

    kubectl("apply", "-f", "-", stdin=web("web", busybox, 3))
    kubectl("expose", "deployment", "web", "--port=80", "--target-port=8080")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    address = kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
    kubectl("wait", "--for=jsonpath={.endpoints[2].conditions.ready}=true", "endpointslices", "--all", "--timeout=30s")
    before = cluster.daemons()[daemon]
    with Visitor(f"http://{address}/") as visitor:
        kubectl("scale", "deployment/web", "--replicas=12")
        os.kill(before["pid"], signal.SIGKILL)
        cluster.restarted(daemon, before["pid"])
        cluster.cloudctl("-n", namespace, "wait", f"--for={READY}=12", "deployment/web", "--timeout=120s")
    assert not visitor.failures, visitor.failures[:5]
    assert visitor.answers > 0
    after = cluster.daemons()[daemon]
    assert after["state"] == "ready" and after["pid"] != before["pid"]
    pods = kubectl("get", "pods", "-l", "app=web", "-o", "name").split()
    assert len(pods) == 12
    kubectl("delete", "deployment", "web", "--cascade=foreground", "--timeout=90s")


def test_drain_moves_the_pods(cluster: Cluster, namespace: str, busybox: str, recovered: None) -> None:
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=deployment("web", busybox, 4, IDLE))
    cluster.kubectl("-n", namespace, "rollout", "status", "deployment/web", "--timeout=60s")
    for program, node in ((cluster.kubectl, "node-1"), (cluster.cloudctl, "node-2")):
        program("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=90s")
        cluster.kubectl("-n", namespace, "wait", f"--for={READY}=4", "deployment/web", "--timeout=60s")
        nodes = cluster.kubectl("-n", namespace, "get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}").out.split()
        assert node not in nodes
        cluster.kubectl("uncordon", node)


def test_pods_of_a_lost_node_run_on_the_other(cluster: Cluster, namespace: str, busybox: str, recovered: None) -> None:
    wanted = deployment("web", busybox, 4, IDLE, tolerations=evicted_after(1))
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=wanted)
    cluster.kubectl("-n", namespace, "rollout", "status", "deployment/web", "--timeout=60s")
    lost = cluster.pid("kubelet-node-2")
    os.kill(lost, signal.SIGSTOP)
    try:
        with following(cluster, str(PROGRAMS / "kubectl"), "get", "node", "node-2", "-w") as watch:
            watch.until(lambda line: "NotReady" in line)
        with following(cluster, str(PROGRAMS / "kubectl"), "-n", namespace, "get", "pods", "-o", "wide", "-w") as watch:
            running: set[str] = set()

            def enough(line: str) -> bool:
                words = line.split()
                if "node-1" in words and "1/1" in words and "Running" in words:
                    running.add(words[0])
                return len(running) == 4

            watch.until(enough, 90.0)
    finally:
        os.kill(lost, signal.SIGCONT)
