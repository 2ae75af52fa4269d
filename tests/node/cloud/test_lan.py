"""Two machines on a LAN that want to carry the load balancers: one does, the other takes over, never both."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from api.types import Object
from client import kubeconfig
from client.clock import RealClock
from client.command import Commands
from controllers.cloud.local.addresses import Addresses, BridgeAddresses, LanAddresses
from controllers.cloud.local.arp import GratuitousArp
from tests.api.cluster import ROOT, Cluster
from tests.api.conftest import connect
from tests.api.http import Api
from tests.node.proxy.daemon import inside, until
from tests.node.proxy.lab import Lab, sh, usable

pytestmark = pytest.mark.skipif(
    not (usable() and shutil.which("etcd") and shutil.which("haproxy")), reason="needs root, etcd and haproxy"
)
DEFAULT = "/api/v1/namespaces/default"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/cloud-controller-manager"
MERGE = {"Content-Type": "application/merge-patch+json"}
CLIENT, POOL, IP = "10.98.0.90", "10.98.0.200-10.98.0.209", "10.98.0.200"
LEASE_SECONDS = 12
# Twice the defaults: a busy machine of two cores must not look like a dead one.
TIMING = (f"--leader-elect-lease-duration={LEASE_SECONDS}s", "--leader-elect-renew-deadline=8s")


class Machine:
    """A network namespace on the lab's bridge with a `cloudlet-cloud` of its own."""

    def __init__(self, cluster: Cluster, number: int, stack: contextlib.ExitStack) -> None:
        self.cluster, self.number = cluster, number
        self.state, self.log = cluster.folder / f"cloud-{number}", cluster.folder / f"cloud-{number}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.ns = namespace(f"m{number}", f"10.98.0.{20 + number}", stack)
        stack.callback(self.close)

    @property
    def prefix(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.ns)

    def start(self) -> None:
        pki, path = self.cluster.pki, self.cluster.folder / f"cloud-{self.number}.kubeconfig"
        user = "cloud-controller-manager"
        cert, key = ((pki / f"{user}.{end}").read_bytes() for end in ("crt", "key"))
        server = f"https://{Lab.NODE}:{self.cluster.port}"
        kubeconfig.write(path, "test", [server], (pki / "ca.crt").read_bytes(), user=user, cert=cert, key=key)
        found = yaml.safe_load(path.read_text())
        found["clusters"][0]["cluster"]["tls-server-name"] = "localhost"  # the test's certificate is for that
        path.write_text(yaml.safe_dump(found))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.argv(path), stdout=log, stderr=log, cwd=ROOT)

    def argv(self, path: Path | None = None) -> list[str]:
        flags = (f"--state-dir={self.state}", f"--load-balancer-pool={POOL}", "--load-balancer-interface=eth0")
        more = (f"--kubeconfig={path}",) if path else ("--cleanup",)
        return [*self.prefix, sys.executable, "-m", "controllers.cloud", *flags, *TIMING, *more]

    def send(self, number: int) -> None:
        assert self.process
        self.process.send_signal(number)

    def end(self, number: int = signal.SIGTERM) -> None:
        if self.process:
            self.send(number)
            self.process.wait(20)
            self.process = None

    def has_address(self) -> bool:
        return f"inet {IP}/32" in sh(*self.prefix, "ip", "-4", "addr", "show", "dev", "eth0")

    def balancers(self) -> list[int]:
        """The HAProxy processes of this machine."""
        listed = sh("ip", "netns", "pids", self.ns).split()
        return [int(pid) for pid in listed if b"haproxy\0" in _words(int(pid))]

    def close(self) -> None:
        self.end(signal.SIGKILL)
        subprocess.run(self.argv(), check=True, timeout=60, cwd=ROOT)


def _words(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def namespace(device: str, address: str, stack: contextlib.ExitStack) -> str:
    """A new one with a cable to the lab's bridge; its name."""
    ns = f"lan{uuid.uuid4().hex[:6]}"
    sh("ip", "netns", "add", ns)
    stack.callback(sh, "ip", "netns", "del", ns)
    sh("ip", "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", ns)
    sh("ip", "link", "set", device, "master", "cloudlet0", "up")
    for words in (
        ("link", "set", "lo", "up"),
        ("addr", "add", f"{address}/24", "dev", "eth0"),
        ("link", "set", "eth0", "up"),
    ):
        sh("ip", "netns", "exec", ns, "ip", *words)
    return ns


class Lan:
    """The cluster, two machines and a client on one link."""

    def __init__(self, cluster: Cluster, stack: contextlib.ExitStack) -> None:
        self.client = namespace("client", CLIENT, stack)
        self.machines = [Machine(cluster, number, stack) for number in (1, 2)]

    def ask(self) -> str:
        """What a client on the LAN gets from the load balancer."""
        script = f"import socket; print(socket.create_connection(({IP!r}, 80), 1).recv(99).decode())"
        argv = ("ip", "netns", "exec", self.client, sys.executable, "-c", script)
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
        return done.stdout.strip()

    def leader(self) -> Machine:
        """The one machine that carries the address, once the client gets an answer."""
        until(lambda: self.ask().startswith("host "), LEASE_SECONDS + 15)
        (found,) = [machine for machine in self.machines if machine.has_address()]
        return found

    def other(self, machine: Machine) -> Machine:
        return self.machines[machine is self.machines[0]]

    def outage(self) -> float:
        """Seconds until the client gets an answer."""
        began = time.monotonic()
        until(lambda: self.ask().startswith("host "), LEASE_SECONDS + 15)
        return time.monotonic() - began


@pytest.fixture(scope="module")
def lan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lan]:
    with Lab(()) as lab, contextlib.ExitStack() as stack:
        cluster = Cluster(
            tmp_path_factory.mktemp("lan"), flags=("--bind-address=0.0.0.0", f"--advertise-address={lab.NODE}")
        )
        stack.enter_context(inside(lab))
        # A bridge has the lowest address of its ports otherwise, a new one whenever a cable is pulled.
        sh("ip", "link", "set", "cloudlet0", "address", "02:00:00:00:00:01")
        stack.callback(cluster.close)
        cluster.start()
        api = Api(stack.enter_context(connect(cluster)))
        api.post("/api/v1/nodes", {"metadata": {"name": "n1"}})
        ready = [{"type": "Ready", "status": "True", "reason": "x", "message": "x"}]
        status = {"addresses": [{"type": "InternalIP", "address": lab.NODE}], "conditions": ready}
        api.ask("PATCH", "/api/v1/nodes/n1/status", {"status": status}, headers=MERGE)
        body: Object = {"metadata": {"name": "web"}, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}}
        lab.serve(lab.HOST, api.post(f"{DEFAULT}/services", body)["spec"]["ports"][0]["nodePort"])
        lan = Lan(cluster, stack)
        for machine in lan.machines:
            machine.start()
        yield lan


