"""The whole cloud side beside a real API server and the volume controllers: balancers and disks, restarts, clean-up."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from api.types import Object
from api.volumes import DISK_STORE, REMOVE, REMOVED, removal_annotation, removals
from client import kubeconfig
from tests.api.cluster import ROOT, Cluster
from tests.api.conftest import connect
from tests.api.http import Api
from tests.node.proxy.daemon import inside, until
from tests.node.proxy.lab import Lab, sh, usable

pytestmark = pytest.mark.skipif(
    not (usable() and shutil.which("etcd") and shutil.which("haproxy")), reason="needs root, etcd and haproxy"
)
DEFAULT = "/api/v1/namespaces/default"
STORAGE = "/apis/storage.k8s.io/v1"
MERGE = {"Content-Type": "application/merge-patch+json"}
LIMIT_KIB = 60 * 1024
VOLUME_CONTROLLERS = ",".join(
    f"persistentvolume{name}-controller" for name in ("-binder", "claim-protection", "-protection", "-attach-detach")
)


class Cloud:
    """API server, volume controllers and `cloudlet-cloud` in a lab's host namespace."""

    def __init__(self, lab: Lab, api: Api, cluster: Cluster) -> None:
        self.lab, self.api, self.cluster = lab, api, cluster
        self.state = cluster.folder / "cloud"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def _kubeconfig(self, user: str) -> Path:
        path, pki = self.cluster.folder / f"{user}.kubeconfig", self.cluster.pki
        cert, key = ((pki / f"{user}.{end}").read_bytes() for end in ("crt", "key"))
        kubeconfig.write(path, "test", [self.cluster.url], (pki / "ca.crt").read_bytes(), user=user, cert=cert, key=key)
        return path

    def argv(self) -> list[str]:
        flags = (f"--state-dir={self.state}", "--load-balancer-pool=10.98.1.0/29", "--no-leader-elect")
        return [
            sys.executable, "-m", "controllers.cloud", f"--kubeconfig={self._kubeconfig('cloud-controller-manager')}", *flags
        ]  # fmt: skip

    def start(self, name: str = "cloud") -> None:
        """Returns when it has said that it is ready."""
        manager = [
            sys.executable, "-m", "controllers", f"--kubeconfig={self._kubeconfig('kube-controller-manager')}",
            f"--controllers={VOLUME_CONTROLLERS}", "--no-leader-elect",
        ]  # fmt: skip
        path, log_path = str(self.cluster.folder / f"{name}.notify"), self.log(name)
        Path(path).unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, log_path.open("ab") as log:
            notify.bind(path)
            notify.settimeout(30)
            argv = self.argv() if name == "cloud" else manager
            env = {**os.environ, "NOTIFY_SOCKET": path}
            self.processes[name] = subprocess.Popen(argv, stdout=log, stderr=log, cwd=ROOT, env=env)
            try:
                while b"READY=1" not in notify.recv(4096):
                    pass
            except TimeoutError:
                raise AssertionError(log_path.read_text()[-4000:]) from None

    def log(self, name: str) -> Path:
        return self.cluster.folder / f"{name}.log"

    def stop(self, name: str = "cloud", number: int = signal.SIGTERM) -> int:
        process = self.processes.pop(name)
        process.send_signal(number)
        return process.wait(20)

    def get(self, path: str) -> Object | None:
        response = self.api.client.get(path)
        found: Object = response.json()
        return found if response.status_code == 200 else None

    def events(self, reason: str) -> list[str]:
        items = self.api.get(f"{DEFAULT}/events")["items"]
        return [e["message"] for e in items if e["reason"] == reason]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with Lab(()) as lab, contextlib.ExitStack() as stack:
        cluster = Cluster(tmp_path_factory.mktemp("cloud"))
        stack.enter_context(inside(lab))
        stack.callback(cluster.close)
        cluster.start()
        api = Api(stack.enter_context(connect(cluster)))
        for document in yaml.safe_load_all((ROOT / "deploy/addons/storageclass.yaml").read_text()):
            plural = {"StorageClass": "storageclasses", "CSIDriver": "csidrivers"}[document["kind"]]
            api.post(f"{STORAGE}/{plural}", document)
        api.post(f"{DEFAULT}/serviceaccounts", {"metadata": {"name": "default"}})
        sh("ip", "addr", "add", "10.98.0.12/24", "dev", "cloudlet0")
        for name, address in (("n1", lab.NODE), ("n2", "10.98.0.12"), ("far", "192.0.2.77")):
            add_node(api, name, address)
        cloud = Cloud(lab, api, cluster)
        try:
            cloud.start("controllers")
            cloud.start()
            yield cloud
        finally:
            for process in list(cloud.processes):
                cloud.stop(process, signal.SIGKILL)
            subprocess.run([*cloud.argv(), "--cleanup"], check=True, timeout=60, cwd=ROOT)


