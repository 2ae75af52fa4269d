"""A machine made of dictionaries. As it is made, all is well with it: a VM with systemd, Docker and one interface."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from client.command import CommandError
from cloudctl.machine.preflight.probe import Answer, Space

GIB = 1 << 30
ADDRESS, SERVER = "192.0.2.11", "192.0.2.10"
NOON = 1_800_000_000.0


def link(name: str, address: str, prefix: int = 24, mtu: int = 1500) -> dict[str, Any]:
    """As `ip -json address show` prints it."""
    return {"ifname": name, "mtu": mtu, "addr_info": [{"family": "inet", "local": address, "prefixlen": prefix}]}


def default_via(device: str, metric: int = 0) -> dict[str, Any]:
    """As `ip -json route show` prints it."""
    return {"dst": "default", "gateway": "192.0.2.1", "dev": device} | ({"metric": metric} if metric else {})


def sockets(*entries: tuple[str, str]) -> str:
    """A file of /proc/net: (address:port in the kernel's form, state)."""
    return "  sl  local_address rem_address   st\n" + "".join(
        f"   {i}: {local} 00000000:0000 {state} 00000000:00000000\n" for i, (local, state) in enumerate(entries)
    )


@dataclass
class FakeMachine:
    """Whatever a test wants a machine to be. A command's outcome is found by the beginning of its line."""

    files: dict[str, str] = field(
        default_factory=lambda: {
            "/proc/filesystems": "nodev\toverlay\n\text4\n",
            "/proc/self/mounts": "/dev/vda1 / ext4 rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n",
            "/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n",
            "/proc/sys/net/bridge/bridge-nf-call-iptables": "0\n",
            "/proc/sys/net/ipv4/ip_forward": "0\n",
            "/proc/sys/net/ipv4/conf/all/route_localnet": "0\n",
            "/proc/meminfo": "MemTotal: 4000000 kB\nMemAvailable: 3000000 kB\n",
            "/proc/swaps": "Filename\t\t\t\tType\n",
            "/proc/sys/fs/inotify/max_user_instances": "1024\n",
            "/proc/sys/fs/inotify/max_user_watches": "524288\n",
            "/proc/net/tcp": sockets(("0100007F:0035", "0A"), ("00000000:0016", "0A")),
            "/proc/net/udp": sockets(("3500007F:0035", "07")),
            "/run/systemd/system": "",
            "/dev/loop-control": "",
        }
    )
    read_only: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=lambda: {"iptables-legacy"})
    is_root: bool = True
    processors: int = 2
    name: str = "vm-1"
    synchronised: bool = True
    spaces: dict[str, Space] = field(default_factory=lambda: {"/": Space(40 * GIB, 30 * GIB, 1000, 900)})
    docker: dict[str, Any] | OSError = field(
        default_factory=lambda: {
            "ServerVersion": "24.0.7",
            "Driver": "overlay2",
            "CgroupDriver": "systemd",
            "MemoryLimit": True,
            "CpuCfsQuota": True,
            "PidsLimit": True,
            "DockerRootDir": "/var/lib/docker",
            "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"],
        }
    )
    links: list[dict[str, Any]] = field(default_factory=lambda: [link("eth0", ADDRESS)])
    routes: list[dict[str, Any]] = field(
        default_factory=lambda: [default_via("eth0"), {"dst": "192.0.2.0/24", "dev": "eth0", "protocol": "kernel"}]
    )
    source: str = ADDRESS
    rules: list[dict[str, Any]] = field(default_factory=list)
    commands: dict[str, str | CommandError] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=lambda: {"vm-1": ["127.0.1.1"]})
    connections: dict[tuple[str, int], str | OSError] = field(
        default_factory=lambda: {(SERVER, 6443): ADDRESS, (SERVER, 2380): ADDRESS}
    )
    answers: dict[tuple[str, int], Answer | OSError] = field(
        default_factory=lambda: {(SERVER, 6443): Answer(NOON, NOON + 0.4, NOON + 0.6)}
    )
    times: list[float] = field(default_factory=lambda: [0.002] * 200)
    ran: list[str] = field(default_factory=list)

    def read(self, path: str | Path) -> str:
        return self.files.get(str(path), "")

    def exists(self, path: str | Path) -> bool:
        wanted = PurePosixPath(path)
        return any(wanted == PurePosixPath(p) or wanted in PurePosixPath(p).parents for p in self.files)

    def writable(self, path: str | Path) -> bool:
        return self.exists(path) and str(path) not in self.read_only

    def which(self, program: str) -> str | None:
        return None if program in self.missing else f"/usr/bin/{program}"

    def root(self) -> bool:
        return self.is_root

    def cores(self) -> int:
        return self.processors

    def hostname(self) -> str:
        return self.name

    def clock_synchronised(self) -> bool:
        return self.synchronised

    def space(self, path: str | Path) -> Space:
        wanted = PurePosixPath(path)
        return next(self.spaces[str(p)] for p in (wanted, *wanted.parents) if str(p) in self.spaces)

    async def run(self, *argv: str, stdin: bytes | None = None) -> str:
        line = " ".join(argv)
        self.ran.append(line)
        found = next((out for start, out in self.commands.items() if line.startswith(start)), None)
        if isinstance(found, CommandError):
            raise found
        if argv[0] in self.missing:
            raise CommandError(argv, None, "No such file or directory")
        return self._usual(line) if found is None else found

    def _usual(self, line: str) -> str:
        """What the programs print that most tests do not care for."""
        if line.startswith("ip -json -4 address"):
            return json.dumps(self.links)
        if line.startswith("ip -json -4 route get"):
            if not self.source:
                raise CommandError(line.split(), 2, "RTNETLINK answers: Network is unreachable")
            return json.dumps([{"dst": "198.51.100.1", "prefsrc": self.source}])
        if line.startswith("ip -json -4 route show"):
            return json.dumps([r for r in self.routes if "default" not in line or r["dst"] == "default"])
        if line.startswith("nft --json"):
            return json.dumps({"nftables": self.rules})
        if line.startswith("etcd --version"):
            return "etcd Version: 3.4.23\nGit SHA: Not provided\n"
        return ""

    async def engine(self) -> dict[str, Any]:
        if isinstance(self.docker, OSError):
            raise self.docker
        return self.docker

    async def resolve(self, host: str) -> list[str]:
        if host not in self.names:
            raise OSError("Name or service not known")
        return self.names[host]

    async def connect(self, host: str, port: int) -> str:
        found = self.connections.get((host, port), ConnectionRefusedError(111, "Connection refused"))
        if isinstance(found, OSError):
            raise found
        return found

    async def answer(self, host: str, port: int) -> Answer:
        found = self.answers.get((host, port), ConnectionRefusedError(111, "Connection refused"))
        if isinstance(found, OSError):
            raise found
        return found

    async def sync_times(self, folder: Path) -> list[float]:
        return self.times
