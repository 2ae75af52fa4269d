"""Several servers on one etcd: beginning together, stopping in order, restarting under load without a failed request."""

import asyncio
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from signal import SIGTERM

import httpx
import pytest

from api import resources
from client import kubeconfig
from client.rest import ApiClient
from tests.api.cluster import Cluster
from tests.api.conftest import connect
from tests.api.http import Api
from tests.api.objects import configmap

PATH = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def own() -> Iterator[Cluster]:
    """An etcd of the test's own, without a server."""
    folder = Path(tempfile.mkdtemp(prefix="cloudlet-stopping-"))
    cluster = Cluster(folder)
    try:
        cluster.start_etcd()
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(folder, ignore_errors=True)


def another(own: Cluster, name: str, *flags: str) -> Cluster:
    return Cluster(own.folder, etcd_port=own.etcd_port, flags=flags, name=name)


def test_servers_that_begin_together_on_an_empty_etcd_agree(own: Cluster) -> None:
    servers = [another(own, f"apiserver-{number}") for number in range(3)]
    starters = [threading.Thread(target=server.start_server) for server in servers]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join(60)
    try:
        for server in servers:
            with connect(server) as client:
                api = Api(client)
                names = {each["metadata"]["name"] for each in api.get("/api/v1/namespaces")["items"]}
                assert {"default", "kube-system", "kube-public", "kube-node-lease"} <= names
                assert api.get("/api/v1/namespaces/default/services/kubernetes")["spec"]["clusterIP"] == "10.96.0.1"
                assert addresses(api, {server.port for server in servers})
        assert not any("failed" in (own.folder / f"{server.name}.log").read_text() for server in servers)
        gone, *rest = servers
        gone.stop(gone.name)
        with connect(rest[0]) as client:
            assert addresses(Api(client), {server.port for server in rest})
    finally:
        for server in servers:
            if server.processes:
                server.stop(server.name)


def addresses(api: Api, ports: set[int], seconds: float = 30) -> bool:
    """Whether the endpoints of default/kubernetes, by both APIs, come to be these ports."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        subsets = api.get("/api/v1/namespaces/default/endpoints/kubernetes")["subsets"]
        selector = "kubernetes.io/service-name=kubernetes"
        path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
        slices = api.get(path, labelSelector=selector)["items"]
        found = {port["port"] for subset in subsets for port in subset["ports"]}
        if found == {port["port"] for each in slices for port in each["ports"]} == ports:
            return True
    return False


def test_a_server_that_stops_answers_on_open_connections_and_ends_them_in_order(own: Cluster) -> None:
    own.start_server()
    with connect(own) as client, connect(own) as watcher, Api(watcher).watch(PATH, timeoutSeconds=600) as watch:
        assert client.get(PATH).headers.get("connection") is None
        own.processes["apiserver"].send_signal(SIGTERM)
        began = time.monotonic()
        watch.until_end()
        answer = client.post(PATH, json=configmap("late"))
        assert answer.status_code == 201 and answer.headers["connection"] == "close"
        with pytest.raises(httpx.ConnectError):
            client.get(PATH)
        assert own.stop("apiserver") == 0
        assert time.monotonic() - began < 10


def test_a_request_that_meets_the_end_of_an_idle_connection_is_told_that_it_was_not_carried_out(own: Cluster) -> None:
    own.start_server()
    with connect(own) as client:
        client.get(PATH)
        stream = client._transport._pool._connections[0]._connection._network_stream  # type: ignore[attr-defined]
        own.stop("apiserver")
        words = stream.read(65536, timeout=5)
    assert words.startswith(b"HTTP/1.1 503 ") and b"connection: close" in words and b"retry-after: 1" in words


def test_with_a_delay_the_server_is_not_ready_and_serves_on(own: Cluster) -> None:
    own.flags = ("--shutdown-delay-duration=3s",)
    own.start_server()
    with connect(own) as watcher, Api(watcher).watch(PATH, timeoutSeconds=600) as watch:
        own.processes["apiserver"].send_signal(SIGTERM)
        code = 200
        while code == 200:
            with connect(own) as client:
                code = client.get("/readyz").status_code
        assert code == 500
        with connect(own) as client:
            assert client.get("/livez").status_code == 200
            Api(client).post(PATH, configmap("during"))
        assert ("ADDED", "during") in [
            (event["type"], event["object"]["metadata"]["name"]) for event in watch.until_end()
        ]
    assert own.stop("apiserver") == 0


async def test_clients_of_two_servers_see_no_failed_request_while_each_is_restarted(own: Cluster) -> None:
    servers = [another(own, "apiserver-1"), another(own, "apiserver-2")]
    for server in servers:
        await asyncio.to_thread(server.start_server)
    path = own.folder / "both.kubeconfig"
    pki = own.pki
    kubeconfig.write(
        path, "test", [server.url for server in servers], pki.joinpath("ca.crt").read_bytes(),
        user="admin", cert=pki.joinpath("admin.crt").read_bytes(), key=pki.joinpath("admin.key").read_bytes(),
    )  # fmt: skip
    stop, moved = asyncio.Event(), asyncio.Event()
    done: dict[int, int] = {}

    async def work(number: int, pause: float) -> None:
        """Create and read again and again, with a pause between, so that connections are idle for various times."""
        async with ApiClient.from_kubeconfig(path, f"client-{number}") as client:
            count = 0
            while not stop.is_set():
                name = f"c-{number}-{count}"
                await client.create(resources.CONFIGMAPS, {"metadata": {"name": name, "namespace": "default"}})
                await client.get(resources.CONFIGMAPS, name, "default")
                count = done[number] = count + 1
                moved.set()
                try:
                    async with asyncio.timeout(pause):
                        await stop.wait()
                except TimeoutError:
                    continue

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(8):
                group.create_task(work(number, number * 0.15))
            for _ in range(2):
                for server in servers:
                    before = dict(done)
                    assert await asyncio.to_thread(server.stop, server.name) == 0
                    async with asyncio.timeout(30):
                        while any(done.get(number, 0) <= before.get(number, 0) for number in range(8)):
                            moved.clear()
                            await moved.wait()
                    await asyncio.to_thread(server.start_server)
            stop.set()
    finally:
        for server in servers:
            if server.processes:
                await asyncio.to_thread(server.stop, server.name)
