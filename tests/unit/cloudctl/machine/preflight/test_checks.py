"""What each check says of which machine, and which remedy it names."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client.command import CommandError
from cloudctl.machine.preflight import CHECKS, Finding, Level, Request, run
from cloudctl.machine.preflight.checks import system
from cloudctl.machine.preflight.probe import Answer, Space
from cloudctl.machine.settings import Role
from tests.unit.cloudctl.machine.preflight.fake import (
    ADDRESS,
    GIB,
    NOON,
    SERVER,
    FakeMachine,
    default_via,
    link,
    sockets,
)

Change = Callable[[FakeMachine], object]
WORKER = Request(role=Role.WORKER)
FIRST = Request()
JOINING = Request(server=f"{SERVER}:6443")
MIB = 1 << 20


@pytest.fixture(autouse=True)
def no_local_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine that the tests run on may well have one."""
    monkeypatch.setattr(system, "running_elsewhere", lambda cluster: "")


async def findings(machine: FakeMachine, request: Request, name: str) -> list[Finding]:
    return [finding for finding in await run(request, machine) if finding.name == name]


def file(path: str, text: str = "") -> Change:
    return lambda machine: machine.files.__setitem__(path, text)


def without(path: str) -> Change:
    return lambda machine: machine.files.pop(path)


def has(**values: Any) -> Change:
    def change(machine: FakeMachine) -> None:
        for name, value in values.items():
            setattr(machine, name, value)

    return change


def docker(**values: Any) -> Change:
    def change(machine: FakeMachine) -> None:
        assert isinstance(machine.docker, dict)
        machine.docker.update(values)

    return change


def fails(line: str, code: int | None = 1, stderr: str = "no") -> Change:
    return lambda machine: machine.commands.__setitem__(line, CommandError(line.split(), code, stderr))


def prints(line: str, text: str) -> Change:
    return lambda machine: machine.commands.__setitem__(line, text)


def both(*changes: Change) -> Change:
    return lambda machine: [change(machine) for change in changes]


@pytest.mark.parametrize("request_", [FIRST, JOINING, WORKER, dataclasses.replace(JOINING, role=Role.WORKER)])
async def test_a_machine_on_which_all_is_well_has_only_good_findings(request_: Request) -> None:
    found = await run(request_, FakeMachine())
    assert [f for f in found if f.level != Level.OK] == []
    server = {"Server", "ServerRoute", "ServerEtcd", "ClockOffset"} if not request_.server else set()
    expected = {check.name for check in CHECKS if request_.role in check.roles} - server - {"VirtualIp"}
    assert {f.name for f in found} == expected


