"""One real etcd and one real server for the session; a namespace per test."""

import shutil
import ssl
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest

from tests.api.cluster import Cluster
from tests.api.http import Api

_numbers = count()
_MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > 1 << 29  # containers have 64 MiB there
    base = _MEMORY if roomy else None
    folder = Path(tempfile.mkdtemp(prefix="cloudlet-api-", dir=base))
    running = Cluster(folder)
    try:
        running.start()
        yield running
    finally:
        running.close()
        shutil.rmtree(folder, ignore_errors=True)


def connect(cluster: Cluster, name: str = "admin") -> httpx.Client:
    """A client with one of the cluster's certificates; none for anonymous."""
    context = ssl.create_default_context(cafile=cluster.pki / "ca.crt")
    if name:
        context.load_cert_chain(cluster.pki / f"{name}.crt", cluster.pki / f"{name}.key")
    return httpx.Client(base_url=cluster.url, verify=context, timeout=15)


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> Iterator[Api]:
    with connect(cluster) as client:
        yield Api(client)


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """A namespace of the test's own, with the ServiceAccount that a controller would make."""
    name = f"test-{next(_numbers)}"
    api.post("/api/v1/namespaces", {"metadata": {"name": name}})
    api.post(f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})
    yield name
    api.client.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def core(namespace: str) -> str:
    """The path of the test's namespace in core/v1."""
    return f"/api/v1/namespaces/{namespace}"


@pytest.fixture
def apps(namespace: str) -> str:
    """The path of the test's namespace in apps/v1."""
    return f"/apis/apps/v1/namespaces/{namespace}"
