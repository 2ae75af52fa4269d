"""The real proxy beside a real API server, all inside a lab's host namespace."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml
from dnslib import DNSRecord

from client import kubeconfig
from tests.api.cluster import ROOT, Cluster
from tests.api.conftest import connect
from tests.api.http import Api
from tests.node.proxy.lab import Lab

_NEW_NETWORK = 0x40000000
DNS = "10.96.0.10"


@contextlib.contextmanager
def inside(lab: Lab) -> Iterator[None]:
    """Move this thread, and what it starts, into the lab's host namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as home, Path(f"/run/netns/{lab.ns(lab.HOST)}").open() as there:
        assert libc.setns(there.fileno(), _NEW_NETWORK) == 0
        try:
            yield
        finally:
            assert libc.setns(home.fileno(), _NEW_NETWORK) == 0


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    """Wait for an effect in the kernel that announces itself to nobody."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come about in time"
        time.sleep(0.02)


class Proxy:
    """One `cloudlet-proxy` process after another, with the same flags."""

    def __init__(self, cluster: Cluster, lab: Lab) -> None:
        self.cluster, self.lab = cluster, lab
        self.kubeconfig, self.log = cluster.folder / "proxy.kubeconfig", cluster.folder / "proxy.log"
        pki = cluster.pki
        cert, key = ((pki / f"kube-proxy.{end}").read_bytes() for end in ("crt", "key"))
        ca = (pki / "ca.crt").read_bytes()
        kubeconfig.write(self.kubeconfig, "test", [cluster.url], ca, user="kube-proxy", cert=cert, key=key)
        self.process: subprocess.Popen[bytes] | None = None

    def argv(self, *more: str) -> list[str]:
        return [sys.executable, "-m", "proxy", f"--kubeconfig={self.kubeconfig}", "--hostname-override=n1", *more]

    def start(self) -> None:
        """Returns when it has said that it is ready."""
        path = str(self.cluster.folder / "notify")
        Path(path).unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, self.log.open("ab") as log:
            notify.bind(path)
            notify.settimeout(30)
            env = {**os.environ, "NOTIFY_SOCKET": path}
            self.process = subprocess.Popen(self.argv(), stdout=log, stderr=log, cwd=ROOT, env=env)
            try:
                while b"READY=1" not in notify.recv(4096):
                    pass
            except TimeoutError:
                raise AssertionError(self.log.read_text()[-4000:]) from None

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process is None:
            return 0
        process, self.process = self.process, None
        process.send_signal(number)
        return process.wait(20)

    def memory(self) -> int:
        """Resident set, in KiB."""
        assert self.process
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def resolve(self, name: str, kind: str = "A", *, tcp: bool = False) -> list[str]:
        reply = DNSRecord.question(name, kind).send(DNS, 53, tcp=tcp, timeout=5)
        return [str(rr.rdata) for rr in DNSRecord.parse(reply).rr]


@contextlib.contextmanager
def machine(lab: Lab, folder: Path) -> Iterator[tuple[Api, Proxy]]:
    """API server and proxy at work; both gone afterwards."""
    cluster = Cluster(folder)
    with inside(lab):
        try:
            cluster.start()
            with connect(cluster) as client:
                api = Api(client)
                for document in yaml.safe_load_all((ROOT / "deploy/addons/proxy.yaml").read_text()):
                    plural = {"ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings"}[
                        document["kind"]
                    ]
                    api.post(f"/apis/rbac.authorization.k8s.io/v1/{plural}", document)
                proxy = Proxy(cluster, lab)
                try:
                    proxy.start()
                    yield api, proxy
                finally:
                    proxy.stop(signal.SIGKILL)
        finally:
            cluster.close()
