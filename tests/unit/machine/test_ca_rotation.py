"""An authority is replaced step by step: a control plane's files, an API that is a dictionary, and servers that speak TLS."""

from __future__ import annotations

import datetime
import socketserver
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509

from api.errors import AlreadyExists, NotFound
from api.types import Object, Resource
from client import cluster_info, kubeconfig
from client.rest import ApiClient
from cloudctl.cluster.pairs import Pair, write_pair
from cloudctl.cluster.pki import Leaf, is_issued_by, new_authority, server_leaf
from cloudctl.cluster.state import ClusterError
from cloudctl.machine import certificates, discovery
from cloudctl.machine.certs import probes
from cloudctl.machine.certs.places import InOneFile
from cloudctl.machine.certs.rotation import Phase, Rotation
from cloudctl.machine.controlplane import ControlPlane
from cloudctl.machine.layout import Machine
from cloudctl.machine.settings import MachineSettings

LOOPBACK = "127.0.0.1"


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class Store:
    """As much of an API as the rotation needs."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        try:
            return self.objects[resource.plural, namespace or "", name]
        except KeyError:
            raise NotFound(f"{name} not found") from None

    async def list(self, resource: Resource) -> Object:
        return {"items": [obj for (plural, _, _), obj in self.objects.items() if plural == resource.plural]}

    async def create(self, resource: Resource, obj: Object) -> Object:
        key = resource.plural, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
        if key in self.objects:
            raise AlreadyExists(f"{key[2]} already exists")
        self.objects[key] = obj
        return obj

    async def update(self, resource: Resource, obj: Object) -> Object:
        self.objects[resource.plural, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]] = obj
        return obj

    async def patch(self, resource: Resource, name: str, patch: Object, namespace: str, **_: Any) -> Object:
        found = self.objects.setdefault((resource.plural, namespace, name), {"data": {}})
        found["data"] |= patch["data"]
        return found

    async def delete(self, resource: Resource, name: str, namespace: str) -> None:
        if self.objects.pop((resource.plural, namespace, name), None) is None:
            raise NotFound(f"{name} not found")

    @property
    def ca(self) -> bytes:
        """The bundle in cluster-info."""
        return cluster_info.parse(self.objects["configmaps", cluster_info.NAMESPACE, cluster_info.NAME]).ca


class Peer:
    """A TLS server that reads its files for each connection, as daemons do when they have changed."""

    def __init__(self, certificate: Path, key: Path, ca: Path) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(certificate, key)
                context.load_verify_locations(ca)
                context.verify_mode = ssl.CERT_OPTIONAL
                try:
                    with context.wrap_socket(self.request, server_side=True) as channel:
                        channel.recv(65536)
                        known = bool(channel.getpeercert())
                        status = b"200 OK" if known else b"401 Unauthorized"
                        channel.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
                except OSError:
                    return

        self._server = socketserver.ThreadingTCPServer((LOOPBACK, 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class World:
    """One control plane, one worker's kubelet, and the rotation between them."""

    def __init__(self, folder: Path) -> None:
        settings = MachineSettings(node_name="one", address=LOOPBACK)
        self.machine, self.store = Machine(settings, folder / "home", folder / "etc"), Store()
        pki = self.machine.pki
        write_pair(pki / "ca.crt", pki / "ca.key", new_authority("kubernetes", now() - datetime.timedelta(days=1)))
        certificates.ensure(self.machine, ["https://127.0.0.1:1"])
        self.server = Peer(pki / "apiserver.crt", pki / "apiserver.key", pki / "ca.crt")
        self._pair, self._ca = folder / "kubelet.pem", folder / "kubelet-ca.crt"
        self._ca.write_bytes((pki / "ca.crt").read_bytes())
        self._ask()
        self.kubelet = Peer(self._pair, self._pair, self._ca)
        info = cluster_info.ClusterInfo((f"https://{LOOPBACK}:{self.server.port}",), (pki / "ca.crt").read_bytes())
        self.store.objects["configmaps", cluster_info.NAMESPACE, cluster_info.NAME] = discovery.config_map(info)
        self.store.objects["nodes", "", "worker"] = {
            "metadata": {"name": "worker"},
            "status": {
                "addresses": [{"type": "InternalIP", "address": LOOPBACK}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": self.kubelet.port}},
            },
        }

    def rotation(self, machine: Machine | None = None, *, force: bool = False) -> Rotation:
        client, plane = cast(ApiClient, self.store), cast(ControlPlane, None)
        return Rotation(machine or self.machine, certificates.CA, client, plane, force)

    def kubelet_follows(self) -> None:
        """It takes the bundle from cluster-info, and asks for a new certificate when another authority signs."""
        self._ca.write_bytes(self.store.ca)
        first = x509.load_pem_x509_certificate(self.store.ca)
        held = InOneFile(self._pair).read()
        if held and not is_issued_by(held, first):
            self._ask()

    def _ask(self) -> None:
        authority = certificates.load_authority(self.machine, certificates.CA)
        pair = authority.issue(server_leaf("system:node:worker", (LOOPBACK,), ("system:nodes",)))
        InOneFile(self._pair).write(pair, b"")

    def bundle(self) -> list[x509.Certificate]:
        return x509.load_pem_x509_certificates((self.machine.pki / "ca.crt").read_bytes())

    def close(self) -> None:
        self.server.close()
        self.kubelet.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    try:
        yield made
    finally:
        made.close()


async def test_an_authority_is_replaced_in_three_steps(world: World) -> None:
    rotation, [old] = world.rotation(), world.bundle()
    assert rotation.phase() == Phase.NONE
    await rotation.start()
    assert rotation.phase() == Phase.STARTED
    [first, new] = world.bundle()
    assert first == old
    assert (
        world.store.ca
        == kubeconfig.load(world.machine.admin_kubeconfig).ca
        == (world.machine.pki / "ca.crt").read_bytes()
    )
    world.kubelet_follows()

    assert "finish" in await rotation.switch(now())
    assert rotation.phase() == Phase.SWITCHED
    assert world.bundle() == [new, old]
    assert certificates.load_authority(world.machine, "ca").certificate == new
    held = {one.name: one.place.read() for one in certificates.wanted(world.machine) if one.authority == "ca"}
    assert all(cert and is_issued_by(cert, new) for cert in held.values())
    world.kubelet_follows()

    await rotation.finish(now())
    assert rotation.phase() == Phase.NONE
    assert world.bundle() == x509.load_pem_x509_certificates(world.store.ca) == [new]
    assert not [key for key in world.store.objects if key[0] == "secrets"]


async def test_servers_that_extend_the_api_are_told_of_every_authority(world: World) -> None:
    await world.rotation().start()
    found = world.store.objects["configmaps", "kube-system", "extension-apiserver-authentication"]
    assert found["data"]["client-ca-file"].encode() == (world.machine.pki / "ca.crt").read_bytes()


async def test_every_step_may_be_repeated(world: World) -> None:
    rotation = world.rotation()
    await rotation.start()
    before = world.bundle()
    await rotation.start()
    assert world.bundle() == before
    world.kubelet_follows()
    await rotation.switch(now())
    await rotation.switch(now())
    world.kubelet_follows()
    await rotation.finish(now())
    await rotation.finish(now())
    assert world.bundle() == [before[1]]


async def test_nothing_switches_while_a_kubelet_does_not_trust_the_new_authority(world: World) -> None:
    rotation = world.rotation()
    await rotation.start()
    key = (world.machine.pki / "ca.key").read_bytes()
    with pytest.raises(ClusterError, match=r"do not trust the new authority yet:\n  kubelet of worker: "):
        await rotation.switch(now())
    assert (world.machine.pki / "ca.key").read_bytes() == key and rotation.phase() == Phase.STARTED
    await world.rotation(force=True).switch(now())
    assert world.rotation().phase() == Phase.SWITCHED


async def test_the_old_authority_is_trusted_while_a_kubelet_serves_by_it(world: World) -> None:
    rotation = world.rotation()
    await rotation.start()
    world.kubelet_follows()
    await rotation.switch(now())
    with pytest.raises(ClusterError, match=r"kubelet of worker: its certificate is of another authority"):
        await rotation.finish(now())
    assert len(world.bundle()) == 2


async def test_steps_out_of_order_say_which_comes_first(world: World) -> None:
    rotation = world.rotation()
    with pytest.raises(ClusterError, match="rotate-ca start"):
        await rotation.switch(now())
    await rotation.start()
    with pytest.raises(ClusterError, match="rotate-ca switch"):
        await rotation.finish(now())
    world.kubelet_follows()
    await rotation.switch(now())
    with pytest.raises(ClusterError, match="rotate-ca finish"):
        await rotation.start()


def joined(world: World, folder: Path) -> Machine:
    """A further control plane, with what the first one shares."""
    second = Machine(world.machine.settings.model_copy(update={"node_name": "two"}), folder / "two", folder / "etc2")
    for name in certificates.SHARED:
        (second.pki / name).parent.mkdir(parents=True, exist_ok=True)
        (second.pki / name).write_bytes((world.machine.pki / name).read_bytes())
    certificates.ensure(second, ["https://127.0.0.1:1"])
    return second


async def test_every_control_plane_follows_the_same_authority(world: World, tmp_path: Path) -> None:
    second = joined(world, tmp_path)
    await world.rotation().start()
    await world.rotation(second).start()
    assert (second.pki / "ca.crt").read_bytes() == (world.machine.pki / "ca.crt").read_bytes()
    world.kubelet_follows()
    await world.rotation().switch(now())
    await world.rotation(second).switch(now())
    assert (second.pki / "ca.key").read_bytes() == (world.machine.pki / "ca.key").read_bytes()


async def test_a_control_plane_that_joins_meanwhile_takes_part(world: World, tmp_path: Path) -> None:
    await world.rotation().start()
    second = joined(world, tmp_path)
    assert world.rotation(second).phase() == Phase.STARTED
    world.kubelet_follows()
    await world.rotation(second).switch(now())
    assert world.rotation(second).phase() == Phase.SWITCHED
    assert certificates.load_authority(second, "ca").certificate == world.bundle()[1]


async def test_the_next_authority_is_read_by_control_planes_of_this_cluster_alone(world: World, tmp_path: Path) -> None:
    await world.rotation().start()
    stranger = Machine(world.machine.settings, tmp_path / "other", tmp_path / "etc2")
    certificates.ensure(stranger, ["https://127.0.0.1:1"])
    secret = str(world.store.objects["secrets", "kube-system", "cloudlet-next-ca"])
    assert "PRIVATE" not in secret
    with pytest.raises(ClusterError, match="is not from a control plane with this machine"):
        await world.rotation(stranger).start()


async def test_an_identity_of_nobody_is_told_apart_from_one_that_is_known(world: World) -> None:
    authority = certificates.load_authority(world.machine, certificates.CA)
    where = [probes.Port("peer", f"https://{LOOPBACK}:{world.server.port}", "/")]
    known = authority.issue(Leaf("x"))
    assert await probes.distrusting(where, authority.bundle, known) == []
    assert await probes.distrusting(where, authority.bundle, Pair(b"", b""))
    assert await probes.not_serving(where, authority.bundle, known) == []
    world.server.close()
    assert await probes.not_serving(where, authority.bundle, known)
