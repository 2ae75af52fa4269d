"""The example application: it answers through its load balancer and keeps its data when Redis is replaced."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import pytest

from tests.e2e.cluster import ROOT, Cluster


@pytest.fixture(scope="module")
def url(cluster: Cluster) -> Iterator[str]:
    subprocess.run([sys.executable, str(ROOT / "deploy/images/build.py")], check=True, timeout=300)
    said = cluster.run(sys.executable, str(ROOT / "deploy/examples/show.py"), seconds=200).out
    found = re.search(r"http://\S+", said)
    assert found and "Welcome to Cloudlet" in said
    yield found.group()
    cluster.cloudctl("delete", "namespace", "guestbook", "--timeout=120s")


def visit(url: str) -> tuple[int, str]:
    """The number of the visit and who served it."""
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - always http
        text = response.read().decode()
    visits, server = re.search(r"visits: (\d+)", text), re.search(r"served by: (\S+)", text)
    assert visits and server, text
    return int(visits.group(1)), server.group(1)


def test_every_replica_serves_and_counts_in_one_place(url: str) -> None:
    visits = [visit(url) for _ in range(30)]
    assert [number for number, _ in visits] == list(range(visits[0][0], visits[0][0] + 30))
    assert len({server for _, server in visits}) == 3


def test_data_outlives_the_redis_pod(cluster: Cluster, url: str) -> None:
    before, _ = visit(url)
    pod = cluster.kubectl("-n", "guestbook", "get", "pods", "-l", "tier=redis", "-o", "name").out.strip()
    cluster.kubectl("-n", "guestbook", "delete", pod, "--timeout=60s")
    for tier in ("redis", "web"):
        cluster.kubectl("-n", "guestbook", "rollout", "status", f"deployment/{tier}", "--timeout=60s")
    endpoints = "jsonpath={.endpoints[0].conditions.ready}=true"
    cluster.kubectl("-n", "guestbook", "wait", f"--for={endpoints}", "endpointslices", "--all", "--timeout=60s")
    assert visit(url)[0] > before


def test_configuration_arrives(cluster: Cluster, url: str) -> None:
    pods = cluster.cloudctl("-n", "guestbook", "get", "pods", "-l", "tier=web", "-o", "name").out.split()
    for pod in pods:
        said = cluster.cloudctl("-n", "guestbook", "exec", pod, "--", "/usr/bin/python3", "-c",
                                "import os; print(os.getuid(), os.environ['GREETING'])").out  # fmt: skip
        assert said == "65534 Welcome to Cloudlet\n"