@pytest.fixture(autouse=True)
def both_run(lan: Lan) -> None:
    for machine in lan.machines:
        if machine.process is None:
            machine.start()


def test_one_of_two_carries_the_address(lan: Lan) -> None:
    leader = lan.leader()
    assert leader.balancers()
    assert lan.other(leader).balancers() == []
    neighbours = sh("ip", "netns", "exec", lan.client, "ip", "neigh", "show", IP)
    assert hardware(leader) in neighbours


def hardware(machine: Machine) -> str:
    return sh(*machine.prefix, "cat", "/sys/class/net/eth0/address").strip()


def test_an_orderly_stop_hands_over_within_seconds(lan: Lan) -> None:
    leader = lan.leader()
    leader.end()
    assert not leader.has_address()
    assert leader.balancers() == []
    assert lan.outage() < 8
    assert lan.other(leader).has_address()


def test_a_daemon_that_is_killed_and_restarted_interrupts_nothing(lan: Lan) -> None:
    leader = lan.leader()
    before = leader.balancers()
    leader.end(signal.SIGKILL)
    assert lan.ask().startswith("host ")
    leader.start()
    deadline = time.monotonic() + LEASE_SECONDS + 3  # longer than the address would last by itself
    while time.monotonic() < deadline:
        assert lan.ask().startswith("host ")
    assert leader.balancers() == before
    assert not lan.other(leader).has_address()


def test_a_machine_that_hangs_loses_the_address_before_another_has_it(lan: Lan) -> None:
    leader = lan.leader()
    other = lan.other(leader)
    leader.send(signal.SIGSTOP)
    try:
        until(lambda: not leader.has_address() or other.has_address(), LEASE_SECONDS + 15)
        assert not other.has_address(), "never both"
        assert lan.outage() < LEASE_SECONDS + 5
        assert other.has_address()
    finally:
        leader.send(signal.SIGCONT)
    assert leader.process
    leader.process.wait(20)
    leader.process = None
    assert leader.balancers() == []
    assert not leader.has_address()
    assert hardware(other) in sh("ip", "netns", "exec", lan.client, "ip", "neigh", "show", IP)


def test_a_machine_that_is_cut_off_takes_everything_down(lan: Lan) -> None:
    leader = lan.leader()
    other = lan.other(leader)
    sh("ip", "link", "set", f"m{leader.number}", "nomaster")
    try:
        until(lambda: not leader.has_address(), LEASE_SECONDS + 5)
        assert not other.has_address(), "never both"
        assert leader.process
        leader.process.wait(20)
        leader.process = None
        assert leader.balancers() == []
        assert lan.outage() < LEASE_SECONDS + 5
    finally:
        sh("ip", "link", "set", f"m{leader.number}", "master", "cloudlet0")
    leader.start()
    until(lambda: other.has_address())
    assert lan.ask().startswith("host ")


def test_a_machine_that_comes_back_without_the_lease_takes_down_what_it_left(lan: Lan) -> None:
    leader = lan.leader()
    other = lan.other(leader)
    leader.end(signal.SIGKILL)
    assert leader.balancers()
    until(other.has_address, LEASE_SECONDS + 15)
    leader.start()
    until(lambda: leader.balancers() == [])
    assert not leader.has_address()
    assert lan.ask().startswith("host ")


@pytest.mark.parametrize("kind", ["bridge", "lan"])
async def test_addresses_keep_their_promises(kind: str) -> None:
    ns = f"lan{uuid.uuid4().hex[:6]}"
    sh("ip", "netns", "add", ns)
    try:
        commands = Commands(("ip", "netns", "exec", ns))
        sh(*commands.prefix, "ip", "link", "add", "cloudlet0", "type", "bridge")
        sh(*commands.prefix, "ip", "link", "set", "cloudlet0", "up")
        lan = LanAddresses(commands, "cloudlet0", lambda: 60, GratuitousArp(), RealClock())
        addresses: Addresses = lan if kind == "lan" else BridgeAddresses(commands)
        for _ in range(2):
            await addresses.add(IP)
        shown = await commands.run("ip", "-4", "addr", "show", "dev", "cloudlet0")
        assert shown.count(IP) == 1
        assert ("valid_lft forever" in shown) == (kind == "bridge")
        for _ in range(2):
            await addresses.remove(IP)
        assert IP not in await commands.run("ip", "-4", "addr")
    finally:
        sh("ip", "netns", "del", ns)