# request, what is different, check, level, words of what is wrong and of the remedy
CASES: list[tuple[Request, Change, str, Level, list[str]]] = [
    (FIRST, has(is_root=False), "Root", Level.ERROR, ["sudo"]),
    (FIRST, has(is_root=False), "Nftables", Level.WARNING, ["only root"]),
    (FIRST, without("/run/systemd/system"), "Systemd", Level.ERROR, ["does not run", "cloudctl up"]),
    (FIRST, file("/var/lib/cloudlet/pki/ca.crt"), "ExistingCluster", Level.ERROR, ["pki/ca.crt", "cloudctl reset"]),
    (
        FIRST,
        both(file("/etc/cloudlet/kubelet.env"), file("/var/lib/cloudlet/kubelet.kubeconfig")),
        "ExistingCluster",
        Level.ERROR,
        ["kubelet.kubeconfig and 1 more"],
    ),
    (FIRST, file("/var/lib/cloudlet/kubelet/pods/a"), "ExistingCluster", Level.OK, ["no cluster"]),
    (FIRST, file("/etc/rancher/k3s/k3s.yaml"), "OtherKubernetes", Level.WARNING, ["k3s", "k3s-uninstall.sh"]),
    (
        FIRST,
        has(missing={"nft", "etcdctl"}),
        "Programs",
        Level.ERROR,
        ["nft, etcdctl", "apt-get install etcd-client nftables"],
    ),
    (WORKER, has(missing={"etcd", "haproxy"}), "Programs", Level.OK, []),
    (
        FIRST,
        prints("etcd --version", "etcd Version: 3.3.25\n"),
        "EtcdVersion",
        Level.ERROR,
        ["3.3.25", "older than 3.4"],
    ),
    (FIRST, prints("etcd --version", "what?"), "EtcdVersion", Level.WARNING, ["cannot be seen"]),
    (
        FIRST,
        both(file("/proc/filesystems", "\text4\n"), fails("modprobe --dry-run --quiet overlay")),
        "Overlayfs",
        Level.WARNING,
        ["modprobe overlay"],
    ),
    (FIRST, file("/proc/filesystems", "\text4\n"), "Overlayfs", Level.OK, []),
    (
        FIRST,
        fails("unshare --net ip", 1, "Error: Unknown device type."),
        "Bridges",
        Level.ERROR,
        ["Unknown device type"],
    ),
    (FIRST, fails("unshare --net nft", 1, "Could not process rule"), "Nftables", Level.ERROR, ["do not work"]),
    (FIRST, fails("unshare --net nft", 1, "unshare: unshare failed"), "Nftables", Level.WARNING, ["cannot be tried"]),
    (FIRST, has(missing={"unshare"}), "Bridges", Level.WARNING, ["cannot be tried", "util-linux"]),
    (
        FIRST,
        both(without("/proc/sys/net/bridge/bridge-nf-call-iptables"), fails("modprobe --dry-run --quiet br_netfilter")),
        "BridgeNetfilter",
        Level.ERROR,
        ["modprobe br_netfilter"],
    ),
    (FIRST, without("/proc/sys/net/bridge/bridge-nf-call-iptables"), "BridgeNetfilter", Level.OK, ["can be loaded"]),
    (
        FIRST,
        has(read_only={"/proc/sys/net/bridge/bridge-nf-call-iptables"}),
        "BridgeNetfilter",
        Level.ERROR,
        ["read-only", "sysctl -w net.bridge.bridge-nf-call-iptables=1"],
    ),
    (
        FIRST,
        has(read_only={"/proc/sys/net/ipv4/ip_forward"}),
        "IpForward",
        Level.ERROR,
        ["sysctl -w net.ipv4.ip_forward=1"],
    ),
    (
        FIRST,
        both(has(read_only={"/proc/sys/net/ipv4/ip_forward"}), file("/proc/sys/net/ipv4/ip_forward", "1\n")),
        "IpForward",
        Level.OK,
        [],
    ),
    (
        FIRST,
        file("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io pids\n"),
        "Cgroups",
        Level.ERROR,
        ["v2", "memory", "cgroup_enable=memory"],
    ),
    (
        FIRST,
        file(
            "/proc/self/mounts",
            "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu,cpuacct 0 0\ncgroup /m cgroup rw,memory 0 0\ncgroup /p cgroup rw,pids 0 0\n",
        ),
        "Cgroups",
        Level.OK,
        ["cgroup v1 with cpu, memory, pids"],
    ),
    (
        FIRST,
        file("/proc/self/mounts", "cgroup /c cgroup rw,cpu 0 0\ncgroup /m cgroup rw,memory 0 0\n"),
        "Cgroups",
        Level.ERROR,
        ["v1", "pids"],
    ),
    (
        FIRST,
        both(without("/dev/loop-control"), fails("modprobe --dry-run --quiet loop")),
        "LoopDevices",
        Level.WARNING,
        ["/dev/loop-control"],
    ),
    (
        FIRST,
        has(docker=FileNotFoundError(2, "no")),
        "Docker",
        Level.ERROR,
        ["not running", "systemctl enable --now docker"],
    ),
    (
        FIRST,
        has(docker=ConnectionRefusedError(111, "Connection refused")),
        "Docker",
        Level.ERROR,
        ["does not answer", "Connection refused"],
    ),
    (
        FIRST,
        has(docker=FileNotFoundError(2, "no"), missing={"dockerd"}),
        "Docker",
        Level.ERROR,
        ["not installed", "apt-get install docker.io"],
    ),
    (FIRST, has(docker=TimeoutError()), "Docker", Level.WARNING, ["within 2 s", "journalctl -u docker"]),
    (FIRST, docker(ServerVersion="19.03.8"), "DockerVersion", Level.ERROR, ["19.03.8", "older than 20.10"]),
    (FIRST, docker(ServerVersion="20.10.24+dfsg1"), "DockerVersion", Level.OK, []),
    (FIRST, docker(ServerVersion="29.1.0"), "DockerVersion", Level.OK, []),
    (FIRST, docker(SecurityOptions=["name=rootless"]), "DockerSetup", Level.ERROR, ["rootless"]),
    (FIRST, docker(DockerRootDir="/var/snap/docker/common/x"), "DockerSetup", Level.ERROR, ["snap remove docker"]),
    (FIRST, docker(Driver="vfs"), "DockerStorage", Level.WARNING, ["vfs", "overlay2"]),
    (FIRST, docker(Driver="overlayfs"), "DockerStorage", Level.OK, []),
    (FIRST, docker(MemoryLimit=False), "DockerLimits", Level.ERROR, ["cannot limit memory"]),
    (FIRST, docker(CgroupDriver="none"), "DockerLimits", Level.ERROR, ["memory, CPU, processes"]),
    (FIRST, docker(CgroupDriver="cgroupfs"), "DockerCgroupDriver", Level.WARNING, ["native.cgroupdriver=systemd"]),
    (
        FIRST,
        both(docker(CgroupDriver="cgroupfs"), file("/proc/self/mounts", "cgroup /c cgroup rw,cpu 0 0\n")),
        "DockerCgroupDriver",
        Level.OK,
        ["v1"],
    ),
    (FIRST, fails("systemctl is-enabled"), "DockerAtBoot", Level.WARNING, ["systemctl enable docker"]),
    (FIRST, fails("systemctl is-enabled --quiet docker.service"), "DockerAtBoot", Level.OK, ["docker.socket"]),
    (
        FIRST,
        both(
            file("/proc/net/tcp", sockets(("0100007F:094B", "0A"))),
            prints("ss ", 'LISTEN 0 4096 127.0.0.1:2379 0.0.0.0:* users:(("etcd",pid=417,fd=8))\n'),
        ),
        "Ports",
        Level.ERROR,
        ["port 2379 of the etcd is taken by etcd (pid 417)", "systemctl disable --now etcd"],
    ),
    (
        FIRST,
        both(file("/proc/net/tcp6", sockets(("0" * 32 + ":192B", "0A"))), fails("ss ")),
        "Ports",
        Level.ERROR,
        ["port 6443 of the API server is taken by another program"],
    ),
    (FIRST, file("/proc/net/tcp", sockets(("0100007F:094B", "01"))), "Ports", Level.OK, []),
    (WORKER, file("/proc/net/tcp", sockets(("0100007F:094B", "0A"))), "Ports", Level.OK, ["10250"]),
    (
        FIRST,
        file("/proc/net/udp", sockets(("00000000:0035", "07"))),
        "DnsPort",
        Level.WARNING,
        ["udp", "bind-interfaces"],
    ),
    (FIRST, file("/proc/net/tcp6", sockets(("0" * 32 + ":0035", "0A"))), "DnsPort", Level.WARNING, ["tcp"]),
    (FIRST, file("/proc/net/udp", sockets(("0A00600A:0035", "07"))), "DnsPort", Level.OK, []),
    (JOINING, has(connections={}), "Server", Level.ERROR, ["refuses connections", f"nc -vz {SERVER} 6443"]),
    (JOINING, has(connections={(SERVER, 6443): TimeoutError()}), "Server", Level.ERROR, ["firewall drops"]),
    (JOINING, has(connections={(SERVER, 6443): socket.gaierror(-2, "no")}), "Server", Level.ERROR, ["resolves"]),
    (JOINING, has(connections={(SERVER, 6443): OSError(113, "No route to host")}), "Server", Level.ERROR, ["No route"]),
    (JOINING, has(answers={(SERVER, 6443): TimeoutError()}), "Server", Level.ERROR, ["does not answer HTTPS", "MTU"]),
    (JOINING, has(answers={(SERVER, 6443): OSError(1, "wrong")}), "Server", Level.ERROR, ["is no API server"]),
    (
        JOINING,
        has(connections={(SERVER, 6443): "192.168.56.11"}),
        "ServerRoute",
        Level.WARNING,
        [f"announce {ADDRESS}", "--address 192.168.56.11"],
    ),
    (JOINING, has(connections={(SERVER, 6443): "127.0.0.1"}), "ServerRoute", Level.OK, []),
    (JOINING, has(connections={(SERVER, 6443): ADDRESS}), "ServerEtcd", Level.WARNING, ["2380", "2379"]),
    (
        JOINING,
        has(answers={(SERVER, 6443): Answer(NOON, NOON + 5.4, NOON + 5.6)}),
        "ClockOffset",
        Level.WARNING,
        ["5 s ahead"],
    ),
    (
        JOINING,
        has(answers={(SERVER, 6443): Answer(NOON + 7200, NOON, NOON + 1)}),
        "ClockOffset",
        Level.ERROR,
        ["7200 s behind", "timedatectl set-ntp true"],
    ),
    (
        JOINING,
        has(answers={(SERVER, 6443): Answer(None, NOON, NOON)}),
        "ClockOffset",
        Level.WARNING,
        ["not tell its time"],
    ),
    (FIRST, has(synchronised=False), "ClockSync", Level.WARNING, ["not synchronised", "chrony"]),
    (
        FIRST,
        both(has(synchronised=False), file("/run/systemd/container", "docker")),
        "ClockSync",
        Level.OK,
        ["container"],
    ),
    (FIRST, has(times=[0.001] * 197 + [0.012] * 3), "FsyncLatency", Level.WARNING, ["12.0 ms, not 10", "SSD"]),
    (FIRST, has(times=[0.001] * 198 + [0.5] * 2), "FsyncLatency", Level.OK, ["1.0 ms"]),
    (
        FIRST,
        has(spaces={"/": Space(40 * GIB, 3 * GIB)}),
        "FreeSpace",
        Level.WARNING,
        ["3.0 GiB free", "5.0 GiB are advisable"],
    ),
    (FIRST, has(spaces={"/": Space(40 * GIB, 100 * MIB)}), "FreeSpace", Level.ERROR, ["100 MiB free", "512 MiB"]),
    (WORKER, has(spaces={"/": Space(400 * GIB, 10 * GIB)}), "FreeSpace", Level.ERROR, ["DiskPressure"]),
    (
        FIRST,
        lambda machine: machine.spaces.__setitem__("/var/lib/docker", Space(9 * GIB, 8 * GIB, 1000, 3)),
        "FreeSpace",
        Level.WARNING,
        ["/var/lib/docker: 3 of 1000 inodes"],
    ),
    (
        FIRST,
        file("/proc/self/mounts", "a / ext4 rw 0 0\nb /var/lib nfs4 rw 0 0\n"),
        "DataFilesystem",
        Level.WARNING,
        ["nfs4"],
    ),
    (FIRST, file("/proc/self/mounts", "a / tmpfs rw 0 0\n"), "DataFilesystem", Level.WARNING, ["in memory"]),
    (FIRST, file("/proc/self/mounts", "a / overlay rw 0 0\nb /var/li tmpfs rw 0 0\n"), "DataFilesystem", Level.OK, []),
    (FIRST, file("/proc/meminfo", "MemAvailable: 600000 kB\n"), "Memory", Level.WARNING, ["586 MiB", "1024"]),
    (WORKER, file("/proc/meminfo", "MemAvailable: 600000 kB\n"), "Memory", Level.OK, []),
    (FIRST, file("/proc/meminfo", "MemAvailable: 100000 kB\n"), "Memory", Level.ERROR, ["at least 256"]),
    (FIRST, has(processors=1), "Cores", Level.WARNING, ["one processor"]),
    (
        FIRST,
        file("/proc/swaps", "Filename\n/dev/vda2 partition 1 0 -2\n"),
        "Swap",
        Level.WARNING,
        ["/dev/vda2", "swapoff -a"],
    ),
    (
        FIRST,
        file("/proc/sys/fs/inotify/max_user_instances", "128\n"),
        "Inotify",
        Level.WARNING,
        ["is 128", "sysctl -w fs.inotify.max_user_instances=512"],
    ),
    (FIRST, has(name="localhost", names={}), "NodeName", Level.ERROR, ["'localhost'", "hostnamectl set-hostname"]),
    (FIRST, has(name="my_vm"), "NodeName", Level.ERROR, ["'my_vm'", "RFC 1123"]),
    (FIRST, has(name="VM-1.Example.COM"), "NodeName", Level.OK, ["vm-1.example.com"]),
    (Request(node_name="-a"), has(), "NodeName", Level.ERROR, ["'-a'"]),
    (Request(node_name="a" * 64), has(), "NodeName", Level.ERROR, ["RFC 1123"]),
    (FIRST, has(names={}), "HostnameResolves", Level.WARNING, ["does not resolve", "/etc/hosts"]),
    (
        FIRST,
        has(names={"vm-1": ["203.0.113.5"]}),
        "HostnameResolves",
        Level.WARNING,
        ["203.0.113.5", "not this machine"],
    ),
    (FIRST, has(names={"vm-1": [ADDRESS, "fd00::2"]}), "HostnameResolves", Level.OK, []),
    (FIRST, has(source=""), "Address", Level.ERROR, ["no default route", "--address"]),
    (Request(address="192.0.2.99"), has(), "Address", Level.ERROR, ["192.0.2.99", f"{ADDRESS} (eth0)"]),
    (Request(address=ADDRESS), has(source=""), "Address", Level.OK, [ADDRESS]),
    (FIRST, has(source="127.0.0.1"), "Address", Level.ERROR, ["cannot be reached"]),
    (FIRST, has(source="10.0.2.15", links=[link("eth0", "10.0.2.15")]), "Address", Level.WARNING, ["VirtualBox"]),
    (
        FIRST,
        has(routes=[default_via("eth0", 100), default_via("eth1", 100), default_via("eth2", 600)]),
        "Address",
        Level.WARNING,
        ["eth0, eth1 are equally good", "--address"],
    ),
    (FIRST, has(routes=[default_via("eth0"), default_via("eth1", 100)]), "Address", Level.OK, []),
    (
        Request(address=ADDRESS),
        has(routes=[default_via("eth0"), default_via("eth1")]),
        "Address",
        Level.OK,
        [],
    ),
    (FIRST, has(routes=[{"dst": "10.0.0.0/8", "dev": "tun0"}]), "AddressRanges", Level.ERROR, ["tun0", "pods'"]),
    (FIRST, has(routes=[{"dst": "10.96.0.7", "dev": "tun0"}]), "AddressRanges", Level.ERROR, ["services'"]),
    (
        FIRST,
        has(
            routes=[
                {"dst": "10.244.1.0/24", "dev": "eth0", "protocol": "117"},
                {"dst": "10.244.0.0/24", "dev": "clb-0a1b2c3d", "protocol": "kernel"},
            ]
        ),
        "AddressRanges",
        Level.OK,
        [],
    ),
    (FIRST, has(links=[link("eth0", ADDRESS, mtu=1400)]), "Mtu", Level.WARNING, ["eth0", "1400", "ip link set"]),
    (FIRST, has(links=[link("eth0", ADDRESS, mtu=9000)]), "Mtu", Level.OK, []),
    (
        FIRST,
        both(
            file("/proc/net/ip_tables_names", "nat\nfilter\n"),
            has(missing=set()),
            prints("iptables --version", "iptables v1.8.9 (nf_tables)\n"),
            prints("iptables-legacy", "-P INPUT ACCEPT\n-P FORWARD DROP\n"),
        ),
        "IptablesBackend",
        Level.ERROR,
        ["drops by default", "update-alternatives"],
    ),
    (
        FIRST,
        both(
            file("/proc/net/ip_tables_names", "filter\n"),
            has(missing=set()),
            prints("iptables --version", "iptables v1.8.9 (nf_tables)\n"),
            prints("iptables-legacy", "-P INPUT ACCEPT\n-A INPUT -s 203.0.113.0/24 -j DROP\n"),
        ),
        "IptablesBackend",
        Level.WARNING,
        ["rules that drop"],
    ),
    (
        FIRST,
        both(
            file("/proc/net/ip_tables_names", "filter\n"),
            has(missing=set()),
            prints("iptables --version", "iptables v1.8.9 (legacy)\n"),
        ),
        "IptablesBackend",
        Level.OK,
        [],
    ),
]


