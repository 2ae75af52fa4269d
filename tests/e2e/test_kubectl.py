"""The verbs of an unmodified kubectl that people use every day, on running containers."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.cluster import PROGRAMS, Cluster, following
from tests.e2e.manifests import IDLE, deployment

COUNT = ["sh", "-c", "trap 'exit 0' TERM; i=0; while :; do echo line $i; i=$((i+1)); sleep 0.2 & wait; done"]


def test_apply_twice_get_scale_rollout_undo_delete(cluster: Cluster, namespace: str, busybox: str) -> None:
    def kubectl(*words: str, **how: str) -> str:
        return cluster.kubectl("-n", namespace, *words, **how).out

    assert "deployment.apps/web created" in kubectl("apply", "-f", "-", stdin=deployment("web", busybox, 2, IDLE))
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert "unchanged" in kubectl("apply", "-f", "-", stdin=deployment("web", busybox, 2, IDLE))
    changed = deployment("web", busybox, 2, IDLE, container={"env": [{"name": "A", "value": "2"}]})
    assert "configured" in kubectl("apply", "-f", "-", stdin=changed)
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert kubectl("get", "pods", "--no-headers").count("1/1") >= 2
    assert kubectl("get", "deployment", "web", "-o", "wide").split()[:2] == ["NAME", "READY"]
    kubectl("scale", "deployment/web", "--replicas=4")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    kubectl("rollout", "undo", "deployment/web")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    spec = json.loads(kubectl("get", "deployment", "web", "-o", "json"))["spec"]
    assert "env" not in spec["template"]["spec"]["containers"][0]
    assert spec["replicas"] == 4
    kubectl("delete", "deployment", "web", "--cascade=foreground", "--timeout=60s")
    assert kubectl("get", "pods", "-o", "name") == ""


def test_get_watch_shows_a_pod_come_and_go(cluster: Cluster, namespace: str, busybox: str) -> None:
    with following(cluster, str(PROGRAMS / "kubectl"), "-n", namespace, "get", "pods", "-w") as watch:
        cluster.kubectl("-n", namespace, "run", "one", f"--image={busybox}", "--command", "--", *IDLE)
        watch.until(lambda line: "one" in line and "0/1" in line)
        watch.until(lambda line: "Running" in line and "1/1" in line)
        cluster.kubectl("-n", namespace, "delete", "pod", "one", "--grace-period=1")
        watch.until(lambda line: "Terminating" in line)


def test_describe_tells_the_events(cluster: Cluster, namespace: str, busybox: str) -> None:
    cluster.kubectl("-n", namespace, "run", "one", f"--image={busybox}", "--command", "--", *IDLE)
    cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/one", "--timeout=60s")
    for described in (cluster.kubectl, cluster.cloudctl):
        text = described("-n", namespace, "describe", "pod", "one").out
        assert "Scheduled" in text and "Started" in text and "node-" in text
    text = cluster.kubectl("describe", "node", "node-1").out
    assert "KubeletReady" in text and "Allocated resources" in text


def test_logs_exec_and_cp(cluster: Cluster, namespace: str, busybox: str, tmp_path: Path) -> None:
    cluster.kubectl("-n", namespace, "run", "one", f"--image={busybox}", "--command", "--", *COUNT)
    cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/one", "--timeout=60s")
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 4096)
    for name, program in (("kubectl", str(PROGRAMS / "kubectl")), ("cloudctl", str(PROGRAMS / "cloudctl"))):
        with following(cluster, program, "-n", namespace, "logs", "-f", "one") as log:
            log.until(lambda line: line == "line 3")
        assert cluster.run(program, "-n", namespace, "logs", "one", "--tail=2").out.count("line") == 2
        done = cluster.run(
            program, "-n", namespace, "exec", "one", "--", "sh", "-c", "echo out; echo err >&2; exit 7", code=7
        )
        assert done.out == "out\n" and "err" in done.err
        assert (
            cluster.run(program, "-n", namespace, "exec", "-i", "one", "--", "wc", "-c", stdin="12345").out.strip()
            == "5"
        )
        cluster.run(program, "-n", namespace, "cp", str(source), f"one:/tmp/{name}")
        cluster.run(program, "-n", namespace, "cp", f"one:/tmp/{name}", str(tmp_path / name))
        assert (tmp_path / name).read_bytes() == source.read_bytes()


def test_what_is_wrong_is_said_in_one_line(cluster: Cluster, namespace: str) -> None:
    for program in (cluster.kubectl, cluster.cloudctl):
        done = program("-n", namespace, "get", "pod", "none", code=1)
        assert done.err == 'Error from server (NotFound): pods "none" not found\n'
    bad = (
        '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "A_b"}, "spec": {"containers": [], "nodeNane": "x"}}'
    )
    done = cluster.cloudctl("-n", namespace, "apply", "-f", "-", stdin=bad, code=1)
    assert len(done.err.strip().splitlines()) == 1
    assert "nodeNane" in done.err


def test_explain_api_resources_can_i(cluster: Cluster) -> None:
    for program in (cluster.kubectl, cluster.cloudctl):
        text = program("explain", "pod.spec").out
        assert "containers" in text and "-required-" in text
        assert "deployments" in program("api-resources").out
        assert program("auth", "can-i", "create", "pods").out.strip() == "yes"
        assert program("auth", "can-i", "create", "pods", "--as=nobody", code=1).out.strip() == "no"


def test_a_pod_that_cannot_run_says_why(cluster: Cluster, namespace: str, busybox: str) -> None:
    cluster.kubectl("-n", namespace, "run", "noimage", "--image=cloudlet/none:1", "--image-pull-policy=Never")
    cluster.kubectl(
        "-n", namespace, "run", "crash", f"--image={busybox}", "--command", "--", "sh", "-c", "echo why; exit 3"
    )
    reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}"
    cluster.kubectl("-n", namespace, "wait", f"--for={reason}=ErrImageNeverPull", "pod/noimage", "--timeout=60s")
    cluster.kubectl("-n", namespace, "wait", f"--for={reason}=CrashLoopBackOff", "pod/crash", "--timeout=60s")
    text = cluster.cloudctl("-n", namespace, "describe", "pod", "crash").out
    assert "CrashLoopBackOff" in text and "Exit Code:" in text and "BackOff" in text
    assert cluster.cloudctl("-n", namespace, "logs", "crash", "--previous").out == "why\n"