def add_node(api: Api, name: str, address: str) -> None:
    api.post("/api/v1/nodes", {"metadata": {"name": name, "labels": {DISK_STORE: f"store-{name}"}}})
    # The node elsewhere takes no traffic, as nothing would answer.
    ready = "False" if name == "far" else "True"
    conditions = [{"type": "Ready", "status": ready, "reason": "x", "message": "x"}]
    status = {"addresses": [{"type": "InternalIP", "address": address}], "conditions": conditions}
    api.ask("PATCH", f"/api/v1/nodes/{name}/status", {"status": status}, headers=MERGE)


def balancer(cloud: Cloud, name: str, **spec: object) -> Object:
    ports = spec.pop("ports", [{"name": "http", "port": 80}])
    body = {"metadata": {"name": name}, "spec": {"type": "LoadBalancer", "ports": ports, **spec}}
    return cloud.api.post(f"{DEFAULT}/services", body)


def address(cloud: Cloud, name: str) -> str:
    """The Service's address once it has one; empty after a refusal."""

    def ingress() -> list[Object]:
        service = cloud.get(f"{DEFAULT}/services/{name}") or {}
        return (service["status"].get("loadBalancer") or {}).get("ingress") or []

    until(lambda: bool(ingress()))
    assert ingress()[0]["ipMode"] == "Proxy"
    return str(ingress()[0]["ip"])


def test_a_load_balancer_from_birth_to_death(cloud: Cloud) -> None:
    lab = cloud.lab
    port = balancer(cloud, "web")["spec"]["ports"][0]["nodePort"]
    lab.serve(lab.HOST, port)
    ip = address(cloud, "web")
    until(lambda: lab.ask(lab.HOST, ip, 80)[0].startswith("host "))
    assert lab.ask(lab.OUTSIDE, ip, 80)[0].startswith("host ")
    until(lambda: "Ensured load balancer" in cloud.events("EnsuredLoadBalancer"))
    # The cloud side may die; connections go on, and its successor finds everything.
    cloud.stop(number=signal.SIGKILL)
    assert lab.ask(lab.HOST, ip, 80)[0].startswith("host ")
    cloud.start()
    assert lab.ask(lab.HOST, ip, 80)[0].startswith("host ")
    (directory,) = (cloud.state / "load-balancers").iterdir()
    pid = int((directory / "haproxy.pid").read_text())
    # HAProxy may die; it is started again.
    os.kill(pid, signal.SIGKILL)
    until(lambda: (directory / "haproxy.pid").read_text().strip() not in ("", str(pid)))
    until(lambda: lab.ask(lab.HOST, ip, 80)[0].startswith("host "))
    assert address(cloud, "web") == ip
    cloud.api.ask("DELETE", f"{DEFAULT}/services/web")
    until(lambda: cloud.get(f"{DEFAULT}/services/web") is None)
    assert list((cloud.state / "load-balancers").iterdir()) == []
    assert ip not in sh("ip", "-4", "addr")


def test_a_service_that_is_deleted_while_nobody_looks_leaves_nothing(cloud: Cloud) -> None:
    balancer(cloud, "short")
    ip = address(cloud, "short")
    cloud.stop()
    cloud.api.ask("DELETE", f"{DEFAULT}/services/short")
    assert cloud.get(f"{DEFAULT}/services/short"), "the finalizer keeps it"
    cloud.start()
    until(lambda: cloud.get(f"{DEFAULT}/services/short") is None)
    assert ip not in sh("ip", "-4", "addr")


def test_each_gets_its_own_address_until_there_are_none(cloud: Cloud) -> None:
    names = [f"many-{i}" for i in range(6)]
    for name in names:
        balancer(cloud, name)
    assert len({address(cloud, name) for name in names}) == 6
    balancer(cloud, "late")
    until(lambda: any("no free address" in m for m in cloud.events("SyncLoadBalancerFailed")))
    cloud.api.ask("PATCH", f"{DEFAULT}/services/many-0", {"spec": {"type": "ClusterIP"}}, headers=MERGE)
    until(lambda: bool(address(cloud, "late")), 30)
    assert not (cloud.get(f"{DEFAULT}/services/many-0") or {})["status"].get("loadBalancer")
    for name in [*names, "late"]:
        cloud.api.ask("DELETE", f"{DEFAULT}/services/{name}")
    until(lambda: list((cloud.state / "load-balancers").iterdir()) == [], 30)


def test_udp_is_refused_with_a_reason(cloud: Cloud) -> None:
    balancer(cloud, "udp", ports=[{"port": 53, "protocol": "UDP"}])
    until(lambda: any("only TCP" in m for m in cloud.events("SyncLoadBalancerFailed")))
    cloud.api.ask("DELETE", f"{DEFAULT}/services/udp")
    until(lambda: cloud.get(f"{DEFAULT}/services/udp") is None)


