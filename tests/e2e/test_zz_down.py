"""The last test of the layer: `down` leaves no process, container, network, mount, rule or device behind."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import docker

from cloudctl.cluster.state import Cluster as State
from tests.e2e.cluster import Cluster
from tests.e2e.manifests import web
from tests.e2e.test_lifecycle import processes_of


def bridges() -> set[str]:
    links = json.loads(subprocess.run(["ip", "-json", "link"], capture_output=True, check=True, timeout=10).stdout)
    return {link["ifname"] for link in links if link.get("ifname", "").startswith(("clb-", "clv", "cloudlet"))}


def left_over(cluster: Cluster, state: State) -> dict[str, object]:
    """Everything of the cluster that is on the machine, by kind; empty values when nothing is."""
    engine = docker.from_env()
    try:
        containers = [
            c.name
            for mark in marks
            for c in engine.containers.list(all=True, filters={"label": f"io.cloudlet.cluster={mark}"})
        ] if (marks := state.container_marks()) else []  # fmt: skip
    finally:
        engine.close()
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True, timeout=10).stdout
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True, timeout=10).stdout
    loops = subprocess.run(["losetup", "--list"], capture_output=True, text=True, check=True, timeout=10).stdout
    return {
        "processes": processes_of(cluster),
        "containers": containers,
        "bridges": bridges(),
        "mounts": [line for line in Path("/proc/mounts").read_text().splitlines() if str(cluster.state) in line],
        "tables": [line for line in tables.splitlines() if "cloudlet" in line],
        "rules": [line for line in rules.splitlines() if "cloudlet" in line or "10.244." in line],
        "loops": [line for line in loops.splitlines() if str(cluster.state) in line],
    }


def test_down_leaves_nothing(cluster: Cluster, namespace: str, busybox: str) -> None:
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
             "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "32Mi"}}}}  # fmt: skip
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=json.dumps(claim))
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=web("web", busybox, 1, volumes=volumes))
    cluster.kubectl(
        "-n", namespace, "expose", "deployment", "web", "--type=LoadBalancer", "--port=80", "--target-port=8080"
    )
    cluster.kubectl("-n", namespace, "rollout", "status", "deployment/web", "--timeout=90s")
    ingress = "jsonpath={.status.loadBalancer.ingress[0].ip}"
    cluster.kubectl("-n", namespace, "wait", f"--for={ingress}", "service/web", "--timeout=60s")
    state = State.existing(cluster.state)
    before = left_over(cluster, state)
    assert all(before[kind] for kind in ("processes", "containers", "bridges", "mounts", "tables", "loops")), before
    cluster.cloudctl("down", "--state", str(cluster.state))
    after = left_over(cluster, state)
    assert not any(after.values()), after
    # It starts again, with all it had.
    cluster.cloudctl("up", "--state", str(cluster.state))
    cluster.kubectl(
        "-n", namespace, "wait", "--for=jsonpath={.status.readyReplicas}=1", "deployment/web", "--timeout=90s"
    )
