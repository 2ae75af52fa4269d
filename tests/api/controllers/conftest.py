"""A cluster of its own: etcd, the API server, all controllers, and a stage instead of scheduler and kubelets."""

import shutil
import ssl
import subprocess
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from api import resources
from client.rest import ApiClient
from tests.api.cluster import ROOT, Cluster, free_port, wait_for
from tests.api.controllers.world import World

NODES = ("n1", "n2", "n3")
_MEMORY = Path("/dev/shm")


def start_controllers(cluster: Cluster) -> subprocess.Popen[bytes]:
    """The controller manager, ready."""
    pki, port = cluster.pki, free_port()
    arguments = [
        sys.executable, "-m", "controllers", f"--kubeconfig={cluster.kubeconfig('kube-controller-manager')}",
        f"--root-ca-file={pki}/ca.crt", f"--service-account-private-key-file={pki}/sa.key",
        f"--cluster-signing-cert-file={pki}/ca.crt", f"--cluster-signing-key-file={pki}/ca.key",
        "--node-monitor-period=0.5", "--node-monitor-grace-period=4", "--no-leader-elect", f"--health-port={port}",
    ]  # fmt: skip
    log = cluster.folder / "controllers.log"
    with log.open("ab") as out:
        process = subprocess.Popen(arguments, stdout=out, stderr=out, cwd=ROOT)
    wait_for(process, f"http://127.0.0.1:{port}/readyz", None, log)
    return process


@pytest.fixture(scope="session")
def controlled() -> Iterator[Cluster]:
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > 1 << 29  # containers have 64 MiB there
    folder = Path(tempfile.mkdtemp(prefix="cloudlet-controllers-", dir=_MEMORY if roomy else None))
    cluster = Cluster(folder)
    try:
        cluster.start()
        cluster.processes["controllers"] = start_controllers(cluster)
        with (folder / "stage.log").open("ab") as log:
            cluster.processes["stage"] = subprocess.Popen(
                [sys.executable, "-m", "tests.api.controllers.stage", str(cluster.kubeconfig()), *NODES],
                stdout=log,
                stderr=log,
                cwd=ROOT,
            )
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def _logs(controlled: Cluster) -> Iterator[None]:
    """What the processes logged during a test; pytest shows it when the test fails."""
    sizes = {path: path.stat().st_size for path in controlled.folder.glob("*.log")}
    yield
    for path in controlled.folder.glob("*.log"):
        text = path.read_bytes()[sizes.get(path, 0) :].decode(errors="replace")
        if text:
            print(f"--- {path.name}\n{text[-4000:]}")
    for name, process in controlled.processes.items():
        assert process.poll() is None, f"{name} has ended"


@pytest.fixture
async def world(controlled: Cluster) -> AsyncIterator[World]:
    """A namespace of the test's own, with its ServiceAccount; deleted afterwards, not waited for."""
    async with ApiClient.from_kubeconfig(controlled.kubeconfig(), "tests") as client:
        found = World(client, f"test-{uuid.uuid4().hex[:8]}")
        await client.create(resources.NAMESPACES, {"metadata": {"name": found.namespace}})
        await found.until(resources.SERVICEACCOUNTS, "default", lambda _: True)
        yield found
        await client.delete(resources.NAMESPACES, found.namespace)


@pytest.fixture
async def anonymous(controlled: Cluster) -> AsyncIterator[httpx.AsyncClient]:
    """A caller without a certificate."""
    context = ssl.create_default_context(cafile=controlled.pki / "ca.crt")
    async with httpx.AsyncClient(base_url=controlled.url, verify=context) as client:
        yield client