def claim(cloud: Cloud, name: str, **spec: object) -> None:
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "32Mi"}}, **spec}
    cloud.api.post(f"{DEFAULT}/persistentvolumeclaims", {"metadata": {"name": name}, "spec": wanted})


def choose_node(cloud: Cloud, name: str, node: str) -> None:
    """As the scheduler does."""
    noted = {"metadata": {"annotations": {"volume.kubernetes.io/selected-node": node}}}
    cloud.api.ask("PATCH", f"{DEFAULT}/persistentvolumeclaims/{name}", noted, headers=MERGE)


def phase(cloud: Cloud, name: str) -> str:
    found = cloud.get(f"{DEFAULT}/persistentvolumeclaims/{name}")
    return found["status"].get("phase", "") if found else "gone"


def volumes(cloud: Cloud) -> list[Object]:
    items: list[Object] = cloud.api.get("/api/v1/persistentvolumes")["items"]
    return items


def asked(cloud: Cloud, node: str) -> dict[str, str]:
    """What the node is asked to remove, and has answered."""
    return removals(cloud.api.get(f"/api/v1/nodes/{node}"))


def test_a_disk_from_claim_to_grave(cloud: Cloud) -> None:
    claim(cloud, "data")
    until(lambda: phase(cloud, "data") == "Pending" and bool(cloud.events("WaitForFirstConsumer")))
    choose_node(cloud, "data", "n2")
    until(lambda: phase(cloud, "data") == "Bound")
    (volume,) = volumes(cloud)
    (term,) = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": DISK_STORE, "operator": "In", "values": ["store-n2"]}]
    assert (volume["spec"]["capacity"], volume["spec"]["csi"]["fsType"]) == ({"storage": "32Mi"}, "ext4")
    disk = volume["spec"]["csi"]["volumeHandle"]
    cloud.api.ask("DELETE", f"{DEFAULT}/persistentvolumeclaims/data")
    until(lambda: asked(cloud, "n2") == {disk: REMOVE})
    # Neither a deletion by hand nor a restart takes the volume before the node has answered.
    cloud.api.ask("DELETE", f"/api/v1/persistentvolumes/{disk}")
    cloud.stop()
    cloud.start()
    assert asked(cloud, "n2") == {disk: REMOVE}
    assert volumes(cloud)
    said = {"metadata": {"annotations": {removal_annotation(disk): REMOVED}}}
    cloud.api.ask("PATCH", "/api/v1/nodes/n2", said, headers=MERGE)
    until(lambda: not volumes(cloud) and asked(cloud, "n2") == {})


def test_the_disk_of_a_node_that_is_gone_for_good_is_not_waited_for(cloud: Cloud) -> None:
    add_node(cloud.api, "lost", "192.0.2.78")
    claim(cloud, "gone")
    choose_node(cloud, "gone", "lost")
    until(lambda: phase(cloud, "gone") == "Bound")
    cloud.api.ask("DELETE", f"{DEFAULT}/persistentvolumeclaims/gone")
    until(lambda: bool(asked(cloud, "lost")))
    cloud.api.ask("DELETE", "/api/v1/nodes/lost")
    until(lambda: not volumes(cloud))


def test_a_static_volume_is_bound_to_the_claim_it_suits(cloud: Cloud) -> None:
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": "/srv"},
        "storageClassName": "by-hand",
    }
    cloud.api.post("/api/v1/persistentvolumes", {"metadata": {"name": "by-hand"}, "spec": spec})
    claim(cloud, "static", storageClassName="by-hand")
    until(lambda: phase(cloud, "static") == "Bound")
    cloud.api.ask("DELETE", f"{DEFAULT}/persistentvolumeclaims/static")

    def released() -> bool:
        return bool(cloud.api.get("/api/v1/persistentvolumes/by-hand")["status"]["phase"] == "Released")

    until(released)
    cloud.api.ask("DELETE", "/api/v1/persistentvolumes/by-hand")
    until(lambda: cloud.get("/api/v1/persistentvolumes/by-hand") is None)


def test_memory_and_logs(cloud: Cloud) -> None:
    status = Path(f"/proc/{cloud.processes['cloud'].pid}/status").read_text()
    assert int(status.partition("VmRSS:")[2].split()[0]) < LIMIT_KIB
    for name in ("cloud", "controllers"):
        lines = cloud.log(name).read_text().splitlines()
        # asyncio's own complaints are about connections that were open when a process was told to end.
        assert [line for line in lines if '"level":"error"' in line and '"logger":"asyncio"' not in line] == []
