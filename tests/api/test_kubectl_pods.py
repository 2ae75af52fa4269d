"""Unmodified kubectl: what it does to pods through the server, and what it asks about rights and tokens."""

import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.api import kubelet as fakes
from tests.api.cluster import Cluster
from tests.api.http import Api
from tests.api.kubelet import Kubelet
from tests.api.objects import pod
from tests.api.test_admission import REQUESTS, request_for

KUBECTL = Path(sys.executable).parent / "kubectl"
Run = Callable[..., str]


@pytest.fixture(scope="module")
def kubelet(cluster: Cluster) -> Iterator[Kubelet]:
    fake = Kubelet()
    with fakes.serve(fake.app, fake.port, cluster.pki):
        yield fake


@pytest.fixture
def node(api: Api, kubelet: Kubelet) -> Iterator[str]:
    name = f"node-{secrets.token_hex(3)}"
    api.post("/api/v1/nodes", fakes.node(name, kubelet.port))
    yield name
    api.delete(f"/api/v1/nodes/{name}")


@pytest.fixture
def kubectl(cluster: Cluster, namespace: str, tmp_path: Path) -> Run:
    """kubectl in the test's namespace; returns what it prints."""
    config = cluster.kubeconfig()

    def run(*arguments: str, stdin: str = "", code: int = 0) -> str:
        done = subprocess.run(
            [str(KUBECTL), "--kubeconfig", str(config), "--cache-dir", str(tmp_path), "-n", namespace, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    return run


@pytest.fixture
def running(api: Api, core: str, node: str) -> str:
    api.post(f"{core}/pods", pod("p", nodeName=node))
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    api.patch(f"{core}/pods/p/status", {"status": ready})
    return "p"


def test_logs_and_exec(kubectl: Run, running: str) -> None:
    assert kubectl("logs", running, "--tail=5") == "one\ntwo\n"
    assert kubectl("exec", "-i", running, "--", "echo", stdin="hello") == "hello"


def test_debug_adds_a_container(kubectl: Run, running: str, api: Api, core: str) -> None:
    kubectl("debug", running, "--image=busybox", "--container=look", "--attach=false")
    found = api.get(f"{core}/pods/p")["spec"]["ephemeralContainers"]
    assert [container["name"] for container in found] == ["look"]


def test_questions_about_rights(kubectl: Run) -> None:
    assert kubectl("auth", "can-i", "delete", "nodes").startswith("Warning") or "yes" in kubectl(
        "auth", "can-i", "delete", "nodes"
    )
    assert kubectl("auth", "can-i", "list", "pods", "--as=alice", code=1).strip() == "no"
    assert "kubernetes-admin" in kubectl("auth", "whoami")
    assert "selfsubjectaccessreviews" in kubectl("auth", "can-i", "--list", "--as=alice")
    kubectl("create", "rolebinding", "look", "--clusterrole=view", "--user=alice")
    assert kubectl("auth", "can-i", "list", "pods", "--as=alice").strip() == "yes"
    refused = kubectl("get", "secrets", "--as=alice", code=1)
    assert (
        'secrets is forbidden: User "alice" cannot list resource "secrets" in API group "" in the namespace' in refused
    )


def test_a_token_for_an_account(kubectl: Run) -> None:
    assert kubectl("create", "token", "default", "--duration=15m").count(".") == 2


def test_approving_a_certificate(kubectl: Run, api: Api) -> None:
    name = f"csr-{secrets.token_hex(3)}"
    api.post(REQUESTS, request_for(name))
    assert "approved" in kubectl("certificate", "approve", name)
    assert api.get(f"{REQUESTS}/{name}")["status"]["conditions"][0]["type"] == "Approved"
    api.delete(f"{REQUESTS}/{name}")


def test_drain_evicts_what_the_budgets_allow(kubectl: Run, api: Api, core: str, node: str, running: str) -> None:
    api.patch(f"{core}/pods/{running}", {"metadata": {"finalizers": None}})
    out = kubectl("drain", node, "--force", "--grace-period=0", "--timeout=20s")
    assert "evicting pod" in out and "drained" in out
    assert api.get(f"/api/v1/nodes/{node}")["spec"]["unschedulable"] is True
    api.get(f"{core}/pods/{running}", expect=404)
