"""A real etcd and the real API server as processes, for tests and benchmarks."""

import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import yaml

from tests.api.pki import Authority

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_for(process: subprocess.Popen[bytes], url: str, ca: Path | None, log: Path, seconds: float = 30) -> None:
    """Wait until a URL answers 200. Fails with the process's log when it ends or does not come up."""
    deadline = time.monotonic() + seconds
    context = ssl.create_default_context(cafile=ca)
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, verify=context, timeout=2).status_code == 200:
                return
        select_wait(process, 0.05)
    raise AssertionError(f"{url} did not answer in {seconds} s:\n{log.read_text()[-4000:]}")


def select_wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait a moment for a process that may end."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


@dataclass
class Cluster:
    """etcd and one API server below `folder`."""

    folder: Path
    port: int = field(default_factory=free_port)
    etcd_port: int = field(default_factory=free_port)
    flags: Sequence[str] = ()
    name: str = "apiserver"
    etcd_servers: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        pki = self.folder / "pki"
        if (pki / "admin.crt").exists():
            return
        authority = Authority(pki)
        authority.issue(
            "apiserver", "kube-apiserver", hosts=(HOST, "localhost", "kubernetes", "kubernetes.default.svc")
        )
        authority.issue("admin", "kubernetes-admin", "system:masters")
        authority.issue("apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters")
        for name in ("kube-controller-manager", "kube-scheduler", "kube-proxy", "cloud-controller-manager"):
            authority.issue(name, f"system:{name}")
        authority.issue("node-a", "system:node:node-a", "system:nodes")
        authority.service_account_key()

    @property
    def pki(self) -> Path:
        return self.folder / "pki"

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    def start(self) -> None:
        self.start_etcd()
        self.start_server()

    def _spawn(self, name: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(arguments, stdout=log, stderr=log, cwd=ROOT, env=os.environ | self.environment)
        self.processes[name] = process
        return process

    def start_etcd(self) -> None:
        url = f"http://{HOST}:{self.etcd_port}"
        peer = f"http://{HOST}:{free_port()}"
        data = self.folder / "etcd"
        process = self._spawn(
            "etcd",
            ["etcd", "--data-dir", str(data), "--listen-client-urls", url, "--advertise-client-urls", url,
             "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
             "--unsafe-no-fsync", "--logger", "zap", "--log-level", "warn"],
        )  # fmt: skip
        wait_for(process, f"{url}/health", None, self.folder / "etcd.log")

    def server_arguments(self) -> list[str]:
        pki = self.pki
        return [
            sys.executable, "-m", "apiserver",
            f"--etcd-servers={self.etcd_servers or f'http://{HOST}:{self.etcd_port}'}",
            f"--bind-address={HOST}", f"--advertise-address={HOST}",
            f"--secure-port={self.port}", f"--tls-cert-file={pki}/apiserver.crt",
            f"--tls-private-key-file={pki}/apiserver.key", f"--client-ca-file={pki}/ca.crt",
            f"--service-account-key-file={pki}/sa.pub", f"--service-account-signing-key-file={pki}/sa.key",
            f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
            f"--kubelet-client-key={pki}/apiserver-kubelet-client.key", f"--kubelet-certificate-authority={pki}/ca.crt",
            *self.flags,
        ]  # fmt: skip

    def start_server(self) -> None:
        process = self._spawn(self.name, self.server_arguments())
        wait_for(process, f"{self.url}/readyz", self.pki / "ca.crt", self.folder / f"{self.name}.log")

    def workers(self, name: str) -> list[int]:
        """The process ids of the workers below a server's parent."""
        pid = self.processes[name].pid
        found = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        workers = []
        for each in found:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if b"spawn_main" in Path(f"/proc/{each}/cmdline").read_bytes():
                    workers.append(each)
        return workers

    def stop(self, name: str, number: int = signal.SIGTERM, seconds: float = 20) -> int:
        """Stop one process; return its exit code."""
        process = self.processes.pop(name)
        process.send_signal(number)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def close(self) -> None:
        for name in list(self.processes)[::-1]:
            self.stop(name)
        shutil.rmtree(self.folder / "etcd", ignore_errors=True)

    def kubeconfig(self, name: str = "admin") -> Path:
        """A kubeconfig for one of the client certificates."""

        def data(file: str) -> str:
            return base64.b64encode((self.pki / file).read_bytes()).decode()

        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "default",
            "clusters": [
                {"name": "default", "cluster": {"server": self.url, "certificate-authority-data": data("ca.crt")}}
            ],
            "users": [
                {
                    "name": name,
                    "user": {
                        "client-certificate-data": data(f"{name}.crt"),
                        "client-key-data": data(f"{name}.key"),
                    },
                }
            ],
            "contexts": [{"name": "default", "context": {"cluster": "default", "user": name}}],
        }
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return path


def main() -> None:
    """`python -m tests.api.cluster FOLDER PORT ETCD_PORT`: run until interrupted."""
    folder, port, etcd_port, *flags = sys.argv[1:]
    path = Path(folder).resolve()
    path.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(path, int(port), int(etcd_port), flags)
    for name in ("admin", "kube-controller-manager", "kube-scheduler", "kube-proxy", "cloud-controller-manager"):
        cluster.kubeconfig(name)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        cluster.start()
        print(json.dumps({"url": cluster.url, "kubeconfig": str(path / "admin.kubeconfig")}), flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
    finally:
        for name in list(cluster.processes)[::-1]:
            cluster.stop(name)


if __name__ == "__main__":
    main()
