"""Unmodified kubectl against the server."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api.cluster import Cluster

KUBECTL = Path(sys.executable).parent / "kubectl"
Run = Callable[..., str]

MANIFEST = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {level: "%s"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: busybox}]}
"""


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


def test_version_and_api_resources(kubectl: Run) -> None:
    assert "Server Version: v1.36." in kubectl("version")
    listed = kubectl("api-resources")
    for word in ("deployments", "deploy", "apps/v1", "poddisruptionbudgets", "storageclasses"):
        assert word in listed
    assert "networking.k8s.io/v1" in kubectl("api-versions")


def test_create_sends_protobuf_and_is_understood(kubectl: Run) -> None:
    assert "configmap/a created" in kubectl("create", "configmap", "a", "--from-literal=k=v")
    assert json.loads(kubectl("get", "configmap", "a", "-o", "json"))["data"] == {"k": "v"}
    assert "deployment.apps/web created" in kubectl("create", "deployment", "web", "--image=busybox", "--replicas=2")
    assert "secret/s created" in kubectl("create", "secret", "generic", "s", "--from-literal=k=v")
    assert "job.batch/j created" in kubectl("create", "job", "j", "--image=busybox")
    assert kubectl("auth", "can-i", "get", "pods").strip() == "yes"


def test_apply_and_apply_again_with_a_change(kubectl: Run) -> None:
    first = kubectl("apply", "-f", "-", stdin=MANIFEST % "1")
    assert "configmap/settings created" in first and "deployment.apps/web created" in first
    second = kubectl("apply", "-f", "-", stdin=MANIFEST % "2")
    assert "configmap/settings configured" in second and "deployment.apps/web unchanged" in second
    assert kubectl("get", "cm", "settings", "-o", "jsonpath={.data.level}") == "2"
    assert "configmap" in kubectl("delete", "-f", "-", stdin=MANIFEST % "2")
    assert "not found" in kubectl("get", "deploy", "web", code=1).lower()


def test_apply_refuses_unknown_fields(kubectl: Run) -> None:
    text = (MANIFEST % "1").replace("replicas: 2", "replica: 2")
    said = kubectl("apply", "-f", "-", stdin=text, code=1)
    assert 'unknown field "spec.replica"' in said


def test_explain(kubectl: Run) -> None:
    said = kubectl("explain", "pod.spec.containers")
    assert "KIND:       Pod" in said and "image\t<string>" in said


def test_get_shows_tables_watches_and_formats(kubectl: Run) -> None:
    kubectl("run", "web", "--image=busybox")
    assert "web    0/1     Pending   0" in kubectl("get", "pods")
    assert "NOMINATED NODE" in kubectl("get", "pods", "-o", "wide")
    assert kubectl("get", "pods", "-o", "name").strip() == "pod/web"
    assert kubectl("get", "pod", "web", "-o", "jsonpath={.spec.containers[0].image}") == "busybox"
    assert "No resources found" in kubectl("get", "pods", "-l", "a=b")
    assert "web" in kubectl("get", "pods", "-w", "--request-timeout=1s")


def test_scale_label_annotate_patch_set_image(kubectl: Run) -> None:
    kubectl("apply", "-f", "-", stdin=MANIFEST % "1")
    assert "deployment.apps/web scaled" in kubectl("scale", "deployment", "web", "--replicas=5")
    assert kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "5"
    assert "labeled" in kubectl("label", "deploy", "web", "tier=front")
    assert "annotated" in kubectl("annotate", "deploy", "web", "note=x")
    assert "image updated" in kubectl("set", "image", "deploy/web", "c=busybox:2")
    assert "patched" in kubectl("patch", "deploy", "web", "-p", '{"spec":{"paused":true}}')
    assert kubectl("get", "deploy", "web", "-o", "jsonpath={.metadata.generation}") == "4"


def test_expose_describe_delete(kubectl: Run) -> None:
    kubectl("apply", "-f", "-", stdin=MANIFEST % "1")
    assert "service/web exposed" in kubectl("expose", "deployment", "web", "--port=80")
    assert "Selector:                 app=web" in kubectl("describe", "service", "web")
    assert "StrategyType:           RollingUpdate" in kubectl("describe", "deployment", "web")
    assert "service" in kubectl("delete", "service", "web")
    assert "deleted" in kubectl("delete", "deployment", "--all")


def test_errors_are_a_person_s_sentences(kubectl: Run) -> None:
    assert 'pods "nope" not found' in kubectl("get", "pod", "nope", code=1)
    said = kubectl("run", "Bad_Name", "--image=x", code=1)
    assert 'The Pod "Bad_Name" is invalid' in said and "metadata.name: Invalid value" in said


def test_diff_and_replace(kubectl: Run) -> None:
    kubectl("apply", "-f", "-", stdin=MANIFEST % "1")
    assert '+  level: "2"' in kubectl("diff", "-f", "-", stdin=MANIFEST % "2", code=1)
    shown = kubectl("get", "cm", "settings", "-o", "yaml").replace('level: "1"', 'level: "3"')
    assert "replaced" in kubectl("replace", "-f", "-", stdin=shown)


def test_server_side_apply(kubectl: Run) -> None:
    assert "serverside-applied" in kubectl("apply", "--server-side", "-f", "-", stdin=MANIFEST % "1")
    assert "serverside-applied" in kubectl("apply", "--server-side", "-f", "-", stdin=MANIFEST % "2")
    said = kubectl("apply", "--server-side", "--field-manager=other", "-f", "-", stdin=MANIFEST % "3", code=1)
    assert "conflict" in said and ".data.level" in said
