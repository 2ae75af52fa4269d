"""Kubeconfigs whose certificates, tokens and servers change while a client uses them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from structlog.testing import capture_logs

from api import resources
from api.types import Object
from client import kubeconfig
from client.clock import FakeClock
from client.credentials import Credentials
from client.kubeconfig import KubeconfigError
from client.rest import ApiClient
from tests.unit.client.servers import Servers


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    made = Servers(tmp_path)
    yield made
    made.stop()


class Folder:
    """A kubeconfig that refers to a CA, a token and a file with certificate and key beside it."""

    def __init__(self, path: Path, servers: Servers, *addresses: str) -> None:
        self.path, self.servers = path / "config", servers
        self.replace("ca.pem", servers.authority.bundle)
        self.replace("token", b"first\n")
        self.identity("alice")
        self.addresses(*(addresses or ("https://one:1",)))

    def replace(self, name: str, data: bytes) -> None:
        """As rotation does it: a new file takes the place of the old one."""
        new = self.path.with_name(f"{name}.new")
        new.write_bytes(data)
        new.replace(self.path.with_name(name))

    def identity(self, name: str) -> None:
        pair = self.servers.client(name)
        self.replace("current.pem", pair.cert + pair.key)

    def addresses(self, *servers: str, **user: str) -> None:
        extension = {"name": kubeconfig.SERVERS_EXTENSION, "extension": {"servers": list(servers)}}
        cluster = {"server": servers[0], "certificate-authority": "ca.pem", "extensions": [extension]}
        pem = {"client-certificate": "current.pem", "client-key": "current.pem", "tokenFile": "token"}
        config = {
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": pem | user}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        self.replace("config", yaml.safe_dump(config).encode())


@pytest.fixture
def folder(tmp_path: Path, servers: Servers) -> Folder:
    return Folder(tmp_path, servers)


@pytest.mark.parametrize("change", ["ca.pem", "token", "current.pem", "config"])
async def test_every_file_is_followed(folder: Folder, clock: FakeClock, change: str) -> None:
    made = Credentials(folder.path, clock=clock)
    before = made.current()
    if change == "config":
        folder.addresses("https://two:1")
    elif change == "current.pem":
        folder.identity("bob")
    else:
        folder.replace(change, folder.servers.authority.bundle * 2 if change == "ca.pem" else b"second")
    assert made.current() is before, "the files are looked at once a second"
    await clock.advance(1)
    assert made.current() != before


async def test_what_has_not_changed_is_the_same_object(folder: Folder, clock: FakeClock) -> None:
    made = Credentials(folder.path, clock=clock)
    before = made.current()
    await clock.advance(60)
    assert made.current() is before


async def test_a_file_that_is_broken_for_a_while_is_named_once_and_the_old_one_is_used(
    folder: Folder, clock: FakeClock
) -> None:
    made = Credentials(folder.path, clock=clock)
    before = made.current()
    folder.replace("config", b"{")
    with capture_logs() as logs:
        for _ in range(5):
            await clock.advance(1)
            assert made.current() is before
        folder.path.unlink()
        await clock.advance(1)
        assert made.current() is before
        folder.addresses("https://two:1")
        await clock.advance(1)
        assert made.current().servers == ["https://two:1"]
    assert [entry["log_level"] for entry in logs] == ["warning", "warning", "info"]
    assert "not YAML" in logs[0]["error"]


async def test_a_certificate_waits_for_its_key(folder: Folder, clock: FakeClock) -> None:
    alice, bob = folder.servers.client("alice"), folder.servers.client("bob")
    folder.replace("cert", alice.cert)
    folder.replace("key", alice.key)
    folder.addresses("https://one:1", **{"client-certificate": "cert", "client-key": "key"})
    made = Credentials(folder.path, clock=clock)
    folder.replace("cert", bob.cert)
    await clock.advance(1)
    assert made.current().cert == alice.cert
    folder.replace("key", bob.key)
    await clock.advance(1)
    assert (made.current().cert, made.current().key) == (bob.cert, bob.key)


def test_a_file_that_is_of_no_use_to_begin_with_is_refused(folder: Folder) -> None:
    folder.replace("current.pem", folder.servers.client("alice").cert)
    with pytest.raises(KubeconfigError, match="client-certificate and client-key"):
        Credentials(folder.path)
    folder.identity("alice")
    folder.replace("ca.pem", b"none")
    with pytest.raises(KubeconfigError, match="certificate-authority"):
        Credentials(folder.path)


async def test_a_client_shows_the_new_certificate_and_a_running_watch_goes_on(
    tmp_path: Path, servers: Servers, clock: FakeClock
) -> None:
    one = servers.start("one")
    folder = Folder(tmp_path, servers, one.url)
    async with ApiClient(Credentials(folder.path, clock=clock)) as client, asyncio.timeout(15):
        watch = client.watch(resources.PODS, "ns")
        assert user(await anext(watch)) == "alice"
        assert await answered(client) == ("one", "alice")
        folder.identity("bob")
        await clock.advance(1)
        assert await answered(client) == ("one", "bob")
        going_on = asyncio.ensure_future(anext(watch))
        await asyncio.wait((going_on,), timeout=0.1)
        assert not going_on.done()
        going_on.cancel()
        await asyncio.gather(going_on, return_exceptions=True)
        await watch.aclose()
        await one.has_connections(1)  # the new identity's


async def test_a_client_follows_the_list_of_servers(tmp_path: Path, servers: Servers, clock: FakeClock) -> None:
    one, two = servers.start("one"), servers.start("two")
    folder = Folder(tmp_path, servers, one.url)
    async with ApiClient(Credentials(folder.path, clock=clock)) as client, asyncio.timeout(15):
        assert await answered(client) == ("one", "alice")
        folder.addresses(two.url)
        await clock.advance(1)
        assert await answered(client) == ("two", "alice")
        await one.has_connections(0)


def user(event: Object) -> str:
    return str(event["object"]["metadata"]["labels"]["user"])


async def answered(client: ApiClient) -> tuple[str, str]:
    """Which server answered, and whom it took us for."""
    labels = (await client.get(resources.PODS, "a", "ns"))["metadata"]["labels"]
    return labels["server"], labels["user"]
