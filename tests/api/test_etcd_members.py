"""Three etcd members and one server: what it promises when a member dies, stops, is cut off, and comes back."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import httpx
import pytest

from tests.api.cluster import Cluster
from tests.api.conftest import connect
from tests.api.http import Api
from tests.api.load import Load
from tests.api.trio import NAMES, Trio


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="cloudlet-members-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def trio(folder: Path) -> Iterator[Trio]:
    members = Trio(folder)
    try:
        members.start()
        yield members
    finally:
        members.close()


def server(trio: Trio, first: str) -> Cluster:
    """An API server whose own member is `first`."""
    made = Cluster(trio.folder, etcd_servers=trio.urls(first))
    made.start_server()
    return made


def readiness(client: httpx.Client, code: int, seconds: float = 20) -> bool:
    """Whether /readyz answers this code before long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if client.get("/readyz").status_code == code:
            return True
    return False


@pytest.mark.parametrize("local", ["leader", "follower"])
@pytest.mark.parametrize("fault", ["killed", "stopped", "cut off"])
def test_losing_the_leader_loses_no_write_and_no_event(trio: Trio, fault: str, local: str) -> None:
    leader = trio.leader()
    own = server(trio, leader if local == "leader" else next(name for name in NAMES if name != leader))
    try:
        with Load(lambda: connect(own)) as load:
            load.until()
            break_(trio, leader, fault)
            load.until()
            mend(trio, leader, fault)
            load.until(100)
    finally:
        own.stop("apiserver")


@pytest.mark.parametrize("fault", ["killed", "stopped", "cut off"])
def test_losing_the_member_that_the_server_talks_to_loses_no_write_and_no_event(trio: Trio, fault: str) -> None:
    member = next(name for name in NAMES if name != trio.leader())
    own = server(trio, member)
    try:
        with Load(lambda: connect(own)) as load:
            load.until()
            break_(trio, member, fault)
            load.until()
            mend(trio, member, fault)
            load.until(100)
    finally:
        own.stop("apiserver")


def break_(trio: Trio, member: str, fault: str) -> None:
    if fault == "killed":
        trio.kill(member)
    elif fault == "stopped":
        trio.send(member, SIGSTOP)
    else:
        trio.isolate(member)


def mend(trio: Trio, member: str, fault: str) -> None:
    if fault == "killed":
        trio.launch(member)
    elif fault == "stopped":
        trio.send(member, SIGCONT)
    else:
        trio.heal()
    trio.wait(member)


def test_a_watch_of_a_quiet_server_on_a_member_that_is_cut_off_goes_on_with_the_others_writes(trio: Trio) -> None:
    leader = trio.leader()
    member = next(name for name in NAMES if name != leader)
    own = server(trio, member)
    other = Cluster(trio.folder, etcd_servers=trio.url(leader), name="apiserver-2")
    other.start_server()
    path = "/api/v1/namespaces/default/configmaps"
    try:
        with connect(own) as client, connect(other) as writer, Api(client).watch(path, timeoutSeconds=60) as watch:
            for fault in ("cut off", "stopped"):
                break_(trio, member, fault)
                name = f"seen-{fault.replace(' ', '-')}"
                assert writer.post(path, json={"metadata": {"name": name}}).status_code == 201
                while watch.next()["object"]["metadata"]["name"] != name:
                    pass
                mend(trio, member, fault)
    finally:
        other.stop("apiserver-2")
        own.stop("apiserver")


def test_a_server_without_a_quorum_is_alive_not_ready_and_refuses_reads_in_bounded_time(trio: Trio) -> None:
    own = server(trio, "a")
    path = "/api/v1/namespaces/default/configmaps"
    try:
        with connect(own) as client:
            assert client.get("/readyz").status_code == 200
            trio.kill("b")
            trio.kill("c")
            assert readiness(client, 500) and client.get("/livez").status_code == 200
            started = time.monotonic()
            refused = client.get(path)
            assert refused.status_code in (503, 504) and refused.json()["kind"] == "Status"
            assert time.monotonic() - started < 12
            assert client.get(path, params={"resourceVersion": "0"}).status_code == 200
            trio.launch("b")
            assert readiness(client, 200)
            assert client.post(path, json={"metadata": {"name": "after"}}).status_code == 201
    finally:
        own.stop("apiserver")
