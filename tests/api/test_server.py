"""The process: several servers on one etcd, workers, restarts, loss of etcd, graceful ends."""

import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.cluster import Cluster, free_port
from tests.api.conftest import connect
from tests.api.http import Api
from tests.api.objects import configmap

PATH = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def own() -> Iterator[Cluster]:
    """An etcd and a server of the test's own, to be mistreated."""
    folder = Path(tempfile.mkdtemp(prefix="cloudlet-server-"))
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(folder, ignore_errors=True)


def second(cluster: Cluster, *flags: str) -> Cluster:
    """Another server on the same etcd."""
    other = Cluster(cluster.folder, etcd_port=cluster.etcd_port, flags=flags, name="apiserver-2")
    other.start_server()
    return other


def test_two_servers_see_each_other_s_writes_at_once(cluster: Cluster, api: Api, core: str) -> None:
    other = second(cluster)
    try:
        with connect(other) as client:
            there = Api(client)
            for index in range(20):
                api.post(f"{core}/secrets", {"metadata": {"name": f"s{index}"}})
                assert len(there.get(f"{core}/secrets")["items"]) == index + 1
                there.patch(f"{core}/secrets/s{index}", {"metadata": {"labels": {"seen": "yes"}}})
                assert api.get(f"{core}/secrets/s{index}")["metadata"]["labels"] == {"seen": "yes"}
    finally:
        other.stop("apiserver-2")


def test_a_new_server_does_not_know_old_events_and_says_so(cluster: Cluster, api: Api, core: str) -> None:
    before = api.get(f"{core}/secrets")["metadata"]["resourceVersion"]
    api.post(f"{core}/secrets", {"metadata": {"name": "a"}})
    other = second(cluster)
    try:
        with connect(other) as client, Api(client).watch(f"{core}/secrets", resourceVersion=before) as watch:
            event = watch.next()
        assert event["type"] == "ERROR" and event["object"]["kind"] == "Status"
        assert event["object"]["code"] == 410 and event["object"]["reason"] == "Expired"
        assert event["object"]["message"].startswith("too old resource version")
    finally:
        other.stop("apiserver-2")


def test_a_page_after_compaction_is_410_with_a_token_that_goes_on(own: Cluster) -> None:
    other = second(own, "--compaction-interval=1")
    with connect(other) as client:
        api = Api(client)
        for index in range(4):
            api.post(PATH, configmap(f"c{index}", {"page": "yes"}))
        token = api.get(PATH, limit=2)["metadata"]["continue"]
        status = {}
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            api.post(PATH, {"metadata": {"generateName": "more-"}})
            response = client.get(PATH, params={"limit": 2, "continue": token})
            if response.status_code == 410:
                status = response.json()
                break
        assert status["reason"] == "Expired" and "inconsistent" in status["message"]
        rest = api.get(PATH, **{"continue": status["metadata"]["continue"]})
        names = [item["metadata"]["name"] for item in rest["items"]]
        assert {"c2", "c3"} <= set(names) and "c0" not in names and "c1" not in names
    other.stop("apiserver-2")


def test_sigterm_ends_watches_and_lets_requests_finish(own: Cluster) -> None:
    with connect(own) as client, Api(client).watch(PATH, timeoutSeconds=600) as watch, connect(own) as writer:
        Api(writer).post(PATH, configmap("a"))
        assert watch.take(1) == [("ADDED", "a")]
        started = time.monotonic()
        code = own.stop("apiserver")
        assert time.monotonic() - started < 10 and code == 0
        watch.until_end()


def test_nothing_acknowledged_is_lost_when_the_server_is_killed(own: Cluster) -> None:
    acknowledged: list[str] = []
    stop = threading.Event()

    def write() -> None:
        with connect(own) as client:
            for index in range(100_000):
                if stop.is_set():
                    return
                try:
                    response = client.post(PATH, json=configmap(f"c{index}"))
                except httpx.TransportError:
                    return
                if response.status_code == 201:
                    acknowledged.append(f"c{index}")

    writer = threading.Thread(target=write)
    writer.start()
    while len(acknowledged) < 50:
        stop.wait(0.01)
    own.stop("apiserver", signal.SIGKILL)
    stop.set()
    writer.join(20)
    own.start_server()
    with connect(own) as client:
        names = {item["metadata"]["name"] for item in Api(client).get(PATH)["items"]}
    assert set(acknowledged) <= names


def test_the_server_outlives_etcd_and_serves_again_when_it_is_back(own: Cluster) -> None:
    with connect(own) as client:
        api = Api(client)
        api.post(PATH, configmap("before"))
        own.stop("etcd", signal.SIGKILL)
        cached = api.get(f"{PATH}/before", resourceVersion="0")
        assert cached["metadata"]["name"] == "before"
        ready = client.get("/readyz")
        deadline = time.monotonic() + 10
        while ready.status_code == 200 and time.monotonic() < deadline:
            ready = client.get("/readyz")
        assert ready.status_code == 500 and client.get("/livez").status_code == 200
        own.start_etcd()
        with api.watch(PATH, resourceVersion="0") as watch:
            deadline = time.monotonic() + 20
            code = 0
            while code != 201 and time.monotonic() < deadline:
                code = client.post(PATH, json=configmap("after")).status_code
            assert code == 201
            names = set()
            while "after" not in names:
                names.add(watch.next()["object"]["metadata"]["name"])
        assert api.get(f"{PATH}/after")["metadata"]["name"] == "after"


def test_a_dead_etcd_endpoint_is_left_for_the_next(own: Cluster) -> None:
    dead, alive = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{own.etcd_port}"
    other = second(own, f"--etcd-servers={dead},{alive}")
    try:
        with connect(other) as client:
            assert Api(client).post(PATH, configmap("a"))["metadata"]["name"] == "a"
            assert Api(client).get(f"{PATH}/a")
    finally:
        other.stop("apiserver-2")


def test_a_server_waits_for_etcd_when_it_starts(own: Cluster) -> None:
    own.stop("apiserver")
    own.stop("etcd")
    starter = threading.Thread(target=own.start_server)
    starter.start()
    own.start_etcd()
    starter.join(40)
    with connect(own) as client:
        assert client.get("/readyz").status_code == 200


def two_workers(server: Cluster, without: int = 0) -> list[int]:
    """The ids of both workers, once there are two."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = server.workers("apiserver-2")
        if len(found) == 2 and without not in found:
            return found
    raise AssertionError(f"there are not two workers: {found}")


def test_several_workers_share_a_port_and_one_that_dies_is_replaced(own: Cluster) -> None:
    other = second(own, "--workers=2")
    try:
        for index in range(12):
            with connect(other) as client:
                Api(client).post(PATH, configmap(f"w{index}"))
                assert Api(client).get(f"{PATH}/w{index}")
        old = two_workers(other)
        os.kill(old[0], signal.SIGKILL)
        young = two_workers(other, without=old[0])
        assert old[1] in young
        with connect(other) as client:
            assert len(Api(client).get(PATH)["items"]) == 12
    finally:
        assert other.stop("apiserver-2") == 0


def test_systemd_is_told_when_the_server_is_ready_alive_and_stopping(own: Cluster) -> None:
    own.stop("apiserver")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        address = str(own.folder / "notify")
        listener.bind(address)
        listener.settimeout(20)
        own.environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "60000000"}
        own.start_server()
        assert {listener.recv(100), listener.recv(100)} == {b"READY=1", b"WATCHDOG=1"}
        own.stop("apiserver")
        assert listener.recv(100) == b"STOPPING=1"
