"""The real scheduler against the real server. Nodes are objects only; each test has nodes of its own, chosen by a label."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.api.cluster import ROOT, Cluster, free_port, wait_for
from tests.api.http import Api, Object

SCHEDULER = "under-test"
"""Pods ask for the scheduler by this name, so that other tests' pods stay where they are."""


class Daemon:
    """A scheduler process that can be killed and started again."""

    def __init__(self, cluster: Cluster, *flags: str) -> None:
        self._cluster, self._flags = cluster, flags
        self.log = cluster.folder / f"scheduler-{free_port()}.log"
        config = {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "profiles": [{"schedulerName": SCHEDULER}],
        }
        self._config = cluster.folder / "scheduler.yaml"
        self._config.write_text(yaml.safe_dump(config))
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        port = free_port()
        arguments = [
            sys.executable, "-m", "scheduler", f"--kubeconfig={self._cluster.kubeconfig('kube-scheduler')}",
            f"--config={self._config}", f"--health-port={port}", *self._flags,
        ]  # fmt: skip
        with self.log.open("ab") as log:
            process = subprocess.Popen(arguments, stdout=log, stderr=log, cwd=ROOT)
        wait_for(process, f"http://127.0.0.1:{port}/readyz", None, self.log)
        return process

    def kill(self) -> None:
        """As if by the kernel: no goodbye."""
        self.process.kill()
        self.process.wait(10)

    def restart(self) -> None:
        self.process = self._start()

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(15) == 0, self.log.read_text()[-3000:]


@pytest.fixture(scope="session")
def scheduler(cluster: Cluster) -> Iterator[Daemon]:
    daemon = Daemon(cluster, "--no-leader-elect")
    yield daemon
    daemon.stop()


class World:
    """A test's nodes and pods."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api, self.namespace = api, namespace
        self.path = f"/api/v1/namespaces/{namespace}"
        self._nodes: list[str] = []

    def node(self, name: str, cpu: str = "4", **labels: str) -> str:
        """A ready node, made by hand; its real name is unique."""
        full = f"{self.namespace}-{name}"
        allocatable = {"cpu": cpu, "memory": "8Gi", "pods": "110"}
        body = {
            "metadata": {"name": full, "labels": {"test": self.namespace, "kubernetes.io/hostname": full, **labels}},
            "status": {"capacity": allocatable, "allocatable": allocatable},
        }
        self.api.post("/api/v1/nodes", body)
        self._nodes.append(full)
        self.api.patch(f"/api/v1/nodes/{full}", {"spec": {"taints": None}})
        return full

    def pod(self, name: str, cpu: str = "100m", *, labels: Any = None, requests: Any = None, **spec: Any) -> Object:
        container: Object = {"name": "c", "image": "app", "resources": {"requests": {"cpu": cpu, **(requests or {})}}}
        container |= spec.pop("container", {})
        if requests:
            container["resources"]["limits"] = requests
        body = {
            "metadata": {"name": name, "labels": labels or {}},
            "spec": {
                "schedulerName": SCHEDULER,
                "nodeSelector": {"test": self.namespace},
                "terminationGracePeriodSeconds": 0,
                "containers": [container],
                **spec,
            },
        }
        return self.api.post(f"{self.path}/pods", body)

    def until(self, path: str, name: str, satisfied: Callable[[Object], Any]) -> Object:
        """Wait, by a watch, until the object pleases; the server ends the watch after ten seconds."""
        last: Object = {}
        selector = {"fieldSelector": f"metadata.name={name}"}
        with self.api.watch(f"{self.path}/{path}", **selector, resourceVersion="0") as watch:
            for event in iter(watch.next, None):
                last = event["object"]
                if event["type"] != "DELETED" and satisfied(last):
                    return last
        raise AssertionError(f"not satisfied by {name}: {last}")

    def bound(self, name: str) -> str:
        """Wait until a pod has a node; its name without the test's prefix."""
        found = self.until("pods", name, lambda pod: pod["spec"].get("nodeName"))
        return str(found["spec"]["nodeName"]).removeprefix(f"{self.namespace}-")

    def refused(self, name: str) -> str:
        """Wait until a pod is said to be unschedulable; the sentence."""

        def condition(pod: Object) -> Object:
            found = [c for c in pod["status"].get("conditions") or () if c["type"] == "PodScheduled"]
            return found[0] if found and found[0].get("reason") == "Unschedulable" else {}

        return str(condition(self.until("pods", name, condition))["message"])

    def event(self, name: str, reason: str) -> Object:
        """Wait for an event about an object."""
        query = {"fieldSelector": f"involvedObject.name={name},reason={reason}", "resourceVersion": "0"}
        with self.api.watch(f"{self.path}/events", **query) as watch:
            found: Object = watch.next()["object"]
            return found

    def close(self) -> None:
        self.api.delete(f"{self.path}/pods", gracePeriodSeconds="0")
        for name in self._nodes:
            self.api.delete(f"/api/v1/nodes/{name}")


@pytest.fixture
def world(api: Api, namespace: str, scheduler: Daemon) -> Iterator[World]:
    made = World(api, namespace)
    yield made
    made.close()