@pytest.mark.parametrize(
    ("request_", "change", "name", "level", "words"), CASES, ids=[f"{case[2]}-{i}" for i, case in enumerate(CASES)]
)
async def test_what_is_different_is_named_with_its_remedy(
    request_: Request, change: Change, name: str, level: Level, words: list[str]
) -> None:
    machine = FakeMachine()
    change(machine)
    found = await findings(machine, request_, name)
    assert {finding.level for finding in found} == {level}
    said = " ".join(f"{finding.what} {finding.remedy}" for finding in found)
    assert [word for word in words if word not in said] == [], said
    assert all(finding.why and finding.remedy for finding in found) == (level != Level.OK)


def test_every_check_is_seen_to_complain() -> None:
    complained = {name for _, _, name, level, _ in CASES if level != Level.OK}
    elsewhere = {"LocalCluster", "FirewallInput", "FirewallForward", "VirtualIp"}
    assert {check.name for check in CHECKS} == complained | elsewhere


async def test_a_cluster_of_this_machine_stands_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "running_elsewhere", lambda cluster: "/srv/demo")
    [found] = await findings(FakeMachine(), FIRST, "LocalCluster")
    assert found.level == Level.ERROR
    assert "cloudctl down --state /srv/demo" in found.remedy


@pytest.mark.parametrize("failure", [FileNotFoundError(2, "no"), TimeoutError(), ConnectionError("no")])
async def test_docker_that_does_not_answer_is_said_once(failure: OSError) -> None:
    found = await run(FIRST, FakeMachine(docker=failure))
    assert [f.name for f in found if f.name.startswith("Docker")] == ["Docker"]


async def test_a_server_that_does_not_answer_is_said_once() -> None:
    found = await run(JOINING, FakeMachine(connections={}, answers={}))
    assert {f.name for f in found if f.level == Level.ERROR} == {"Server"}
    assert [f for f in found if f.name in ("ServerRoute", "ClockOffset")] == []


async def test_the_disk_is_measured_where_the_data_is_going_to_be() -> None:
    places: list[Path] = []

    class Measured(FakeMachine):
        async def sync_times(self, folder: Path) -> list[float]:
            places.append(folder)
            return self.times

    await run(Request(home=Path("/data")), Measured())
    await run(WORKER, Measured())
    assert places == [Path("/data/etcd")]
