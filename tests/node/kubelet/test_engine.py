"""Docker taken away from under the kubelet: an engine of the test's own, stopped, killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from api import resources
from client.rest import ApiClient
from tests import images
from tests.api.cluster import Cluster
from tests.node.kubelet.conftest import make_space, prepare, remove_containers
from tests.node.kubelet.lab import Kubelet, Space, condition, container, issue_node, phase, pod

_NODE = "node-d"
_LOOP = "trap 'exit 0' TERM; while :; do sleep 0.1; done"


@dataclass
class Engine:
    """A dockerd without networks of its own: pods have theirs from the kubelet."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None
    containerd: subprocess.Popen[bytes] | None = None
    """Of its own, since one that dockerd starts does not outlive a kill -9 of dockerd in good order."""

    @property
    def socket(self) -> str:
        return str(self.folder / "docker.sock")

    def start_containerd(self) -> None:
        config = self.folder / "containerd.toml"
        config.write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
        arguments = [
            "containerd", "--config", str(config), "--root", str(self.folder / "root"),
            "--state", str(self.folder / "state"), "--address", str(self.folder / "c.sock"),
        ]  # fmt: skip
        with (self.folder / "containerd.log").open("ab") as log:
            self.containerd = subprocess.Popen(arguments, stdout=log, stderr=log)

    def start(self) -> None:
        arguments = [  # in a network namespace of its own: without a bridge it would remove the machine's docker0
            "unshare", "--net", "dockerd", "--data-root", str(self.folder / "data"), "--exec-root", str(self.folder / "exec"),
            "--host", f"unix://{self.socket}", "--pidfile", str(self.folder / "pid"),
            "--bridge", "none", "--iptables=false", "--ip-forward=false", "--containerd", str(self.folder / "c.sock"),
        ]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self._answers():
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)
        raise AssertionError((self.folder / "log").read_text()[-2000:])

    def _answers(self) -> bool:
        # Not through the library, which leaves sockets that were refused to the garbage collector.
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(self.socket)
                probe.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b" 200 " in probe.recv(100)
            except OSError:
                return False

    def client(self) -> docker.APIClient:
        return docker.APIClient(base_url=f"unix://{self.socket}", version="auto")

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(30)
            self.process = None
            if number == signal.SIGKILL:
                (self.folder / "pid").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    # A socket's path has at most 108 bytes.
    made = Engine(tmp_path_factory.mktemp("e"))
    made.start_containerd()
    try:
        made.start()
        images.ensure_busybox(engine=f"unix://{made.socket}")
        yield made
    finally:
        made.stop()
        if made.containerd:
            made.containerd.terminate()
            made.containerd.wait(20)
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            if line.split()[4].startswith(str(made.folder)):
                subprocess.run(["umount", "-l", line.split()[4]], check=False, timeout=10)


@pytest.fixture(scope="module")
def own_kubelet(cluster: Cluster, engine: Engine) -> Iterator[Kubelet]:
    issue_node(cluster, _NODE)
    made = Kubelet(cluster, _NODE, docker=engine.socket)
    made.start()
    try:
        asyncio.run(prepare(cluster, _NODE, "10.97.41.0/24"))
        yield made
    finally:
        try:
            made.stop()
        finally:
            remove_containers(made.root, _NODE, engine.socket)


@pytest.fixture
async def room(own_kubelet: Kubelet, client: ApiClient, request: pytest.FixtureRequest) -> AsyncIterator[Space]:
    made = await make_space(client, f"engine-{abs(hash(request.node.name)) % 10**8}")
    made.node = _NODE
    try:
        yield made
    finally:
        await made.clean()


def _running(engine: Engine, namespace: str) -> dict[str, int]:
    """How many containers of each name run."""
    counts: dict[str, int] = {}
    with contextlib.closing(engine.client()) as client:
        labels = [f"io.cloudlet.pod.namespace={namespace}", "io.cloudlet.kind=container"]
        for row in client.containers(filters={"label": labels}):
            name = row["Labels"]["io.cloudlet.pod.name"]
            counts[name] = counts.get(name, 0) + 1
    return counts


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_docker_restarts(room: Space, engine: Engine, number: int) -> None:
    await room.run(pod("always", _LOOP, restartPolicy="Always"))
    await room.run(pod("never", _LOOP))
    await room.ready("always")
    await room.ready("never")
    await asyncio.to_thread(engine.stop, number)
    await room.wait(_NODE, lambda n: condition(n, "Ready") == "False", resource=resources.NODES)
    await asyncio.to_thread(engine.start)
    await room.wait(_NODE, lambda n: condition(n, "Ready") == "True", resource=resources.NODES)
    found = await room.wait("always", lambda p: container(p)["restartCount"] >= 1 and condition(p, "Ready") == "True")
    assert container(found)["restartCount"] == 1
    assert phase(await room.ended("never")) in ("Failed", "Succeeded")
    assert _running(engine, room.name) == {"always": 1}


async def test_a_pod_created_while_docker_is_away_starts_when_it_is_back(room: Space, engine: Engine) -> None:
    await asyncio.to_thread(engine.stop)
    await room.run(pod("a", "echo hi"))
    await room.run(pod("gone", _LOOP))
    await room.delete("gone")
    await asyncio.to_thread(engine.start)
    assert phase(await room.ended("a")) == "Succeeded"
    await room.gone("gone")
    assert _running(engine, room.name) == {}
