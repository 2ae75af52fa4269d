"""One cluster for the whole layer, a namespace for every test, and the daemons' logs when a test fails."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator

import pytest

from tests.e2e.cluster import Cluster, start
from tests.images import ensure_busybox

_running: list[Cluster] = []


@pytest.fixture(scope="session")
def busybox() -> str:
    """The image tests run."""
    return ensure_busybox()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Two real nodes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    found = start(2, port)
    _running.append(found)
    yield found
    found.cloudctl("down", "--delete", "--state", str(found.state))


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=30s")
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false", code=None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Add the daemons' logs to the report of a failed test."""
    report = yield
    if report.failed and _running:  # type: ignore[attr-defined]
        report.sections.append(("daemon logs", _running[0].logs()))  # type: ignore[attr-defined]
    return report
